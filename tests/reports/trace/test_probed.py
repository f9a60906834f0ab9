"""What a probe sees in a rerun: it is what was recorded, and what the rules of routing say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel import Run
from windtunnel.core.columns import ATTEMPTS, REQUESTS
from windtunnel.core.probed import ABANDONED, Choice, Probed, Request
from windtunnel.reports.trace.traces import Traces
from windtunnel.scenarios.build import compile_plan
from windtunnel.sim.probe import Rerun, rerun
from windtunnel.tests.reports.trace.fleets import TROUBLED, traces_of_document
from windtunnel.tests.reports.trace.test_laws import check_stations, check_tree
from windtunnel.tests.strategies.documents import documents
from windtunnel.tests.support import run, scenario

RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def recorded(traces: Traces, wanted: Sequence[int]) -> tuple[dict[int, Any], dict[int, list[Any]]]:
    """The rows of these requests, as numbers."""
    requests: dict[int, Any] = {}
    attempts: dict[int, list[Any]] = {number: [] for number in wanted}
    for block in traces.rows.blocks(np.array(wanted)):
        for columns, names in ((block.requests, REQUESTS), (block.attempts, ATTEMPTS)):
            for row in zip(*(columns[name].tolist() for name, _ in names), strict=True):
                if columns is block.requests:
                    requests[row[0]] = row
                else:
                    attempts[row[0]].append(row)
    return requests, attempts


def check_choice(choice: Choice) -> None:
    free = {one.server: one for one in choice.candidates if not one.barred}
    if choice.server:
        # When the wanted role has nobody, or all of it is in slow start, others step in.
        assert choice.server in free or not free
    if choice.algorithm == "least_connections" and free:
        assert free[choice.server].in_flight == min(one.in_flight for one in free.values())
    if choice.algorithm == "peak_ewma" and len(free) == 2:
        assert free[choice.server].cost == min(one.cost for one in free.values())


def check_tries(told: Request, attempts: list[Any]) -> None:
    """Each attempt had as many tries as its row says, the last at the server that it names."""
    names = [name for name, _ in ATTEMPTS]
    for row in attempts:
        row = dict(zip(names, row, strict=True))
        tries = [one for one in told.tries if one.attempt == row["attempt"]]
        assert [one.number for one in tries] == [*range(1, row["tries"] + 1)]
        if tries:
            assert tries[-1].server == row["server"]
            assert all(one.outcome not in ("ok", ABANDONED, "") for one in tries[:-1])


def check(document: dict[str, Any], seed: int, wanted: Sequence[int]) -> tuple[Run, Traces, Rerun]:
    """The probe's rows are those of the run, by the engine that is used by default."""
    found, traces = traces_of_document(document, seed)
    count = len(found.requests)
    chosen = sorted({number % count for number in wanted}) if count else []
    if not chosen:
        return found, traces, Rerun(Probed())
    again = rerun(compile_plan(scenario(document, seed)), chosen)
    assert (again.requests, again.attempts) == recorded(traces, chosen)
    for number in chosen:
        told = again.probed.requests[number]
        for choice in told.choices:
            check_choice(choice)
        check_tries(told, again.attempts[number])
        trace, exchanges = traces.probed(number, again.probed)
        check_tree(trace)
        check_stations(trace)
        for exchange in exchanges:
            check_tree(exchange)
    return found, traces, again


def random_check(document: dict[str, Any], seed: int, wanted: list[int]) -> None:
    check(document, seed, wanted)


ANY = given(documents(), st.integers(0, 1000), st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
test_random_scenarios = settings(RANDOM, max_examples=15)(ANY(random_check))
test_more_random_scenarios = pytest.mark.long(settings(RANDOM, max_examples=400)(ANY(random_check)))


def test_a_retried_request_shows_each_try_and_call() -> None:
    slow = {"name": "db", "concurrency": 1, "service": {"exponential": {"mean": "8ms"}}}
    document = {**TROUBLED, "duration": "5s", "fleet": {**TROUBLED["fleet"], "dependencies": [slow]}}
    found, traces, again = check(document, 1, range(3000))
    tries = [row for row in found.attempts.to_pylist() if row["tries"] > 1]
    assert tries
    for row in tries:
        trace, _ = traces.probed(row["request"], again.probed)
        spans = [span for span in trace.spans if "windtunnel.try" in span.attributes]
        assert len(spans) >= row["tries"]
    calls = [one for told in again.probed.requests.values() for one in told.calls]
    assert {one.dependency for one in calls} == {"db"}
    assert any(one.served > one.start for one in calls), "one at a time: some wait"
    assert [read.time for read in again.probed.reads] == [second * 10**9 for second in range(len(again.probed.reads))]  # fmt: skip


@pytest.mark.parametrize("algorithm", ["least_connections", "power_of_two", "weighted", "random", "consistent_hash", "peak_ewma"])  # fmt: skip
def test_whoever_is_taken_was_a_candidate(algorithm: str) -> None:
    fleet = TROUBLED["fleet"]
    document = {**TROUBLED, "fleet": {**fleet, "proxy": {**fleet["proxy"], "routing": algorithm}}}
    _, _, again = check(document, 2, range(0, 2500, 25))
    choices = [one for told in again.probed.requests.values() for one in told.choices]
    assert {one.algorithm for one in choices} == {algorithm}
    barred = {one.barred for choice in choices for one in choice.candidates}
    assert {"", "has just failed this request", "ejected"} <= barred


def test_it_ends_with_the_last_request_that_was_asked_for() -> None:
    plan = compile_plan(scenario(TROUBLED))
    assert rerun(plan, [10]).probed.reads[-1].time < 10**9
    assert run(TROUBLED).events[-1]["t"] > 10**10
