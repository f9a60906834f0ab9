"""Invariants on traces made by hand: each one held and broken, since when, and how near."""

from typing import Any

import numpy as np
import pytest
from windtunnel.core.columns import ATTEMPT_ROW, METRIC_ROW, REQUEST_ROW
from windtunnel.core.invariants import INVARIANTS, InvariantVerdict, Trace, judge_invariant, trigger_over
from windtunnel.core.lifecycle import State
from windtunnel.core.model import SECOND, InvariantSpec
from windtunnel.core.outcomes import Outcome
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.scenario import Scenario

FLEET = """
scenario: hand
duration: 60s
fleet: {app: {initial: 2, min: 1, max: 4}}
endpoints: [{path: /, cpu: {constant: 1ms}}]
traffic: [{name: users, stages: [{for: 60s, rate: 10/s}]}]
autoscaler: {interval: 1s, policy: {threshold: {requests_high: 30/s, requests_low: 5/s}}}
slo: [{name: errors, indicator: error_rate, below: 10%}]
"""


def trace(
    events: list[dict[str, Any]] | None = None,
    text: str = FLEET,
    bad_from: int = 99,
    bad_to: int = 99,
    **more: Any,
) -> Trace:
    """Ten requests a second for a minute, one attempt each; those of seconds *bad_from* to *bad_to* fail."""
    requests = np.zeros(600, REQUEST_ROW)
    requests["request"], requests["attempts"] = np.arange(600), 1
    requests["time_ns"] = np.arange(600) * SECOND // 10
    second = requests["time_ns"] // SECOND
    requests["outcome"] = np.where((second >= bad_from) & (second < bad_to), Outcome.REFUSED, Outcome.OK)
    attempts = np.zeros(600, ATTEMPT_ROW)
    attempts["request"], attempts["attempt"], attempts["tries"] = np.arange(600), 1, 1
    attempts["routed_ns"] = attempts["served_ns"] = requests["time_ns"]
    attempts["server"] = 1
    metrics = np.zeros(1, METRIC_ROW)
    metrics["time_ns"], metrics["server"], metrics["state"] = 60 * SECOND, 1, int(State.SERVING)
    parts = {"requests": requests, "attempts": attempts, "metrics": metrics, **more}
    return Trace(compile_plan(Scenario.parse(text)).fleet, events or [], end=60 * SECOND, **parts)


def judged(name: str, bound: int, *given: Any, **more: Any) -> InvariantVerdict:
    return judge_invariant(InvariantSpec(name, bound), trace(*given, **more))


def at(second: float, event: str, **fields: Any) -> dict[str, Any]:
    return {"t": round(second * SECOND), "event": event, **fields}


@pytest.mark.parametrize("name", INVARIANTS)
def test_a_quiet_run_breaks_nothing(name: str) -> None:
    verdict = judged(name, 0 if name == "most_reversals" else SECOND)
    assert verdict.held
    assert verdict.ratio < 1


def test_a_request_that_is_lost_or_counted_twice() -> None:
    whole = trace()
    whole.requests["request"][7] = 6
    whole.requests["outcome"][9] = Outcome.PENDING
    verdict = judge_invariant(InvariantSpec("conservation"), whole)
    assert (verdict.held, verdict.value) == (False, 2.0)
    short = judged("conservation", 0, attempts=trace().attempts[1:])
    assert short.what == "the requests tell of 600 attempts, 599 are recorded"


def test_more_servers_than_the_maximum() -> None:
    launched = [at(n, "launched", server=n, role="serving") for n in range(1, 6)]
    verdict = judged("capacity", 0, launched)
    assert (verdict.since, verdict.what) == (5 * SECOND, "5 servers of at most 4")
    drained = [*launched[:4], at(4.5, "draining", server=1), launched[4]]
    assert judged("capacity", 0, drained).held


def test_two_decisions_in_one_turn() -> None:
    decisions = [
        at(3, "decision", desired=3, actual=2, actions=1),
        at(4, "decision", desired=4, actual=3, actions=1),
    ]
    assert judged("one_autoscaler", 0, decisions).held
    verdict = judged("one_autoscaler", 0, [*decisions, at(4.2, "decision", desired=4, actual=3, actions=1)])
    assert (verdict.held, verdict.since) == (False, 4 * SECOND)


