"""The condition that ends faults before their time."""

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
from windtunnel import Scenario, replay
from windtunnel.backends.local.guardian import Guardian
from windtunnel.backends.local.options import FlightOptions
from windtunnel.backends.local.stopping import Condition, Watch
from windtunnel.core.errors import UsageError
from windtunnel.core.model import SECOND

from ...app.running import until
from ..test_flight import PATIENCE


def test_a_condition_in_words() -> None:
    assert Condition.parse("error_rate > 20% for 10s") == Condition(
        "error_rate > 20% for 10s", "error_rate", 0.2, 10 * SECOND
    )
    assert Condition.parse(" p99 > 1500ms ").bound == 1.5 * SECOND


@pytest.mark.parametrize(
    "text", ["", "error_rate", "p99 < 2s", "p99 > 20%", "error_rate > 2 for 5s", "p50 > 1s"]
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--stop-when: expected"):
        Condition.parse(text)


def test_it_must_hold_without_a_break() -> None:
    watch = Watch(Condition.parse("error_rate > 50% for 2s"))
    # Completed and failed so far: 6 of 10 fail, nothing is answered, 6 of 10, 5 of 10, 6 of 10 twice.
    told = [(10, 6), (10, 6), (20, 12), (30, 17), (40, 23), (50, 29)]
    assert [watch.look(*counts, p99=0) for counts in told] == [False, False, False, False, False, True]
    slow = Watch(Condition.parse("p99 > 1s"))
    assert [slow.look(n, 0, p99) for n, p99 in ((1, SECOND), (2, SECOND + 1))] == [False, True]


def stands(pid: int) -> bool:
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def test_a_stopped_process_goes_on_when_its_guardian_loses_the_conductor() -> None:
    victim = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        guardian = Guardian()
        for one in (victim, other):
            guardian.hold(one.pid)
            one.send_signal(signal.SIGSTOP)
            until(partial(stands, one.pid), "it stands", PATIENCE)
        guardian.release(other.pid)
        guardian.end()
        until(lambda: not stands(victim.pid), "it goes on", PATIENCE)
        assert stands(other.pid)
    finally:
        victim.kill()
        other.kill()
        victim.wait()
        other.wait()


STRUCK = """
scenario: stopped
seed: 3
duration: 9s
fleet:
  app: {initial: 2, workers: 4, cores: 2, queue: 64}
  proxy: {upstream_timeout: 5s}
endpoints: [{path: /, cpu: {constant: 2ms}}]
traffic: [{name: users, stages: [{for: 9s, rate: 40/s}], client: {timeout: 3s, connections: {pool: 20}}}]
faults:
  - {name: errors, type: error, at: 1500ms, target: {count: all}, toxicity: 80%}
  - {name: far, type: latency, at: 1500ms, target: {count: all}, attributes: {latency: 100ms}}
  - {name: later, type: error, at: 8s, target: {count: all}}
"""


@pytest.mark.long
def test_it_ends_every_fault_and_begins_no_other(tmp_path: Path) -> None:
    notices: list[str] = []
    options = FlightOptions(stop_when="error_rate > 50% for 2s", notice=notices.append)
    flown = replay(
        Scenario.parse(STRUCK), backend="local", flight=options, out=tmp_path / "run", figure=False
    )
    told = [event for event in flown.events if event["event"] in ("fault", "fault_over", "faults_stopped")]
    assert [(one["event"], one.get("name")) for one in told] == [
        ("fault", "errors"), ("fault", "far"), ("faults_stopped", None), ("fault_over", "errors"), ("fault_over", "far"),
    ]  # fmt: skip
    assert notices == ["faults are ended: error_rate > 50% for 2s"]
    begun, stopped = told[1]["t"] + SECOND // 5, told[2]["t"]
    assert stopped < 8 * SECOND
    rows = flown.requests.select(["time_ns", "latency_ns", "outcome"]).to_pylist()
    struck = [row for row in rows if begun < row["time_ns"] < stopped - SECOND // 2]
    assert sum(row["outcome"] == "app_error" for row in struck) > len(struck) / 2
    assert min(row["latency_ns"] for row in struck) >= 200_000_000
    well = [row for row in rows if row["time_ns"] > stopped + SECOND]
    assert well
    assert {row["outcome"] for row in well} == {"ok"}
    assert sorted(row["latency_ns"] for row in well)[len(well) // 2] < 100_000_000
