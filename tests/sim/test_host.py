"""Rehearsals on a machine whose cores everything shares."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel.reports.run import Run
from windtunnel.tests.sim.test_theory import assert_theory, exponential, mean_sojourn, station
from windtunnel.tests.strategies.documents import documents
from windtunnel.tests.support import both_engines, run

__all__ = ["both_engines"]
MS = 1_000_000
RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


BOTH = pytest.mark.usefixtures("both_engines")


def machine(cores: int) -> dict[str, Any]:
    return {"host_cores": cores, "demand": "burn"}


def at(
    *times: int, cores: int, demand: int = 100, proxy: int = 0, app: Any = None, **more: Any
) -> dict[str, Any]:
    """One request at each of *times* (ms, at least 500) of *demand* ms of CPU time, and of *proxy* ms at the proxy; a server each."""
    return {
        "duration": "4s",
        "profile": machine(cores),
        "fleet": {
            "app": {"initial": len(times), **(app or {})},
            "proxy": {"cpu_per_request": f"{proxy}ms", "restart_after": "100ms"},
        },
        "endpoints": [{"path": "/", "cpu": {"constant": f"{demand}ms"}}],
        "traffic": [
            {
                "name": f"source{number}", "arrivals": "constant", "start": f"{time - 500}ms",
                "stages": [{"for": "1s", "rate": "1/s"}],
            }
            for number, time in enumerate(times)
        ],
        **more,
    }  # fmt: skip


def done(found: Run, column: str = "cpu_done_ns") -> list[float]:
    """When each request reached a station (ms), in their order."""
    rows = sorted(found.attempts.to_pylist(), key=lambda row: (row["start_ns"], row["request"]))
    return [row[column] / MS for row in rows]


def cpu(found: Run, second: int) -> list[float]:
    """CPU time (ms) that each server got in that second (from 1)."""
    return [
        row["cpu_ns"] / MS
        for row in found.metrics.to_pylist()
        if row["server"] and row["time_ns"] == second * 1000 * MS
    ]


@BOTH
def test_two_on_one_core_take_twice_as_long() -> None:
    found = run(at(500, 500, cores=1))
    assert done(found) == [700, 700]
    assert cpu(found, 1) == [100, 100]


@BOTH
def test_three_on_two_cores() -> None:
    assert done(run(at(500, 500, 500, cores=2))) == [650] * 3


@BOTH
def test_one_that_comes_in_the_middle() -> None:
    """The first has half when the second comes; then both have half a core, then the second has all."""
    assert done(run(at(500, 550, cores=1))) == [650, 700]


@BOTH
def test_cpu_time_is_counted_as_it_was_had() -> None:
    found = run(at(900, 900, 950, cores=1))
    # 25 each by 950, then a third of 50.
    assert cpu(found, 1) == pytest.approx([125 / 3, 125 / 3, 50 / 3], abs=1e-5)
    assert sum(cpu(found, 1) + cpu(found, 2)) == pytest.approx(300, abs=1e-5)


@BOTH
def test_a_burst_of_the_proxy_shares_too() -> None:
    """The second's 10 ms at the proxy take 20, for the first computes meanwhile."""
    found = run(at(500, 550, cores=1, proxy=10))
    assert done(found, "routed_ns") == [510, 570]
    assert done(found) == [670, 720]


@BOTH
def test_the_proxy_has_one_thread() -> None:
    """On as many cores as one likes its bursts come one after another."""
    assert done(run(at(500, 500, 500, cores=8, proxy=10)), "routed_ns") == [510, 520, 530]
    # On one core the second competes with the first's 100 ms at its server, the third with both.
    assert done(run(at(500, 500, 500, cores=1, proxy=10)), "routed_ns") == [510, 530, 560]


@BOTH
def test_a_server_has_no_more_than_its_own_cores() -> None:
    found = run(at(500, 500, 500, cores=8, app={"initial": 1, "workers": 3, "cores": 1}))
    assert done(found) == [600, 700, 800]


