"""Health of a part of a fleet against the scenario's objectives: share of errors and latency of what went through it in a window of time."""

from typing import Any

import numpy as np

from ...core.model import FleetSpec, SloSpec
from ...core.slo import measure, percentile
from ..wording import duration, share
from .map import BAD, GOOD, IDLE, WARNING

NEAR = 0.8
"""From this share of what an objective allows on it is a warning."""
TOLERABLE = 0.01
"""Share of errors that is bad where no objective says anything of errors."""


def objectives(fleet: FleetSpec, start: int, end: int) -> list[SloSpec]:
    """Those about errors and latency that hold for some time of [start, end) ns and demand something good (a scenario may expect the worst)."""
    found = [slo for slo in fleet.slos if slo.start < end and slo.end > start]
    return [slo for slo in found if _demands(slo)]


def _demands(slo: SloSpec) -> bool:
    if slo.indicator == "availability":
        return not slo.below
    return slo.below and (slo.indicator == "error_rate" or slo.indicator.startswith("latency"))


def health(slos: list[SloSpec], latency: Any, outcome: Any, bad: Any) -> tuple[str, str]:
    """(health, why) of what ended with *outcome* (a column) after *latency* (ns); *bad*: a mask of what counts as an error here."""
    if not len(outcome):
        return IDLE, ""
    errors = float(np.mean(bad))
    worst, why = GOOD, ""
    of_errors = [slo for slo in slos if not slo.indicator.startswith("latency")]
    if not of_errors and errors > 0:
        worst, why = (BAD if errors >= TOLERABLE else WARNING), f"{share(errors)} failed"
    for slo in of_errors:
        allowed = slo.bound if slo.indicator == "error_rate" else 1 - slo.bound
        if (found := _grade(errors, allowed, errors > 0)) != GOOD and worst != BAD:
            worst, why = found, f"{share(errors)} failed; {slo.name} allows {share(max(allowed, 0.0))}"
    for slo in slos:
        value = measure(slo.indicator, latency, outcome, 1.0) if slo.indicator.startswith("latency") else None
        if value is not None and worst != BAD and (found := _grade(value, slo.bound, True)) != GOOD:
            worst, why = found, f"{slo.indicator} is {duration(value)}; {slo.name} allows {duration(slo.bound)}"  # fmt: skip
    return worst, why


def _grade(value: float, allowed: float, matters: bool) -> str:
    if not matters or value < NEAR * allowed:
        return GOOD
    return BAD if value >= allowed else WARNING


def p95(values: Any) -> int | None:
    """The 95th percentile (nearest rank) of some times; None of none."""
    return percentile(np.sort(values), 0.95) if len(values) else None
