"""Calibration: what is measured of a run makes the next rehearsal take as long; and the command, on this machine."""

from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner
from windtunnel import Run, Scenario, replay
from windtunnel.backends.local.calibration import latencies, start_up
from windtunnel.calibrating import (
    DEMAND,
    FULL,
    QUICK,
    calibration_scenario,
    columns_of,
    proxy_seconds,
)
from windtunnel.cli import app
from windtunnel.core.model import SECOND
from windtunnel.scenarios.profile import Profile, read_profile
from windtunnel.scenarios.profile_text import Line, profile_text, readable

US, MS = 1_000, 1_000_000
MACHINE = {
    "proxy_cpu": "90us", "send_delay": "60us", "hop_latency": "50us", "app_overhead": "300us", "call_overhead": "400us",
    "timer_slack": "20us", "start_up": "750ms",
}  # fmt: skip


def rehearsed(machine: dict[str, Any]) -> Run:
    scenario = Scenario.parse(calibration_scenario(QUICK, "sleep"))
    return replay(scenario.with_profile(Profile.model_validate(machine)), registry="memory", cloud="memory")


def test_a_rehearsal_with_what_was_measured_takes_as_long_as_what_was_measured() -> None:
    """The flight's part is played by a rehearsal on a machine that is known."""
    run = rehearsed(MACHINE)
    window = QUICK.start * SECOND + SECOND // 2, (QUICK.start + QUICK.slow) * SECOND
    was = columns_of(run, *window)
    # A rehearsal does not count the proxy's CPU time: it was given.
    figures = latencies(was, DEMAND, 90 * US)
    assert figures["timer_slack"].value == 20 * US
    measured = {name: f"{one.value}ns" for name, one in figures.items()}
    found = columns_of(rehearsed({**measured, "proxy_cpu": "90us", "start_up": "750ms"}), *window)
    for endpoint in range(3):
        took = [(one["answered"] - one["time"])[one["endpoint"] == endpoint] for one in (was, found)]
        assert len(took[0]) == len(took[1]) > 20
        assert abs(np.median(took[0]) - np.median(took[1])) < 5 * US


@pytest.mark.parametrize("stages", [FULL, QUICK])
@pytest.mark.parametrize("demand", ["sleep", "burn"])
def test_the_scenario_is_one_and_has_its_servers_before_latencies_are_measured(
    stages: Any, demand: str
) -> None:
    scenario = Scenario.parse(calibration_scenario(stages, demand))
    slow_start = scenario.with_profile(Profile.model_validate({"start_up": "1s"}))
    run = replay(slow_start, registry="memory", cloud="memory")
    ready = [event["t"] for event in run.events if event["event"] == "ready"]
    assert len(ready) == stages.servers
    assert max(ready) <= stages.start * SECOND
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    assert start_up(run.events).value == SECOND
    seconds = proxy_seconds(run, stages)
    assert seconds.requests[seconds.fast].min() > 2 * seconds.requests[seconds.slow].max() > 0


def test_the_profile_reads_back_as_it_was_written(tmp_path: Path) -> None:
    lines = [
        Line("proxy_cpu", 93_412, "CPU time", 84_000, 110_700, 3),
        Line("start_up", 1_163_499_000, "median", 0, 0, 1),
    ]
    text = profile_text("2 cores", lines, 2, "burn", ["it was loud"])
    assert "# not to be trusted: it was loud\n" in text
    assert "# CPU time; 84us to 111us over 3 parts\nproxy_cpu: 93us\n" in text
    assert "# median; measured once\nstart_up: 1163ms\n" in text
    (tmp_path / "profile.yaml").write_text(text)
    found = read_profile(tmp_path / "profile.yaml")
    assert (found.proxy_cpu, found.start_up, found.host_cores, found.demand) == (
        93 * US,
        1163 * MS,
        2,
        "burn",
    )


def test_times_are_readable() -> None:
    assert [readable(ns) for ns in (0, 499, 1_234_567, 9_999_400, 12_345_678)] == [
        "0s",
        "0s",
        "1235us",
        "9999us",
        "12ms",
    ]


def test_a_demand_that_is_none_is_a_usage_error() -> None:
    done = CliRunner().invoke(app, ["calibrate", "--demand", "nap"])
    assert str(done.exception) == "expected --demand sleep or burn, got 'nap'"


SMALL = """
scenario: small
duration: 6s
fleet:
  app: {initial: 2, workers: 16}
  proxy: {routing: round_robin}
  dependencies: [{name: db, concurrency: 8, service: {constant: 2ms}}]
endpoints:
  - {path: /, cpu: {constant: 2ms}, io: {constant: 1ms}, calls: [db]}
traffic:
  - {name: users, stages: [{for: 6s, rate: 100/s}], client: {timeout: 5s, connections: {pool: 64}}}
"""


@pytest.mark.long
def test_a_profile_brings_the_rehearsal_nearer_to_its_flight(tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    done = CliRunner().invoke(app, ["calibrate", "--quick", "--out", str(file)])
    assert done.exit_code == 0, done.output
    assert psutil.Process().children(recursive=True) == []
    assert [path.name for path in tmp_path.iterdir()] == ["profile.yaml"]
    profile = read_profile(file)
    assert profile.proxy_cpu is not None
    assert 5 * US < profile.proxy_cpu < 5 * MS
    assert 0 < profile.hop_latency < 20 * MS
    assert 50 * MS < profile.start_up < 30 * SECOND
    small = Scenario.parse(SMALL)
    flown = replay(small, backend="local").summary["latency_ns"]["p50"]
    plain, on_machine = (
        replay(one).summary["latency_ns"]["p50"] for one in (small, small.with_profile(profile))
    )
    assert abs(on_machine - flown) < abs(plain - flown)
