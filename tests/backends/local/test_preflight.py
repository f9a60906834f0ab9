"""What is refused before anything starts."""

import os

import pytest
from windtunnel import Scenario, replay
from windtunnel.backends.local import preflight
from windtunnel.backends.local.faults.links import LinkFaults
from windtunnel.backends.local.options import FlightOptions
from windtunnel.backends.local.world import AttachedFlight
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.build import compile_plan

TEXT = """
scenario: heavy
duration: 10s
fleet: {app: {initial: 2, workers: 4, cores: 4}}
endpoints: [{path: /, cpu: {constant: 100ms}}]
traffic: [{name: users, stages: [{for: 5s, rate: 10/s}, {for: 5s, rate: 100/s}]}]
"""


def test_the_busiest_second_is_found() -> None:
    second, cores = preflight.busiest_second(compile_plan(Scenario.parse(TEXT)))
    assert 5 <= second < 10
    assert 8 < cores < 15


def test_burning_more_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = compile_plan(Scenario.parse(TEXT))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(
        UsageError, match=r"the plan needs \d+\.\d cores in second \d, and this machine has 2"
    ):
        preflight.check_machine(plan, "burn")
    preflight.check_machine(plan, "sleep")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    preflight.check_machine(plan, "burn")


def test_a_fault_that_does_not_fly_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        TEXT
        + "faults: [{name: fog, type: latency, at: 1s, target: {role: app}, attributes: {latency: 1s}}]\n"
    )
    monkeypatch.setattr(LinkFaults, "types", frozenset({"loss"}))
    with pytest.raises(
        UsageError, match="fault fog: latency cannot be flown yet; expected one of api_throttling, "
    ):
        replay(Scenario.parse(text), backend="local")


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("local", FlightOptions(proxy="http://127.0.0.1:80"), "--proxy: expected --backend attach"),
        ("attach", FlightOptions(), "expected --proxy URL"),
        (
            "attach",
            FlightOptions(proxy="http://127.0.0.1:80", stop_when="p99 > 1s"),
            "--stop-when: expected a flight with faults",
        ),
        ("attach", FlightOptions(proxy="http://:0"), "--proxy: expected http://HOST"),
        ("attach", FlightOptions(proxy="http://192.0.2.1:80"), "expected a target on loopback"),
    ],
)
def test_bad_options_are_one_sentence(backend: str, options: FlightOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replay(Scenario.parse(TEXT), backend=backend, flight=options)


def test_somebody_elses_fleet_is_not_struck() -> None:
    text = TEXT + "faults: [{name: dies, type: kill, at: 1s, target: {role: app}}]\n"
    with pytest.raises(UsageError, match="expected a scenario without faults, got dies"):
        replay(Scenario.parse(text), backend="attach", flight=FlightOptions(proxy="http://127.0.0.1:9"))


def test_options_themselves_are_checked() -> None:
    with pytest.raises(UsageError, match="sleep or burn, got 'fry'"):
        FlightOptions(demand="fry")
    with pytest.raises(UsageError, match="at least 1 load process"):
        FlightOptions(load_processes=0)


def test_attach_is_prepared_before_its_proxy_is_known_and_refused_without_one() -> None:
    from windtunnel.cli_shared import prepare

    prepare("kernel", "attach")
    loaded = Scenario.load("steady")
    attached = AttachedFlight(flight=FlightOptions(proxy="http://127.0.0.1:9"))
    attached.check(compile_plan(loaded), loaded)
    with pytest.raises(UsageError, match="expected --proxy URL"):
        AttachedFlight().check(compile_plan(loaded), loaded)
