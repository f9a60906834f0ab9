"""Rehearsals on the profile of a machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Scenario, ScenarioError, replay, verify
from windtunnel.api import REHEARSAL
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.differences import differences
from windtunnel.scenarios.profile import Profile, read_profile
from windtunnel.scenarios.references import warnings
from windtunnel.tests.support import TWINS, both_engines, run, scenario, steady

__all__ = ["both_engines"]
US, MS = 1_000, 1_000_000
MACHINE = {
    "description": "two cores", "proxy_cpu": "22us", "app_overhead": "400us", "hop_latency": "30us", "timer_slack": "60us",
    "send_delay": "80us", "call_overhead": "150us", "cpu_overhead": "40us", "start_up": "450ms", "autoscaler_delay": "100ms", "host_cores": 2,
}  # fmt: skip
ALONE = steady("1/s", "5s", fleet={
    "proxy": {"cpu_per_request": "100us"},
    "network": {"client": {"latency": "1ms"}, "upstream": {"latency": "500us"}},
    "dependencies": [{"name": "db", "service": {"constant": "2ms"}}],
})  # fmt: skip
ALONE["endpoints"] = [{"path": "/", "cpu": {"constant": "5ms"}, "io": {"constant": "3ms"}, "calls": ["db"]}]
ALONE["traffic"][0]["client"] = {"connections": {"pool": 1}}


def latencies(document: dict[str, Any]) -> set[int]:
    return set(run(document).requests.column("latency_ns").to_pylist()[1:])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(MACHINE))
    return path


@pytest.mark.usefixtures("both_engines")
def test_a_request_takes_longer_by_what_the_machine_takes() -> None:
    """A request on a kept connection: two hops each way, the proxy, CPU, io, a call."""
    plain = 2 * MS + 100 * US + 2 * 500 * US + (5 + 3 + 2) * MS
    assert latencies(ALONE) == {plain}
    hops, waits = 4 * 30 * US, 40 * US + 60 * US + (60 + 2 * 30 + 150) * US
    expected = plain - 100 * US + 22 * US + 80 * US + 400 * US + hops + waits
    assert latencies({**ALONE, "profile": MACHINE}) == {expected}


@pytest.mark.usefixtures("both_engines")
def test_the_way_to_a_dependency_takes_nothing_of_it() -> None:
    """Two calls at once, one at a time in the dependency: the second waits for the first one's service and not for its way."""
    document = steady("1/s", "3s", fleet={
        "app": {"workers": 2}, "dependencies": [{"name": "db", "concurrency": 1, "service": {"constant": "2ms"}}],
    })  # fmt: skip
    document["endpoints"] = [{"path": "/", "cpu": {"constant": 0}, "calls": ["db"]}]
    pair = {"concurrency": 2, "for": "1s", "maximum": 2}
    document["traffic"] = [{"name": "two", "closed": pair, "client": {"connections": "per_request"}}]
    served = {}
    for name, machine in (
        ("plain", {}),
        ("machine", {"hop_latency": "30us", "call_overhead": "1ms", "timer_slack": "60us"}),
    ):
        attempts = run({**document, "profile": machine}).attempts.to_pylist()
        served[name] = sorted(row["served_ns"] - row["started_ns"] for row in attempts)
    assert served["plain"] == [2 * MS, 4 * MS]
    way, service = MS + 60 * US, 2 * MS + 60 * US
    assert served["machine"] == [way + service, way + 2 * service]


@pytest.mark.usefixtures("both_engines")
def test_the_overhead_of_cpu_time_holds_the_worker_and_not_the_core() -> None:
    """Three requests at once. With a worker each, only the core makes them wait; with one worker the overhead of each does too."""
    served = {}
    for workers in (3, 1):
        document = steady(
            "1/s", "2s", fleet={"app": {"workers": workers, "cores": 1}}, profile={"cpu_overhead": "1ms"}
        )
        document["endpoints"] = [{"path": "/", "cpu": {"constant": "2ms"}}]
        three = {"concurrency": 3, "for": "1s", "maximum": 3}
        document["traffic"] = [{"name": "three", "closed": three, "client": {"connections": "per_request"}}]
        attempts = run(document).attempts.to_pylist()
        served[workers] = sorted(row["served_ns"] - row["arrived_ns"] for row in attempts)
    assert served == {3: [3 * MS, 5 * MS, 7 * MS], 1: [3 * MS, 6 * MS, 9 * MS]}


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize(
    ("pending", "boot", "start_up", "ready"),
    [("1s", "2s", "450ms", 3000), ("1s", "2s", "4s", 4000), ("0s", "0s", "450ms", 450)],
)
def test_no_instance_is_ready_before_its_process_is(
    pending: str, boot: str, start_up: str, ready: int
) -> None:
    """The process starts while its machine is pending and boots, so that only what is left of its start takes time."""
    document = steady(
        "100/s", "10s", fleet={"app": {"max": 2, "boot_time": {"constant": boot}}, "cloud": {"pending": pending}},
        autoscaler={"policy": {"threshold": {"requests_high": "50/s"}}}, profile={"start_up": start_up},
    )  # fmt: skip
    events = run(document).events
    launched = next(event for event in events if event["event"] == "launched" and event["t"] > 0)
    got = next(e for e in events if e["event"] == "ready" and e["server"] == launched["server"])
    assert got["t"] - launched["t"] == ready * MS


