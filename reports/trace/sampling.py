"""Which requests' traces are kept: every error, the slowest, and a share of the rest by a draw; with weights, so that counts stay right.

The share is consistent probability sampling (OpenTelemetry, "TraceState: Probability Sampling"): a trace is kept if the last 56 bits of its id are at
least the rejection threshold, so that a collector which samples further, or another run with the same ids, keeps a part of the same ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.outcomes import GOOD
from ...core.trace.probability import threshold_of

ERROR, SLOW, SHARE = "error", "slow", "share"
_REASONS = ("", ERROR, SLOW, SHARE)

MOST_OF_THE_REST = 2_000
"""Without a share of its own, so many of the requests that neither failed nor were slow are kept, or all if they are fewer."""
SLOWEST, MOST_SLOW = 0.01, 2_000
"""The share of the requests that counts as slow, and how many it is at most."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The requests that are kept (their numbers, in order), why, and how many each of the *share* stands for; *total*: requests it was taken from."""

    wanted: Any
    reasons: Any
    weight: float
    threshold: int
    total: int

    def of(self, request: int) -> tuple[str, float, int]:
        """(why it is kept, how many requests it stands for, its rejection threshold) of one of *wanted*."""
        why = _REASONS[int(self.reasons[np.searchsorted(self.wanted, request)])]
        return (why, self.weight, self.threshold) if why == SHARE else (why, 1.0, 0)

    def count(self, why: str) -> int:
        """How many are kept for this reason."""
        return int((self.reasons == _REASONS.index(why)).sum())


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice is made from, of some requests: number, latency (ns), outcome, the 56 random bits of the trace's id."""

    request: Any
    latency: Any
    outcome: Any
    random: Any


def choose(parts: Iterable[Facts], share: float | None = None, slowest: float = SLOWEST) -> Sample:
    """The sample of all requests of *parts*. *share* of the rest (0 to 1; none: see MOST_OF_THE_REST); of the rest at least one is kept, for what it stands for."""
    request, latency, outcome, random = _joined(parts)
    total = len(request)
    failed = ~np.isin(outcome, list(GOOD))
    reasons = np.where(failed, _REASONS.index(ERROR), 0).astype(np.int8)
    slow = _slowest(latency, min(int(np.ceil(slowest * total)), MOST_SLOW))
    reasons[slow & ~failed] = _REASONS.index(SLOW)
    rest = np.flatnonzero(reasons == 0)
    if share is None:
        share = min(1.0, MOST_OF_THE_REST / max(len(rest), 1))
    threshold = threshold_of(share)
    if len(rest):
        threshold = min(threshold, int(random[rest].max()))
    kept = rest[random[rest] >= threshold]
    reasons[kept] = _REASONS.index(SHARE)
    weight = len(rest) / len(kept) if len(kept) else 1.0
    chosen = np.flatnonzero(reasons)
    order = chosen[np.argsort(request[chosen], kind="stable")]
    return Sample(request[order], reasons[order], weight, threshold, total)


def _joined(parts: Iterable[Facts]) -> tuple[Any, ...]:
    found = list(parts)
    kinds = {"request": np.int64, "latency": np.int64, "outcome": np.int8, "random": np.int64}
    return tuple(
        np.concatenate([np.zeros(0, kind), *(getattr(part, name).astype(kind) for part in found)])
        for name, kind in kinds.items()
    )


def _slowest(latency: Any, count: int) -> Any:
    """Which are the *count* slowest; of equal ones those that began first."""
    chosen = np.zeros(len(latency), dtype=bool)
    if not count:
        return chosen
    bound = np.partition(latency, len(latency) - count)[len(latency) - count]
    chosen[latency > bound] = True
    equal = np.flatnonzero(latency == bound)
    chosen[equal[: count - int(chosen.sum())]] = True
    return chosen
