"""Invariants of a run in its tables, and as rows of summary.json, in the shape of objectives."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.columns import ATTEMPTS, METRICS, REQUESTS
from ..core.invariants import INVARIANTS, InvariantVerdict, Trace, judge_invariant
from ..core.model import FleetSpec, InvariantSpec
from ..core.outcomes import NAMES
from .tables import STATES, Reader, codes, numbers
from .wording import duration

_PLAIN = {
    "requests": [name for name, _ in REQUESTS if name not in ("source", "endpoint", "outcome")],
    "attempts": [name for name, _ in ATTEMPTS if name != "outcome"],
    "metrics": [name for name, _ in METRICS if name != "state"],
}


def judged(
    fleet: FleetSpec, table: Reader, events: Sequence[Mapping[str, Any]], end: int
) -> list[InvariantVerdict]:
    """The verdicts on all invariants of *fleet*; tables are read only if there are any."""
    if not fleet.invariants:
        return []
    trace = trace_of(fleet, table, events, end)
    return [judge_invariant(spec, trace) for spec in fleet.invariants]


def trace_of(fleet: FleetSpec, table: Reader, events: Sequence[Mapping[str, Any]], end: int) -> Trace:
    """A run as invariants are judged on it."""
    columns = {}
    for name, plain in _PLAIN.items():
        held = table(name, None)
        columns[name] = {column: numbers(held, column) for column in plain}
        if name == "requests":
            columns[name]["source"] = codes(held, "source", [source.name for source in fleet.sources])
        if name == "metrics":
            columns[name]["state"] = codes(held, "state", STATES)
        else:
            columns[name]["outcome"] = codes(held, "outcome", NAMES)
    return Trace(fleet, events, columns["requests"], columns["attempts"], columns["metrics"], end)


def invariant_text(spec: InvariantSpec) -> str:
    """An invariant with its bound: ``recovers within 30 s``."""
    words, unit = spec.name.replace("_", " "), INVARIANTS[spec.name].unit
    if unit == "flag":
        return words
    return f"{words} {duration(spec.bound) if unit == 'delay' else spec.bound}"


def row_of(verdict: InvariantVerdict, end: int) -> dict[str, Any]:
    """A row of the summary's objectives; ``value`` of one without a bound counts its breaches."""
    spec = verdict.spec
    return {
        "name": spec.name,
        "objective": invariant_text(spec),
        "indicator": "invariant",
        "unit": "delay" if INVARIANTS[spec.name].unit == "delay" else "times",
        "bound": spec.bound,
        "value": verdict.value,
        "from_ns": 0,
        "to_ns": end,
        "since_ns": verdict.since,
        "what": verdict.what,
        "held": verdict.held,
    }
