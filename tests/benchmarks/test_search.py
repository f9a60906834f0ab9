"""Experiments of a search beside a campaign's rehearsals of the same scenario, and a guided search beside a random one, in one run.

The work: one minute of a fleet of 5 servers of two workers at 100 requests/s, with health checks, each time under another seed. A campaign's rehearsal
runs on the in-memory twins and keeps a summary; an experiment is judged on the trace alone. CPU time of one process counts: other work on the machine stretches real time.
"""

import statistics
import time
from collections.abc import Callable

import pytest
from windtunnel import Scenario, replay
from windtunnel.core.search.space import Candidate
from windtunnel.searching import _judge_all, _prepare, search_scenario
from windtunnel.tests.test_search import SLOWED

AIM = 10_000
"""Experiments a minute of wall time on two processes."""
ROUNDS, EACH = 5, 40

MINUTE = """
scenario: minute
duration: 60s
fleet: {app: {initial: 5, workers: 2}, proxy: {health_check: {interval: 1s, timeout: 500ms}}}
endpoints: [{path: /, cpu: {exponential: {mean: 20ms}}}]
traffic: [{name: users, stages: [{for: 60s, rate: 100/s}], client: {timeout: 5s}}]
slo:
  - {name: p99, indicator: latency_p99, below: 500ms}
  - {name: errors, indicator: error_rate, below: 1%}
search: {seeds: 100000, budget: 2000}
"""

SCALED = MINUTE.replace("initial: 5", "initial: 5, min: 5, max: 10") + (
    "autoscaler: {interval: 1s, policy: {threshold: {requests_high: 30/s, requests_low: 5/s}}}\n"
)


def cpu_each(work: Callable[[int], object]) -> float:
    """CPU seconds of one of EACH calls."""
    started = time.process_time()
    for number in range(EACH):
        work(number)
    return (time.process_time() - started) / EACH


@pytest.mark.benchmark
@pytest.mark.parametrize(("name", "text"), [("fixed fleet", MINUTE), ("autoscaled, every second", SCALED)])
def test_experiments_a_minute(name: str, text: str) -> None:
    scenario = Scenario.parse(text)
    _prepare(scenario)
    experiments, rehearsals = [], []
    for _ in range(ROUNDS):
        experiments.append(cpu_each(lambda n: _judge_all([Candidate((), n)])))
        rehearsals.append(
            cpu_each(lambda n: replay(scenario.with_seed(n), registry="memory", cloud="memory"))
        )
    # What else runs on the machine only ever adds to it.
    one, other = min(experiments), min(rehearsals)
    print(
        f"\n{name}: an experiment takes {one * 1e3:.2f} ms of CPU (median {statistics.median(experiments) * 1e3:.2f}), a campaign's rehearsal {other * 1e3:.2f} ms, "
        f"{other / one:.2f} times; two processes with a core each: {2 * 60 / one:,.0f} a minute (the aim is {AIM:,})"
    )
    assert other / one > 1.2


@pytest.mark.benchmark
def test_wall_time_of_a_search() -> None:
    scenario = Scenario.parse(MINUTE)
    started = time.perf_counter()
    search_scenario(scenario, budget=64, jobs=2)
    began = time.perf_counter() - started
    started = time.perf_counter()
    found = search_scenario(scenario, budget=2000, jobs=2)
    seconds = time.perf_counter() - started
    rate = (found.experiments - 64) / (seconds - began) * 60
    print(
        f"\n{found.experiments:,} experiments in {seconds:.1f} s of wall time, {began:.1f} s of them to begin: {rate:,.0f} a minute"
    )
    assert found.experiments == 2000
    assert not found.findings


@pytest.mark.benchmark
def test_guided_and_random_on_a_planted_case() -> None:
    """Two of three servers must be slow at once for the 99th percentile to reach its bound, which neither the corners nor chance show soon."""
    text = SLOWED.replace("below: 200ms", "below: 1900ms").replace("most: 3", "most: 2")

    def needed(guided: bool) -> list[int]:
        counts = []
        for seed in range(5):
            done = search_scenario(Scenario.parse(text), seed=seed, budget=1500, jobs=2, guided=guided)
            counts.append(done.findings[0].number if done.findings else 1500)
        return sorted(counts)

    guided, chance = needed(True), needed(False)
    print(f"\nexperiments until the first finding, 5 seeds (1,500: none): guided {guided}, random {chance}")
    assert statistics.median(guided) < statistics.median(chance)