def test_a_load_that_nobody_accounts_for() -> None:
    metrics = trace().metrics
    metrics["in_flight"] = 3
    assert not judged("load_returns", 0, metrics=metrics).held
    attempts = trace().attempts
    attempts["served_ns"][:3] = -1
    assert judged("load_returns", 0, metrics=metrics, attempts=attempts).held


def test_an_instance_that_is_paid_for_in_vain() -> None:
    killed = [at(10, "killed", server=1), at(25, "terminated", server=1)]
    assert judged("no_orphans", 20 * SECOND, killed).value == 15 * SECOND
    verdict = judged("no_orphans", 10 * SECOND, killed)
    assert (verdict.held, verdict.since, verdict.ratio) == (False, 20 * SECOND, 1.5)
    assert "server 1, that was killed" in verdict.what
    assert judged("no_orphans", 20 * SECOND, [at(50, "orphan_found", server=9)]).held
    assert not judged("no_orphans", 20 * SECOND, [at(30, "orphan_found", server=9)]).held
    assert judged(
        "no_orphans", 20 * SECOND, [at(30, "orphan_found", server=9), at(35, "ready", server=9)]
    ).held


def test_traffic_after_the_end_of_a_server() -> None:
    events = [at(30, "terminated", server=1)]
    assert judged("no_traffic_after_end", 30 * SECOND, events).held
    verdict = judged("no_traffic_after_end", 5 * SECOND, events)
    assert verdict.value == 29.9 * SECOND
    assert verdict.what == "server 1 gets requests after its end"


def test_traffic_for_a_version_that_was_rolled_back() -> None:
    events = [
        at(0, "launched", server=1, role="canary", version="v1"), at(5, "deploy_started", deploy="d", version="v2"),
        at(6, "updated", server=1, version="v2"), at(20, "deploy_rolled_back", deploy="d", version="v1", reason=""),
    ]  # fmt: skip
    verdict = judged("no_traffic_after_end", 5 * SECOND, events)
    assert verdict.what == "server 1 of version v2 gets requests after the rollback"
    assert judged(
        "no_traffic_after_end", 5 * SECOND, [*events, at(22, "updated", server=1, version="v1")]
    ).held


FAULTY = FLEET + "faults: [{name: slow, type: slow, at: 10s, for: 5s, attributes: {factor: 2}}]\n"


def test_recovery_counts_from_the_end_of_the_last_fault() -> None:
    assert trigger_over(trace(text=FAULTY)) == 15 * SECOND
    assert judged("recovers_within", 10 * SECOND, text=FAULTY, bad_from=10, bad_to=25).held
    verdict = judged("recovers_within", 10 * SECOND, text=FAULTY, bad_from=10, bad_to=40)
    assert (verdict.held, verdict.since) == (False, 25 * SECOND)
    assert verdict.ratio == pytest.approx(15 / 35 / 0.1, rel=0.01)
    assert judged("recovers_within", 10 * SECOND, bad_from=10, bad_to=40).held, (
        "there was nothing to recover from"
    )


def test_a_peak_of_requests_is_a_trigger() -> None:
    peak = trace()
    peak.requests["time_ns"][300:400] = 20 * SECOND + np.arange(100)
    assert trigger_over(peak) == 21 * SECOND


def test_a_fault_that_never_ends_is_never_over() -> None:
    endless = FLEET + "faults: [{name: slow, type: slow, at: 10s, attributes: {factor: 2}}]\n"
    assert trigger_over(trace(text=endless)) == -1


def test_turning_round() -> None:
    turns = [at(n, "decision", desired=3 + n % 2, actual=3 + (n + 1) % 2, actions=1) for n in range(1, 7)]
    assert judged("most_reversals", 5, turns).held
    verdict = judged("most_reversals", 2, turns)
    assert (verdict.value, verdict.since) == (5.0, 4 * SECOND)


def test_a_fleet_that_stays_large() -> None:
    first = [at(0, "launched", server=n, role="serving") for n in (1, 2)]
    grown = [*first, at(12, "launched", server=3, role="serving")]
    verdict = judged("shrinks_within", 20 * SECOND, grown, text=FAULTY)
    assert (verdict.held, verdict.value, verdict.since) == (False, 45.0 * SECOND, 35 * SECOND)
    assert judged("shrinks_within", 20 * SECOND, [*grown, at(30, "draining", server=3)], text=FAULTY).held
