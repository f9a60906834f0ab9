"""Faults that wait and faults that strike within a turn, flown beside their rehearsal: the same happens in the same order, at nearly the same time, and does as much."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.core.model import SECOND

WAITS = """
scenario: faults-that-wait
seed: 5
duration: 52s
versions: {v2: {}}
fleet:
  app: {initial: 1, min: 1, max: 3, workers: 8, cores: 2, queue: 64, boot_time: {constant: 5s}}
  proxy: {upstream_timeout: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - name: users
    arrivals: constant
    stages: [{for: 4s, rate: 20/s}, {for: 20s, rate: 80/s}, {for: 28s, rate: 20/s}]
    client: {timeout: 3s, connections: {pool: 50}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 30/s}}, interval: 1s, cooldown: 2s, drain_grace: 2s}
deploys: [{name: next, at: 34s, version: v2, install: 2s}]
faults:
  - {name: starting, type: latency, while: booting, target: {count: all}, attributes: {latency: 60ms}}
  - {name: crowded, type: slow, while: at_maximum, at: 14s, target: {count: all}, attributes: {factor: 8}}
  - {name: beside, type: error, while: fault crowded, for: 2s, target: {count: all}, toxicity: 50%}
  - {name: afterwards, type: latency, after: beside, delay: 500ms, for: 1s, target: {role: proxy}, attributes: {latency: 100ms}}
  - {name: leaving, type: error, while: draining, for: 1s, target: {count: all}, toxicity: 40%}
  - {name: deploying, type: registry_slow, while: deploying, attributes: {latency: 100ms}}
  - {name: gone, type: kill, at: 50s, target: {role: proxy}}
  - {name: without, type: error, while: proxy_down, target: {count: all}, toxicity: 10%}
"""

TURNS = """
scenario: struck-within-a-turn
seed: 5
duration: 60s
fleet:
  app: {initial: 1, min: 1, max: 6, workers: 8, cores: 2, queue: 64, boot_time: {constant: 5s}}
  proxy: {upstream_timeout: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - name: users
    arrivals: constant
    stages: [{for: 4s, rate: 20/s}, {for: 20s, rate: 50/s}, {for: 22s, rate: 110/s}, {for: 14s, rate: 20/s}]
    client: {timeout: 3s, connections: {pool: 50}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 30/s}}, interval: 1s, cooldown: 2s, reconcile_interval: 2s, orphans: leave}
faults:
  - {name: caught, type: autoscaler_pause, at: 4500ms, for: 4s, attributes: {caught: deciding}}
  - {name: died, type: autoscaler_crash, at: 22500ms, for: 6s, attributes: {during: launch}}
  - {name: never, type: autoscaler_crash, at: 54500ms, for: 2s, attributes: {during: launch}}