@pytest.mark.usefixtures("both_engines")
def test_an_autoscaler_that_waits_for_samples_launches_later_and_keeps_its_cooldowns() -> None:
    """A server that is launched later is ready later: here after the samples of a second instead of before them. A cooldown of four turns stays one of four."""
    document = steady("100/s", "12s", fleet={"app": {"max": 4, "boot_time": {"constant": "1950ms"}}},
                      autoscaler={"policy": {"threshold": {"requests_high": "20/s"}}, "cooldown": "4s"})  # fmt: skip
    found: dict[str, list[tuple[str, int]]] = {}
    for delay in ("0s", "100ms"):
        events = run({**document, "profile": {"autoscaler_delay": delay}}).events
        found[delay] = [
            (e["event"], e["t"] // MS) for e in events if e["event"] in ("launched", "ready") and e["t"]
        ]
    turns = [1000, 5000, 9000]
    assert found["0s"] == [one for t in turns for one in (("launched", t), ("ready", t + 1950))]
    assert found["100ms"] == [one for t in turns for one in (("launched", t + 100), ("ready", t + 2050))]


def test_what_a_profile_omits_is_the_scenarios() -> None:
    plain = compile_plan(scenario(ALONE)).fleet
    assert compile_plan(scenario({**ALONE, "profile": {}})).fleet == plain
    assert compile_plan(scenario({**ALONE, "profile": {"proxy_cpu": 0}})).fleet.proxy.cpu_per_request == 0


def test_a_run_with_a_profile_has_another_hash_and_verifies(file: Path, tmp_path: Path) -> None:
    plain = replay(scenario(ALONE), **TWINS)
    found = replay(scenario(ALONE), profile=file, out=tmp_path / "run", figure=False, **TWINS)
    assert found.summary["scenario_hash"] != plain.summary["scenario_hash"]
    assert found.digest != plain.digest
    assert read_profile(tmp_path / "run" / "profile.yaml") == read_profile(file)
    assert Scenario.load(tmp_path / "run" / "scenario.yaml").document.profile == read_profile(file)
    recorded, difference = verify(tmp_path / "run")
    assert difference is None
    assert recorded.digest == found.digest
    assert differences(scenario(ALONE), scenario({**ALONE, "profile": MACHINE})) == [
        "profile: nothing, then a mapping"
    ]


def test_without_a_profile_there_is_no_trace_of_it(tmp_path: Path) -> None:
    replay(scenario(ALONE), out=tmp_path / "run", figure=False, **TWINS)
    assert not (tmp_path / "run" / "profile.yaml").exists()
    assert "profile" not in (tmp_path / "run" / "scenario.yaml").read_text()


def test_what_is_only_told_of_the_machine_is_not_in_the_hash() -> None:
    told = {**MACHINE, "description": "the same", "host_cores": 64}
    one, two = scenario({**ALONE, "profile": MACHINE}), scenario({**ALONE, "profile": told})
    assert one.fingerprint() == two.fingerprint()


def test_cores_that_are_shared_change_results_and_the_hash() -> None:
    """Said of a machine they are told; once the flight burns its demands they are part of the model."""
    burnt = {**MACHINE, "demand": "burn"}
    slept, two, one = (
        scenario({**ALONE, "profile": profile}) for profile in (MACHINE, burnt, {**burnt, "host_cores": 1})
    )
    hashes = {slept.fingerprint(), two.fingerprint(), one.fingerprint()}
    assert len(hashes) == 3
    assert scenario({**ALONE, "profile": {**MACHINE, "demand": "sleep"}}).fingerprint() == slept.fingerprint()
    renamed = scenario({**ALONE, "profile": {**burnt, "description": "the same"}})
    assert renamed.fingerprint() == two.fingerprint()
    assert [compile_plan(made).fleet.host_cores for made in (slept, two, one)] == [-1, 2, 1]


def test_burnt_demand_needs_the_cores_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("timer_slack: 1us\ndemand: burn\n")
    with pytest.raises(ScenarioError, match=r"p.yaml:2:\d+: demand: expected host_cores beside demand: burn"):
        read_profile(path)
    path.write_text("demand: fry\nhost_cores: 2\n")
    with pytest.raises(ScenarioError, match=r"p.yaml:1:9: demand: expected 'sleep' or 'burn', got 'fry'"):
        read_profile(path)


def test_a_fleet_of_more_cores_than_the_machine_is_warned_of() -> None:
    fleet = {"app": {"initial": 2, "max": 3, "workers": 4, "cores": 2}}
    (said,) = warnings(scenario(steady(fleet=fleet, profile=MACHINE)).document)
    assert said.startswith("the fleet has up to 6 cores and the profile's machine 2")
    assert warnings(scenario(steady(fleet={"app": {"initial": 2}}, profile=MACHINE)).document) == []
    assert warnings(scenario(steady(fleet=fleet, profile={**MACHINE, "demand": "burn"})).document) == []


def test_every_bad_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("proxy_cpu: 22\nhop_latncy: 3us\ntimer_slack:\nhost_cores: 0\n")
    with pytest.raises(ScenarioError) as error:
        read_profile(path)
    assert str(error.value).splitlines() == [
        f"{path}:1:12: proxy_cpu: expected a duration such as 30s, 500ms or 1h30m, got 22",
        f"{path}:2:1: hop_latncy: unknown key; did you mean 'hop_latency'?",
        f"{path}:3:13: timer_slack: expected a value, got nothing",
        f"{path}:4:13: host_cores: expected a value at least 1, got 0",
    ]
    path.write_text("- 1\n")
    with pytest.raises(ScenarioError, match="expected a profile, a mapping, got a list"):
        read_profile(path)
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(ScenarioError, match="expected UTF-8 text"):
        read_profile(path)


def test_a_profile_is_of_rehearsals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REHEARSAL == "sim"
    flown = scenario(ALONE).with_profile(Profile.model_validate(MACHINE))
    with pytest.raises(UsageError, match="expected no profile with the backend local"):
        replay(flown, backend="local")
