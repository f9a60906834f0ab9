"""A run in figures: planned, sent, outcomes, percentiles, fleet, cost, verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.alerts import FIRED, ExpectVerdict, judge_expectation
from ..core.model import FLOOD, SECOND, FleetSpec
from ..core.outcomes import NAMES, Outcome
from ..core.rollout.outcome import Outcome as DeployOutcome
from ..core.rollout.outcome import outcomes
from ..core.slo import Verdict, judge, percentile, unit_of
from .invariants import judged, row_of
from .tables import STATES, Reader, codes, numbers

PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999))

HOUR = 3600 * SECOND


def summarise(
    fleet: FleetSpec,
    table: Reader,
    digest: str,
    end: int,
    instance_ns: int,
    fingerprint: str,
    events: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The contents of summary.json. *events* are needed for invariants and what is expected of alerts."""
    requests = table("requests", ("time_ns", "latency_ns", "source", "outcome"))
    time, latency = numbers(requests, "time_ns"), numbers(requests, "latency_ns")
    source = codes(requests, "source", [spec.name for spec in fleet.sources])
    outcome = codes(requests, "outcome", NAMES)
    verdicts = [judge(slo, time, source, latency, outcome) for slo in fleet.slos]
    expected = [judge_expectation(one, _fired(one.alert, events)) for one in fleet.expects]
    ends = outcomes(fleet.deploys, events)
    invariants = judged(fleet, table, events, end)
    readers = [n for n, spec in enumerate(fleet.sources) if spec.ordinary]
    answered = np.sort(latency[(outcome == Outcome.OK) & np.isin(source, readers)])
    return {
        "scenario": fleet.name,
        "scenario_hash": fingerprint,
        "seed": fleet.seed,
        "digest": digest,
        "passed": all(one.held for one in verdicts)
        and all(one.held for one in expected)
        and all(one.held for one in ends)
        and all(one.held for one in invariants),
        "duration_ns": fleet.duration,
        "end_ns": end,
        "slo": [
            *(_slo(verdict) for verdict in verdicts),
            *(_expected(verdict) for verdict in expected),
            *(_ended(one) for one in ends if one.spec.expect),
            *(row_of(one, end) for one in invariants),
        ],
        **({"deploys": [_deploy(one) for one in ends]} if ends else {}),
        "planned": len(time),
        "sent": table("attempts", ("attempt",)).num_rows,
        "outcomes": _counts(outcome),
        "sources": {
            spec.name: {
                "planned": int((source == number).sum()),
                "reads_response": spec.client.mode != FLOOD,
                "outcomes": _counts(outcome[source == number]),
            }
            for number, spec in enumerate(fleet.sources)
        },
        "latency_ns": _latency(answered),
        "fleet": _fleet(table("metrics", ("time_ns", "server", "state"))),
        "instance_hours": round(instance_ns / HOUR, 6),
    }


def _slo(verdict: Verdict) -> dict[str, Any]:
    slo = verdict.slo
    return {
        "name": slo.name,
        "objective": slo.text,
        "indicator": slo.indicator,
        "unit": {"time": "ns", "share": "1", "rate": "1/s"}[unit_of(slo.indicator)],
        "bound": slo.bound,
        "value": verdict.value,
        "from_ns": slo.start,
        "to_ns": slo.end,
        "held": verdict.held,
    }


def _fired(alert: str, events: Sequence[Mapping[str, Any]]) -> list[int]:
    return [int(event["t"]) for event in events if event["event"] == FIRED and event["name"] == alert]


def _expected(verdict: ExpectVerdict) -> dict[str, Any]:
    """An expectation in the shape of an objective."""
    spec = verdict.spec
    return {
        "name": f"alert {spec.alert}",
        "objective": spec.text,
        "indicator": "alert_delay" if spec.fires else "alert_count",
        "unit": "delay" if spec.fires else "alerts",
        "bound": spec.within if spec.fires else 0,
        "value": verdict.value,
        "from_ns": spec.start,
        "to_ns": spec.start + spec.within,
        "held": verdict.held,
    }


def _ended(outcome: DeployOutcome) -> dict[str, Any]:
    """How a deploy was expected to end, in the shape of an objective; its value is how long that took, None: it did not end so."""
    spec = outcome.spec
    return {
        "name": f"deploy {spec.name}",
        "objective": f"deploy {spec.name} is {spec.expect.replace('_', ' ')}",
        "indicator": "deploy",
        "unit": "delay",
        "bound": 0,
        "value": outcome.ended - outcome.began if outcome.held else None,
        "from_ns": spec.at,
        "to_ns": max(outcome.ended, spec.at),
        "held": outcome.held,
    }


def _deploy(outcome: DeployOutcome) -> dict[str, Any]:
    """What became of a deploy."""
    return {
        "name": outcome.spec.name,
        "branch": outcome.spec.branch,
        "version": outcome.spec.version,
        "began_ns": outcome.began,
        "ended_ns": outcome.ended,
        "outcome": outcome.end,
        "reason": outcome.reason,
    }


def _counts(outcome: Any) -> dict[str, int]:
    values, counts = np.unique(outcome, return_counts=True)
    return {NAMES[value]: int(count) for value, count in zip(values, counts, strict=True)}


def _latency(answered: Any) -> dict[str, float | int]:
    """Of requests answered as planned, by clients that read."""
    if not len(answered):
        return {}
    found: dict[str, float | int] = {"mean": round(float(answered.mean()), 3)}
    found.update({name: percentile(answered, share) for name, share in PERCENTILES})
    found["max"] = int(answered[-1])
    return found


def _fleet(metrics: pa.Table) -> dict[str, Any]:
    """Serving servers (canaries included) at the seconds sampled."""
    sizes = serving_sizes(metrics)
    if not len(sizes):
        return {}
    return {
        "first": int(sizes[0]),
        "least": int(sizes.min()),
        "most": int(sizes.max()),
        "last": int(sizes[-1]),
        "mean": round(float(sizes.mean()), 3),
    }


def serving_sizes(metrics: pa.Table) -> Any:
    """Serving and canary servers in each sampled second."""
    time, server = numbers(metrics, "time_ns"), numbers(metrics, "server")
    state = codes(metrics, "state", STATES)
    seconds = np.unique(time)
    serving = np.isin(state, (2, 3)) & (server > 0)
    return np.bincount(np.searchsorted(seconds, time[serving]), minlength=len(seconds))


def per_bin(time: Any, weights: Any, bins: int, width: int) -> Any:
    """Sum *weights* (None: count) by bins of *width* seconds, per second."""
    index = np.minimum(time // (width * SECOND), bins - 1).astype(np.int64)
    return np.bincount(index, weights=weights, minlength=bins) / width


def percentiles_per_bin(time: Any, latency: Any, bins: int, width: int, shares: Sequence[float]) -> Any:
    """Nearest-rank percentiles of latency for bins of *width* seconds of *time*; NaN where there is none. Shape (shares, bins)."""
    found = np.full((len(shares), bins), np.nan)
    index = (time // (width * SECOND)).astype(np.int64)
    places = np.searchsorted(index, np.arange(bins + 1)) if bool((np.diff(index) >= 0).all()) else None
    if places is None:
        order = np.argsort(index, kind="stable")
        index, latency = index[order], latency[order]
        places = np.searchsorted(index, np.arange(bins + 1))
    for number in range(bins):
        block = np.sort(latency[places[number] : places[number + 1]])
        if len(block):
            for row, share in enumerate(shares):
                found[row, number] = percentile(block, share)
    return found