"""

ADOPTED = """
scenario: found-and-ended
seed: 5
duration: 36s
fleet:
  app: {initial: 1, min: 1, max: 6, workers: 8, cores: 2, queue: 64, boot_time: {constant: 5s}}
  proxy: {upstream_timeout: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - name: users
    arrivals: constant
    stages: [{for: 4s, rate: 20/s}, {for: 20s, rate: 50/s}, {for: 12s, rate: 20/s}]
    client: {timeout: 3s, connections: {pool: 50}}
autoscaler: {policy: {target_tracking: {metric: requests, target: 30/s}}, interval: 1s, cooldown: 2s, reconcile_interval: 2s}
faults:
  - {name: died, type: autoscaler_crash, at: 3500ms, for: 3s, attributes: {during: launch}}
"""

TIMED = """
scenario: scheduled-across-a-restart
seed: 5
duration: 44s
fleet:
  app: {initial: 1, min: 1, max: 6, workers: 8, cores: 2, queue: 64, boot_time: {constant: 3s}}
  proxy: {upstream_timeout: 1s}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - {name: users, arrivals: constant, stages: [{for: 44s, rate: 20/s}], client: {timeout: 3s, connections: {pool: 50}}}
autoscaler:
  policy:
    scheduled:
      starts: "2026-03-02T08:59:50"
      entries:
        - {cron: "59 8 * * *", size: 1}
        - {at: "2026-03-02T08:59:55", size: 2}
        - {cron: "0 9 * * *", size: 3}
        - {at: "2026-03-02T09:00:16", size: 4}
        - {at: "2026-03-02T09:00:28", size: 2}
  interval: 1s
  cooldown: 0s
faults:
  - {name: restarted, type: autoscaler_crash, at: 12500ms, for: 2s}
"""

SCENARIOS = {"waits": WAITS, "turns": TURNS, "adopted": ADOPTED, "timed": TIMED}
LATE = 1.5
"""Seconds: what an autoscaler's turn, a boot or a lease may be later (or, at its edge, earlier) on a busy machine."""
Pair = tuple[Run, Run]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """A scenario's rehearsal and its flight."""

    @cache
    def both(name: str) -> Pair:
        folder: Path = tmp_path_factory.mktemp(name)
        scenario = Scenario.parse(SCENARIOS[name])
        rehearsed = replay(scenario, out=folder / "rehearsal", figure=False)
        return rehearsed, replay(scenario, backend="local", out=folder / "flight", figure=False)

    return both


def said(run: Run, *names: str, **fields: Any) -> list[tuple[float, Any]]:
    """When, and about which fault or server."""
    found = [one for one in run.events if one["event"] in names]
    found = [one for one in found if all(one.get(key) == value for key, value in fields.items())]
    return [(one["t"] / SECOND, one.get("name", one.get("server"))) for one in found]


def check_alike(pair: Pair, *names: str, late: float = LATE, **fields: Any) -> list[tuple[float, Any]]:
    """Both worlds say the same of the same, at nearly the same time; what the rehearsal says."""
    rehearsed, flown = (said(run, *names, **fields) for run in pair)
    assert [who for _, who in flown] == [who for _, who in rehearsed]
    assert all(abs(ours - theirs) <= late for (ours, _), (theirs, _) in zip(flown, rehearsed, strict=True)), (
        rehearsed, flown
    )  # fmt: skip
    return rehearsed


def failed(run: Run, begin: float, end: float) -> float:
    """The share of requests that began meanwhile and were answered with an error."""
    rows = run.requests.select(["time_ns", "outcome"]).to_pylist()
    found = [row["outcome"] for row in rows if begin * SECOND <= row["time_ns"] < end * SECOND]
    return Counter(found)["app_error"] / len(found)


@pytest.mark.long
def test_what_waits_strikes_in_a_flight_when_it_does_in_the_rehearsal(runs: Callable[[str], Pair]) -> None:
    pair = runs("waits")
    begun = check_alike(pair, "fault")
    over = check_alike(pair, "fault_over")
    assert [name for _, name in begun] == [
        "starting#1", "crowded#1", "beside#1", "afterwards#1", "leaving#1", "starting#2", "deploying#1", "leaving#2", "gone", "without#1"
    ]  # fmt: skip
    assert len(over) == 8
    shares = [
        [failed(run, *window) for window in ((12, 15), (15, 17), (17.2, 24), (26, 27), (27.2, 34))]
        for run in pair
    ]
    for rehearsed, flown in zip(*shares, strict=True):
        assert abs(rehearsed - flown) <= 0.12, shares
    assert shares[0][1] > 0.4
    assert shares[0][3] > 0.2
    assert shares[0][0] == shares[0][2] == shares[0][4] == 0.0


@pytest.mark.long
def test_who_hangs_when_it_has_decided_acts_when_it_goes_on(runs: Callable[[str], Pair]) -> None:
    pair = runs("turns")
    launched = check_alike(pair, "launched")
    over = said(pair[0], "fault_over", name="caught")[0][0]
    assert launched[1] == (over, 2)
    for run in pair:
        turns = [row["time_ns"] / SECOND for row in run.decisions.to_pylist()]
        assert not [time for time in turns if 5.5 < time < 8.4], "no turn meanwhile"


@pytest.mark.long
def test_who_dies_when_a_launch_is_granted_leaves_an_orphan_and_nothing_twice(
    runs: Callable[[str], Pair],
) -> None:
    pair = runs("turns")
    ((_, orphan),) = check_alike(pair, "orphan_found")
    assert said(pair[0], "launched").count(orphan) == 0
    for run in pair:
        numbers = [who for _, who in said(run, "launched")]
        assert sorted(numbers) == [*dict.fromkeys(numbers)], "none is launched twice"
        assert orphan not in [who for _, who in said(run, "terminated")], "nobody knows it"
        # Nothing was launched under the third one: nobody died of it.
        assert (
            len(
                {
                    row["time_ns"] // SECOND
                    for row in run.decisions.to_pylist()
                    if 55 <= row["time_ns"] / SECOND < 57
                }
            )
            >= 2
        )
    check_alike(pair, "draining")
    check_alike(pair, "terminated")


@pytest.mark.long
def test_what_was_launched_by_one_who_died_of_it_is_ended_by_its_successor(
    runs: Callable[[str], Pair],
) -> None:
    pair = runs("adopted")
    assert [number for _, number in check_alike(pair, "launched")] == [1, 2], "none is launched twice"
    assert [number for _, number in check_alike(pair, "draining")] == [2]
    assert [number for _, number in check_alike(pair, "terminated", reason="drained")] == [2]


@pytest.mark.long
def test_a_schedule_goes_by_the_scenarios_time_in_a_flight(runs: Callable[[str], Pair]) -> None:
    pair = runs("timed")
    launched = check_alike(pair, "launched")
    assert [round(time) for time, _ in launched[:3]] == [0, 5, 10]
    check_alike(pair, "draining")
