"""Remedies against low memory in a rehearsal, on both engines."""

from typing import Any

import pytest
from windtunnel.api import replay
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.support import TWINS, both_engines, happened, outcomes, run, scenario, steady

_ = both_engines

pytestmark = pytest.mark.usefixtures("both_engines")

SECOND = 1_000_000_000
MIB = 1 << 20
MEMORY = {"total": "100MiB", "base": "20MiB", "leak": "100KiB"}


def leaking(remedy: dict[str, Any] | None, length: str = "20s", **more: Any) -> dict[str, Any]:
    """One server that leaks 100 KiB with each of 100 requests/s: its limit is reached after about eight seconds."""
    app: dict[str, Any] = {"memory": MEMORY, "workers": 4}
    if remedy is not None:
        app["on_low_memory"] = {"command": ["trim"], "above": "70%", "cooldown": 0, **remedy}
    document = steady("100/s", length, fleet={"app": app}, **more)
    document["traffic"][0] |= {"arrivals": "constant", "client": {"timeout": "1s"}}
    return document


def memory(found: Any) -> list[int]:
    rows = found.metrics.to_pylist()
    return [row["memory"] for row in rows if row["server"] == 1]


def test_without_one_the_server_dies() -> None:
    found = run(leaking(None))
    (death,) = happened(found, "out_of_memory")
    assert 7 * SECOND < death["t"] < 10 * SECOND


def test_what_is_given_back_lets_it_live() -> None:
    found = run(leaking({"effect": {"free": "50%"}}))
    assert not happened(found, "out_of_memory")
    assert set(outcomes(found)) == {"ok"}
    begun, ended = happened(found, "remedy_started"), happened(found, "remedy_ended")
    assert [event["t"] for event in begun] == [event["t"] for event in ended]
    assert len(begun) > 2
    assert all(event["memory"] > 70 * MIB and event["t"] % SECOND == 0 for event in begun)
    assert all((event["server"], event["status"], event["timed_out"]) == (1, 0, False) for event in ended)
    seconds = memory(found)
    first = begun[0]["t"] // SECOND
    # Half of what was above the base is gone, and a second's leak (100 requests) has come.
    before, after = seconds[first - 1], seconds[first]
    assert after == pytest.approx((before - 20 * MIB) / 2 + 20 * MIB + 100 * 100 * 1024, abs=MIB)


def test_a_restart_loses_what_is_in_flight_and_begins_anew() -> None:
    slow = leaking({"effect": {"restart": "2s"}, "takes": "1s"})
    slow["endpoints"] = [{"path": "/", "cpu": {"constant": "1ms"}, "io": {"constant": "200ms"}}]
    slow["fleet"]["app"]["workers"] = 100
    found = run(slow)
    begun, ended, away, back = (
        happened(found, name) for name in ("remedy_started", "remedy_ended", "restarting", "restarted")
    )
    assert len(back) == 2
    assert ended[0]["t"] - begun[0]["t"] == SECOND
    assert away[0]["t"] == ended[0]["t"]
    assert back[0]["t"] - away[0]["t"] == 2 * SECOND
    # 100/s for 0.2 s were in flight; 200 came while nobody listened.
    assert 18 <= away[0]["lost"] <= 22
    counts = outcomes(found)
    assert counts["upstream_reset"] == away[0]["lost"] + away[1]["lost"]
    assert counts["connect_failed"] == pytest.approx(2 * 200, abs=4)
    assert counts["ok"] == found.requests.num_rows - counts["upstream_reset"] - counts["connect_failed"]
    gone = away[0]["t"] // SECOND
    assert memory(found)[gone] == 0
    assert 20 * MIB <= memory(found)[back[0]["t"] // SECOND] < 40 * MIB


def test_nothing_happens_unless_the_scenario_says_so() -> None:
    found = run(leaking({}))
    assert len(happened(found, "remedy_started")) == len(happened(found, "remedy_ended")) == 1
    assert happened(found, "out_of_memory")


def test_a_server_that_dies_takes_its_remedy_with_it() -> None:
    late = run(leaking({"takes": "8s", "effect": {"free": "100%"}}))
    assert happened(late, "out_of_memory")
    assert len(happened(late, "remedy_started")) == 1
    assert not happened(late, "remedy_ended")
    killed = run(leaking(
        {"effect": {"restart": "5s"}},
        faults=[{"name": "k", "type": "kill", "at": "9s", "target": {"role": "app"}}],
    ))  # fmt: skip
    assert len(happened(killed, "restarting")) == 1
    assert [event["lost"] for event in happened(killed, "killed")] == [0]
    assert not happened(killed, "restarted")


def test_a_server_that_hangs_restarts_when_it_goes_on() -> None:
    pause = {"name": "p", "type": "pause", "at": "7500ms", "for": "3s", "target": {"role": "app"}}
    found = run(leaking({"takes": "1500ms", "effect": {"restart": "1s"}}, faults=[pause]))
    begun, away = happened(found, "remedy_started")[0], happened(found, "restarting")[0]
    assert begun["t"] < 7_500_000_000
    assert away["t"] >= 10_500_000_000
    overlapping = {**pause, "at": "8500ms", "for": "1s"}
    met = run(leaking({"takes": "2s", "effect": {"restart": "900ms"}}, faults=[overlapping]))
    assert happened(met, "restarted")
    last = [row for row in met.requests.to_pylist() if row["time_ns"] > 12 * SECOND]
    assert any(row["outcome"] == "ok" for row in last)


def test_jobs_of_the_old_process_do_not_come_back() -> None:
    """They wait for io, and for a dependency, longer than the new process takes to come up."""
    document = leaking({"effect": {"restart": "10ms"}})
    document["fleet"]["dependencies"] = [
        {"name": "db", "concurrency": 3, "queue": 50, "service": {"constant": "100ms"}}
    ]
    document["fleet"]["app"]["workers"] = 60
    document["endpoints"] = [
        {"path": "/", "weight": 1, "cpu": {"constant": "1ms"}, "io": {"constant": "700ms"}},
        {"path": "/db", "weight": 1, "cpu": {"constant": "1ms"}, "calls": ["db"]},
    ]
    found = run(document)
    assert happened(found, "restarted")
    assert min(memory(found)) >= 0
    kernel, reference = (replay(scenario(document), engine=name, **TWINS) for name in ("kernel", "simpy"))
    assert kernel.lines == reference.lines


@pytest.mark.parametrize(
    ("remedy", "expected"),
    [
        ({"clear": "80%"}, "expected clear not above `above`"),
        ({"takes": "20s"}, "expected it to take no longer than its timeout"),
        ({"effect": {}}, "expected either restart or free, got neither"),
        ({"effect": {"free": "10%", "restart": "1s"}}, "expected either restart or free, got both"),
        ({"command": []}, "expected at least one entry, got none"),
    ],
)
def test_mistakes(remedy: dict[str, Any], expected: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(leaking(remedy))
    assert expected in str(raised.value)


def test_without_a_limit_there_is_no_share_of_it() -> None:
    document = leaking({})
    document["fleet"]["app"]["memory"] = {"base": "1MiB"}
    with pytest.raises(ScenarioError, match=r"expected memory\.total"):
        scenario(document)


def test_the_hash_knows_what_changes_a_rehearsal() -> None:
    plain = scenario(leaking({})).fingerprint()
    assert scenario(leaking({"command": ["other"], "timeout": "30s"})).fingerprint() == plain
    assert scenario(leaking({"effect": {"free": "10%"}})).fingerprint() != plain
    assert scenario(leaking({"above": "75%"})).fingerprint() != plain
