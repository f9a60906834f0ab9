"""The fleet's behaviour: timeouts, retries, health, ejection, canaries, dependencies, memory, scaling, faults."""

import json
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.support import both_engines, happened, outcomes, run, steady

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

MS = 1_000_000


def app(found: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = found.attempts.to_pylist()
    return rows


def test_timeouts_on_both_sides() -> None:
    slow = [{"path": "/", "cpu": {"constant": "300ms"}}]
    base = steady("2/s", "2s", endpoints=slow)
    upstream = run({**base, "fleet": {"app": {"workers": 9}, "proxy": {"upstream_timeout": "100ms"}}})
    assert outcomes(upstream) == {"upstream_timeout": upstream.requests.num_rows}
    assert set(upstream.requests.column("status").to_pylist()) == {504}
    base["traffic"][0]["client"] = {"timeout": "100ms"}
    client = run({**base, "fleet": {"app": {"workers": 9}}})
    assert outcomes(client) == {"client_timeout": client.requests.num_rows}
    assert set(client.requests.column("latency_ns").to_pylist()) == {100 * MS}


def test_an_app_server_goes_on_with_what_nobody_waits_for() -> None:
    document = steady("10/s", "5s", endpoints=[{"path": "/", "cpu": {"constant": "400ms"}}])
    document["traffic"][0]["client"] = {"timeout": "1s", "retries": {"attempts": 3}}
    found = run({**document, "fleet": {"app": {"workers": 1}}})
    busy = [row["cpu_ns"] for row in found.metrics.to_pylist() if row["server"] == 1]
    assert busy[1] == pytest.approx(SECOND, rel=0.01), "the only worker never rests"
    assert outcomes(found)["ok"] < 0.1 * found.requests.num_rows, "work for nobody leaves no time for anybody"


def test_client_retries_follow_backoff_and_stop() -> None:
    document = steady("1/s", "1s", fleet={"app": {"initial": 0}})
    document["traffic"][0].update(
        arrivals="constant", client={"retries": {"attempts": 3, "backoff": "100ms"}}
    )
    found = run(document)
    starts = [row["start_ns"] for row in app(found)]
    assert [start - starts[0] for start in starts] == [0, 100 * MS, 300 * MS, 700 * MS]
    assert outcomes(found) == {"no_server": 1}


def kill(at: str, count: int = 1, role: str = "app", name: str = "dies") -> dict[str, Any]:
    return {"name": name, "type": "kill", "at": at, "target": {"role": role, "count": count}}


def test_a_kill_loses_what_is_in_flight_and_a_proxy_retry_hides_it() -> None:
    base = steady("200/s", "6s", endpoints=[{"path": "/", "cpu": {"constant": "20ms"}}], faults=[kill("3s")])
    fleet: dict[str, Any] = {"app": {"initial": 3, "workers": 8}}
    plain = run({**base, "fleet": fleet})
    assert outcomes(plain)["upstream_reset"] == happened(plain, "killed")[0]["lost"] > 0
    assert outcomes(plain)["connect_failed"] > 50, "without health checks the dead server keeps its turn"
    hidden = run({**base, "fleet": {**fleet, "proxy": {"retries": {"attempts": 1}}}})
    assert set(outcomes(hidden)) == {"ok"}
    assert max(row["tries"] for row in app(hidden)) == 2


def test_the_proxy_does_not_repeat_a_post_that_may_have_been_served() -> None:
    """A body makes a POST: one that a killed server had is lost; one that found no connection goes elsewhere."""
    document = steady("200/s", "6s", endpoints=[{"path": "/", "cpu": {"constant": "20ms"}}], faults=[kill("3s")],
                      fleet={"app": {"initial": 3, "workers": 8}, "proxy": {"retries": {"attempts": 1}}})  # fmt: skip
    document["traffic"][0]["body"] = {"constant": "1KiB"}
    found = run(document)
    assert outcomes(found)["upstream_reset"] == happened(found, "killed")[0]["lost"] > 0
    assert set(outcomes(found)) == {"ok", "upstream_reset"}
    assert max(row["tries"] for row in app(found)) == 2


def test_the_proxy_repeats_no_content_that_it_has_not_kept() -> None:
    """One of two servers is full: small bodies that come to it find the other one, larger ones than the proxy keeps do not."""
    lost = {}
    for size in ("64KiB", "65KiB"):
        document = steady("1/s", "6s", fleet={
            "app": {"initial": 2, "queue": 0}, "proxy": {"retries": {"attempts": 1}},
        })  # fmt: skip
        document["endpoints"] = [
            {"path": "/long", "cpu": {"constant": "9s"}}, {"path": "/short", "cpu": {"constant": "1ms"}},
        ]  # fmt: skip
        document["traffic"] = [
            {"name": "hog", "closed": {"concurrency": 1, "maximum": 1}, "endpoints": {"/long": 1}},
            {"name": "posts", "start": "1s", "stages": [{"for": "4s", "rate": "1/s"}], "arrivals": "constant",
             "body": {"constant": size}, "endpoints": {"/short": 1}},
        ]  # fmt: skip
        found = outcomes(run(document))
        lost[size] = found.pop("queue_full", 0)
        assert set(found) == {"ok"}
    assert lost["64KiB"] == 0
    assert lost["65KiB"] == 2, "round robin: each second one"


def test_health_checks_and_ejection_take_a_dead_server_out() -> None:
    base = steady("200/s", "10s", endpoints=[{"path": "/", "cpu": {"constant": "5ms"}}], faults=[kill("3s")])
    fleet: dict[str, Any] = {"app": {"initial": 3, "workers": 8}}
    checked = run({**base, "fleet": {**fleet, "proxy": {"health_check": {"unhealthy_threshold": 2}}}})
    assert [event["t"] for event in happened(checked, "unhealthy")] == [4 * SECOND]
    failed = [row for row in app(checked) if row["outcome"] == "connect_failed"]
    assert max(row["start_ns"] for row in failed) <= 4 * SECOND
    ejecting = run(
        {
            **base,
            "fleet": {
                **fleet,
                "proxy": {"outlier_detection": {"consecutive_5xx": 5, "base_ejection_time": "2s"}},
            },
        }
    )
    ejections = happened(ejecting, "ejected")
    assert [event["until"] - event["t"] for event in ejections] == [2 * SECOND, 4 * SECOND, 6 * SECOND]
    assert outcomes(ejecting)["connect_failed"] + outcomes(ejecting)["upstream_reset"] in range(15, 20)


def test_each_fourth_request_goes_to_the_canary() -> None:
    document = steady(
        "100/s", "4s", fleet={"app": {"initial": 2, "canaries": 1}, "proxy": {"canary_every": 4}}
    )
    servers = [row["server"] for row in sorted(app(run(document)), key=lambda row: row["routed_ns"])]
    assert [number + 1 for number, server in enumerate(servers) if server == 3] == list(
        range(4, len(servers) + 1, 4)
    )


def test_canary_turns_without_a_canary_keep_the_rotation() -> None:
    document = steady("30/s", "2s", fleet={"app": {"initial": 3}, "proxy": {"canary_every": 2}})
    document["traffic"][0]["arrivals"] = "constant"
    servers = [row["server"] for row in app(run(document))]
    assert servers == [1, 2, 3] * 20


def test_an_attempts_row_ends_with_the_attempt() -> None:
    """What a server does with it afterwards is not recorded, whatever else goes on."""
    document = steady("4/s", "1s", endpoints=[{"path": "/", "cpu": {"constant": "50ms"}}])
    document["fleet"] = {"app": {"workers": 9}, "network": {"client": {"latency": "45ms"}}}
    document["traffic"][0].update(arrivals="constant", client={"timeout": "150ms"})
    alone = app(run(document))
    assert {row["served_ns"] for row in alone} == {-1}
    document["traffic"].append({"name": "slow", "closed": {"concurrency": 1, "maximum": 1}})
    assert {row["served_ns"] for row in app(run(document)) if row["outcome"] == "client_timeout"} == {-1}


def test_a_dependency_drops_the_waiting_calls_of_the_dead() -> None:
    endpoints = [{"path": "/", "cpu": {"constant": "1ms"}, "calls": ["db"]}]
    fleet = {
        "app": {"initial": 2, "workers": 9},
        "dependencies": [db(concurrency=1, service={"constant": "200ms"})],
    }
    source = {"name": "users", "closed": {"concurrency": 6, "maximum": 6}}
    fault = {"name": "dies", "type": "kill", "at": "100ms", "target": {"address": "http://10.0.0.2"}}
    found = run(
        {"duration": "2s", "fleet": fleet, "endpoints": endpoints, "traffic": [source], "faults": [fault]}
    )
    answered = [row["latency_ns"] for row in found.requests.to_pylist() if row["outcome"] == "ok"]
    assert answered == [201 * MS, 401 * MS, 601 * MS]


def test_standby_servers_get_nothing_until_promoted() -> None:
    scaler = {"policy": {"threshold": {"requests_high": "60/s"}}, "cooldown": "3s"}
    document = steady("100/s", "8s", fleet={"app": {"initial": 1, "standby": 1}}, autoscaler=scaler)
    found = run(document)
    promoted = happened(found, "promoted")
    assert [event["server"] for event in promoted] == [2]
    first = min(row["routed_ns"] for row in app(found) if row["server"] == 2)
    assert promoted[0]["t"] <= first <= promoted[0]["t"] + 1.1 * SECOND, "at the proxy's next refresh"
    assert happened(found, "launched")[2:] == [] or happened(found, "launched")[2]["t"] > promoted[0]["t"]


def test_the_breaker_sheds_and_says_so() -> None:
    document = steady("100/s", "3s", endpoints=[{"path": "/", "cpu": {"constant": "500ms"}}])
    document["fleet"] = {
        "app": {"initial": 2, "workers": 50},
        "proxy": {"circuit_breaker": {"max_in_flight": 4}},
    }
    found = run(document)
    assert outcomes(found)["shed"] > 200
    assert {event["server"] for event in happened(found, "breaker_opened")} == {1, 2}
    inside = [row["in_flight"] for row in found.metrics.to_pylist() if row["server"] > 0]
    assert max(inside) <= 4


def db(**more: Any) -> dict[str, Any]:
    return {"name": "db", "concurrency": 2, "service": {"constant": "50ms"}, **more}


def test_a_dependency_queues_and_refuses() -> None:
    endpoints = [{"path": "/", "cpu": {"constant": "1ms"}, "calls": ["db"]}]
    source = {"name": "users", "closed": {"concurrency": 4, "maximum": 4}}
    base = {"duration": "2s", "endpoints": endpoints, "traffic": [source]}
    waiting = run({**base, "fleet": {"app": {"workers": 8}, "dependencies": [db()]}})
    assert sorted(waiting.requests.column("latency_ns").to_pylist()) == [51 * MS, 51 * MS, 101 * MS, 101 * MS]
    full = run({**base, "fleet": {"app": {"workers": 8}, "dependencies": [db(queue=1)]}})
    assert outcomes(full) == {"ok": 3, "app_error": 1}


def test_a_cache_answers_its_share() -> None:
    endpoints = [{"path": "/", "cpu": {"constant": "0.1ms"}, "calls": ["db"]}]
    cache = {"ttl": "1h", "hit_share": "80%", "keys": 100}
    fleet = {"app": {"workers": 50}, "dependencies": [db(concurrency=50, cache=cache)]}
    found = run(steady("300/s", "10s", endpoints=endpoints, fleet=fleet))
    quick = sum(latency < 10 * MS for latency in found.requests.column("latency_ns").to_pylist())
    assert quick / found.requests.num_rows == pytest.approx(0.8, abs=0.03)


def test_memory_runs_out_by_requests_and_by_leaks() -> None:
    memory = {"total": "100MiB", "base": "40MiB", "per_request": "10MiB"}
    slow = [{"path": "/", "cpu": {"constant": "500ms"}}]
    burst = run(steady("40/s", "2s", endpoints=slow, fleet={"app": {"workers": 50, "memory": memory}}))
    event = happened(burst, "out_of_memory")[0]
    assert (event["lost"], event["memory"]) == (7, 110 * 2**20)
    assert outcomes(burst)["upstream_reset"] == 7
    leaking = {"total": "50MiB", "base": "40MiB", "leak": "100KiB"}
    leak = run(steady("50/s", "4s", fleet={"app": {"workers": 5, "memory": leaking}}))
    assert happened(leak, "out_of_memory")[0]["lost"] == 0
    assert outcomes(leak)["ok"] in (102, 103)


SCALER = {"policy": {"threshold": {"requests_high": "100/s", "requests_low": "30/s"}}, "cooldown": "2s"}
RUSH = {"name": "users", "stages": [{"for": "5s", "rate": "50/s"}, {"for": "15s", "rate": "250/s"}, {"for": "20s", "rate": "20/s"}],
        "client": {"timeout": "3s"}}  # fmt: skip


def rush(**more: Any) -> dict[str, Any]:
    fleet: dict[str, Any] = {
        "app": {"initial": 1, "min": 1, "max": 5, "workers": 8, "boot_time": {"constant": "1500ms"}},
        "network": {"client": {"latency": "2ms"}, "upstream": {"latency": "1ms"}},
    }
    return {"duration": "40s", "fleet": fleet, "traffic": [RUSH], "autoscaler": SCALER,
            "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "10ms"}}}], **more}  # fmt: skip


def test_scaling_out_and_in_loses_no_request() -> None:
    found = run(rush())
    assert set(outcomes(found)) == {"ok"}
    assert len(happened(found, "launched")) >= 3
    drained = happened(found, "draining")
    assert len(drained) >= 2
    ended = happened(found, "terminated")
    assert {event["reason"] for event in ended} == {"drained"}
    assert {event["lost"] for event in ended} == {0}
    assert found.summary["fleet"]["most"] >= 3
    assert found.summary["fleet"]["last"] == 1


def test_target_tracking_reaches_its_target() -> None:
    scaler = {"policy": {"target_tracking": {"metric": "requests", "target": "60/s"}}, "cooldown": "3s"}
    found = run(rush(autoscaler=scaler))
    by_second: dict[int, int] = {}
    for row in found.metrics.to_pylist():
        if row["server"] and row["state"] == "serving":
            by_second[row["time_ns"] // SECOND] = by_second.get(row["time_ns"] // SECOND, 0) + 1
    assert by_second[19] in (4, 5)
    assert by_second[40] in (1, 2)


def test_bounds_hold_and_launches_wait_for_one_another() -> None:
    found = run(rush())
    metrics = found.metrics.to_pylist()
    for second in {row["time_ns"] for row in metrics}:
        alive = [row for row in metrics if row["time_ns"] == second and row["server"]]
        assert sum(row["state"] in ("serving", "booting") for row in alive) <= 5
        assert sum(row["state"] == "booting" for row in alive) <= 1


def test_boots_that_fail_are_cleaned_up() -> None:
    document = rush()
    document["fleet"]["app"]["boot_failure"] = "100%"
    document["autoscaler"] = {**SCALER, "boot_timeout": "4s"}
    found = run(document)
    assert len(happened(found, "boot_failed")) >= 2
    assert {event["reason"] for event in happened(found, "terminated")} == {"boot timeout"}


def test_an_instance_is_pending_then_boots_then_serves() -> None:
    document = rush()
    document["fleet"]["cloud"] = {"pending": "2s"}
    found = run(document)
    times = [
        next(event["t"] for event in happened(found, name) if event["server"] == 2)
        for name in ("launched", "booting", "ready")
    ]
    assert [later - earlier for earlier, later in pairwise(times)] == [2 * SECOND, 1500 * MS]
    states = [row["state"] for row in found.metrics.to_pylist() if row["server"] == 2]
    assert [state for state, _ in groupby(states)][:3] == ["pending", "booting", "serving"]


def test_the_dead_are_replaced() -> None:
    document = rush(faults=[kill("2s")])
    document["autoscaler"] = {**SCALER, "dead_after": "3s"}
    found = run(document)
    assert next(event["reason"] for event in happened(found, "terminated")) == "silent"
    assert happened(found, "launched")[1]["t"] == happened(found, "terminated")[0]["t"] == 4 * SECOND


def test_a_flood_counts_as_load() -> None:
    document = rush()
    document["traffic"] = [
        {
            "name": "monkey",
            "start": "5s",
            "flood": {"stages": [{"for": "10s", "rate": "250/s"}], "connections": 50},
        }
    ]
    assert len(happened(run(document), "launched")) >= 3


@pytest.mark.parametrize(
    "document",
    [
        {"duration": "5s"},
        {"duration": "5s", "fleet": {"app": {"initial": 0}}},
        steady("20/s", "5s", fleet={"app": {"initial": 0}}),
        steady("0/s", "5s"),
        steady("20/s", "5s", faults=[kill("1s", 9)]),
        steady(
            "20/s",
            "5s",
            autoscaler={"policy": {"threshold": {"requests_high": "1/s"}}},
            fleet={"app": {"initial": 0}},
        ),
    ],
    ids=["nothing", "no servers, no traffic", "no servers", "no requests", "total outage", "scaler alone"],
)
def test_odd_fleets_are_legal(document: dict[str, Any]) -> None:
    found = run(document)
    assert found.passed
    assert set(outcomes(found)) <= {"ok", "no_server", "connect_failed", "upstream_reset"}


def test_a_killed_proxy_refuses_until_it_is_back() -> None:
    document = steady(
        "50/s", "6s", fleet={"proxy": {"restart_after": "1s"}}, faults=[kill("2s", role="proxy")]
    )
    document["traffic"][0]["arrivals"] = "constant"
    found = run(document)
    assert outcomes(found)["refused"] == 50
    assert outcomes(found)["ok"] == 250


def test_fault_targets_depend_on_the_seed_alone() -> None:
    document = steady("10/s", "4s", fleet={"app": {"initial": 6}}, faults=[kill("1s", 2)])
    targets = [tuple(happened(run(document, seed), "fault")[0]["targets"]) for seed in range(12)]
    assert targets == [tuple(happened(run(document, seed), "fault")[0]["targets"]) for seed in range(12)]
    assert len(set(targets)) > 5
    document["faults"][0]["target"] = {"address": "http://10.0.0.4"}
    assert happened(run(document), "fault")[0]["targets"] == [4]


def test_bodies_are_held_while_their_requests_are_in_flight() -> None:
    """Two workers at 100 ms: 20 requests/s are served; what waits holds its body."""
    document = steady("10/s", "4s", endpoints=[{"path": "/", "cpu": {"constant": "150ms"}}])
    document["traffic"][0].update(arrivals="constant", body="3MiB")
    document["fleet"] = {"app": {"workers": 2, "memory": {"total": "100MiB", "base": "40MiB"}}}
    found = run(document)
    rows = [row for row in found.metrics.to_pylist() if row["server"] == 1]
    assert {row["memory"] for row in rows if row["in_flight"]} == {
        (40 + 3 * n) << 20 for n in {r["in_flight"] for r in rows if r["in_flight"]}
    }
    document["traffic"][0]["body"] = {"uniform": {"min": "1MiB", "max": "80MiB"}}
    (death,) = happened(run(document), "out_of_memory")
    assert death["memory"] > 100 << 20
    document["traffic"] = [
        {
            "name": "monkey",
            "body": "40MiB",
            "flood": {"stages": [{"for": "4s", "rate": "10/s"}], "connections": 5},
        }
    ]
    assert happened(run(document), "out_of_memory"), "a flood's bodies count too"


def test_a_loadtest_entry_sends_its_own_body(tmp_path: Path) -> None:
    """One request in flight at a time holds the body of its entry, or that of the source where the entry has none."""
    entries = [
        {"url": "/", "concurrency": 1, "maxSeconds": 4, "requestsPerSecond": 2, "body": "x" * 3000},
        {"url": "/", "concurrency": 1, "maxSeconds": 4},
    ]
    (tmp_path / "plan.json").write_text(json.dumps(entries))
    document = steady(length="8s", endpoints=[{"path": "/", "cpu": {"constant": "450ms"}}])
    document["traffic"] = [{"name": "plan", "loadtest": str(tmp_path / "plan.json"), "body": "70KiB"}]
    document["fleet"] = {"app": {"memory": {"total": "100MiB", "base": "40MiB"}}}
    held = {
        (row["memory"] - (40 << 20), row["time_ns"] > 4 * SECOND)
        for row in run(document).metrics.to_pylist()
        if row["server"] == 1 and row["in_flight"] == 1
    }
    assert held == {(3000, False), (70 << 10, True)}