@BOTH
def test_who_is_paused_leaves_the_cores_to_the_others() -> None:
    pause = {"type": "pause", "at": "550ms", "for": "100ms", "target": {"role": "app", "count": 1}}
    found = run(at(500, 500, cores=1, faults=[{"name": "p", **pause}]))
    # 25 each by 550; one has the other 75 alone, the other goes on at 650.
    assert sorted(done(found)) == [625, 725]
    assert cpu(found, 1) == [100, 100]


@BOTH
def test_who_dies_leaves_the_cores_to_the_others() -> None:
    kill = {"type": "kill", "at": "550ms", "target": {"role": "app", "count": 1}}
    found = run(at(500, 500, cores=1, faults=[{"name": "k", **kill}]))
    assert sorted(row["cpu_done_ns"] for row in found.attempts.to_pylist()) == [-1, 625 * MS]


@BOTH
def test_a_proxy_that_dies_computes_no_more() -> None:
    kill = {"type": "kill", "at": "955ms", "target": {"role": "proxy"}}
    found = run(at(900, 950, 950, cores=1, proxy=10, app={"initial": 1}, faults=[{"name": "k", **kill}]))
    # 40 by 950, 2.5 beside the proxy's burst, 45 alone; then what is left.
    assert cpu(found, 1) == [87.5]
    assert cpu(found, 2) == [12.5]


@BOTH
def test_a_proxy_that_is_back_reads_again() -> None:
    kill = {"type": "kill", "at": "505ms", "target": {"role": "proxy"}}
    found = run(at(500, 500, 700, 700, cores=1, proxy=10, app={"initial": 4}, faults=[{"name": "k", **kill}]))
    assert done(found, "routed_ns")[2:] == [710, 730]


@BOTH
def test_a_slow_server_asks_for_more() -> None:
    slow = {
        "type": "slow",
        "at": "100ms",
        "target": {"role": "app", "count": "all"},
        "attributes": {"factor": 3},
    }
    assert done(run(at(500, 500, cores=1, faults=[{"name": "s", **slow}]))) == [1100, 1100]


@pytest.mark.parametrize("service", [exponential(10), {"constant": "10ms"}], ids=["exponential", "constant"])
def test_processor_sharing_is_insensitive(service: dict[str, Any]) -> None:
    """M/G/1-PS: mean response E[S] / (1 - rho), whatever the distribution (Kleinrock 1976); over two servers, which share one core."""
    document = station(70, service, 60, servers=2, workers=500)
    document["profile"] = machine(1)
    assert_theory(mean_sojourn, document, 10 / (1 - 0.7), 8, 0.3)


@given(documents(), st.integers(0, 1000))
@settings(RANDOM, max_examples=15)
def test_more_cores_than_anything_uses_change_nothing(document: dict[str, Any], seed: int) -> None:
    plain = run({**document, "profile": {"host_cores": 1}}, seed)
    shared = run({**document, "profile": machine(1000)}, seed)
    assert plain.lines[1:-1] == shared.lines[1:-1]
    assert plain.requests.equals(shared.requests)
    assert plain.attempts.equals(shared.attempts)
    assert plain.metrics.equals(shared.metrics)


@given(documents(), st.integers(0, 1000), st.integers(1, 3))
@settings(RANDOM, max_examples=15)
def test_nobody_has_more_than_there_is(document: dict[str, Any], seed: int, cores: int) -> None:
    """The clock is rounded down to whole ns, so that a second may show one of each burst too many."""
    had: dict[int, int] = defaultdict(int)
    for row in run({**document, "profile": machine(cores)}, seed).metrics.to_pylist():
        had[row["time_ns"]] += row["cpu_ns"] if row["server"] else 0
    assert max(had.values(), default=0) <= cores * 1000 * MS + 100
