"""Service level objectives: indicators of a set of requests, and whether a bound holds.

Latency indicators are over the requests answered as planned (``ok``), counted from the intended send time; the
error rate counts every outcome but ``ok`` and ``unread`` (unfinished ones too) among all. Percentiles are by nearest rank, so that
they are values that occurred.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .model import SECOND, SloSpec
from .outcomes import GOOD, Outcome

_PERCENTILE = re.compile(r"latency_p(0[1-9]|[1-9]\d|9\d{2,3})\Z")

SIMPLE_INDICATORS = ("latency_mean", "latency_max", "error_rate", "availability", "throughput")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An SLO and what was measured; *value* is None when there was nothing to measure (which violates nothing)."""

    slo: SloSpec
    value: float | None

    @property
    def held(self) -> bool:
        """Whether the objective holds."""
        if self.value is None:
            return True
        return self.value < self.slo.bound if self.slo.below else self.value > self.slo.bound


def percentile_of(indicator: str) -> float | None:
    """The share (0 to 1) that an indicator such as latency_p99 or latency_p999 names, or None."""
    match = _PERCENTILE.match(indicator)
    if not match:
        return None
    digits = match.group(1)
    return int(digits) / float(10 ** len(digits))


def is_indicator(name: str) -> bool:
    """Whether *name* is an indicator."""
    return name in SIMPLE_INDICATORS or percentile_of(name) is not None


def unit_of(indicator: str) -> str:
    """``time`` (ns), ``share`` (0 to 1) or ``rate`` (per second)."""
    if indicator.startswith("latency"):
        return "time"
    return "rate" if indicator == "throughput" else "share"


def percentile(sorted_values: npt.NDArray[np.int64], share: float) -> int:
    """The nearest-rank percentile of ascending values (at least one)."""
    rank = int(np.ceil(share * len(sorted_values) - 1e-9))
    return int(sorted_values[max(rank, 1) - 1])


def _latency(reduce: Callable[[npt.NDArray[np.int64]], float]) -> Callable[..., float | None]:
    def measure(latency: Any, outcome: Any, seconds: float) -> float | None:
        answered = latency[outcome == Outcome.OK]
        return reduce(answered) if len(answered) else None

    return measure


def _error_rate(latency: Any, outcome: Any, seconds: float) -> float | None:
    if not len(outcome):
        return None
    return 1.0 - float(np.isin(outcome, list(GOOD)).sum()) / len(outcome)


def _availability(latency: Any, outcome: Any, seconds: float) -> float | None:
    errors = _error_rate(latency, outcome, seconds)
    return None if errors is None else 1.0 - errors


def _throughput(latency: Any, outcome: Any, seconds: float) -> float | None:
    return float((outcome == Outcome.OK).sum()) / seconds if seconds > 0 else None


_MEASURES: dict[str, Callable[..., float | None]] = {
    "latency_mean": _latency(lambda values: float(values.mean())),
    "latency_max": _latency(lambda values: float(values.max())),
    "error_rate": _error_rate,
    "availability": _availability,
    "throughput": _throughput,
}


def measure(
    indicator: str, latency: npt.NDArray[np.int64], outcome: npt.NDArray[np.int8], seconds: float
) -> float | None:
    """The indicator's value over requests given as columns, or None if there is nothing to measure."""
    share = percentile_of(indicator)
    if share is not None:
        return _latency(lambda values: float(percentile(np.sort(values), share)))(latency, outcome, seconds)
    return _MEASURES[indicator](latency, outcome, seconds)


def judge(
    slo: SloSpec,
    time: npt.NDArray[np.int64],
    source: npt.NDArray[np.int32],
    latency: npt.NDArray[np.int64],
    outcome: npt.NDArray[np.int8],
) -> Verdict:
    """Judge *slo* on the request columns of a run."""
    chosen = (time >= slo.start) & (time < slo.end) & np.isin(source, slo.sources)
    seconds = (slo.end - slo.start) / SECOND
    return Verdict(slo, measure(slo.indicator, latency[chosen], outcome[chosen], seconds))
