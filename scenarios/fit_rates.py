"""Arrival rates over time from a log's counts, and how bursty they are."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .log_lines import Column

WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
"""Lengths (s) that a stage may have."""
STAGE_REQUESTS = 100
"""A stage holds at least so many requests on average: a Poisson count of 100 is known to 10%."""
STAGES_LIMIT = 200
_PENDING = 1 << 20


@dataclass(frozen=True, slots=True)
class Stages:
    """Rates (requests/s) of stretches of *width* seconds; the last one lasts *rest* seconds."""

    width: int
    rest: int
    rates: tuple[float, ...]

    def lengths(self) -> list[int]:
        """The length of each (s)."""
        return [self.width] * (len(self.rates) - 1) + [self.rest]


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Variance / mean of the counts in windows; *within*: around the stages' rates, None where the stages are about as fine as the windows.

    *noise*: the standard deviation that either has where arrivals are Poisson.
    """

    whole: float
    within: float | None
    noise: float


class SecondCounts:
    """Requests per second, 16 bytes for each second that has any; *add* in any order."""

    def __init__(self) -> None:
        self._seconds: list[Column] = []
        self._counts: list[Column] = []
        self._pending = 0

    def add(self, seconds: Column) -> None:
        """Count requests in these seconds."""
        found, counts = np.unique(seconds, return_counts=True)
        self._seconds.append(found)
        self._counts.append(counts)
        self._pending += len(found)
        if self._pending > _PENDING:
            self._merge()

    def dense(self) -> Column:
        """Counts from the first second with a request to the last one."""
        self._merge()
        seconds, counts = self._seconds[0], self._counts[0]
        made = np.zeros(int(seconds[-1] - seconds[0]) + 1, dtype=np.int64)
        made[seconds - seconds[0]] = counts
        return made

    def _merge(self) -> None:
        seconds, place = np.unique(np.concatenate(self._seconds), return_inverse=True)
        counts = np.zeros(len(seconds), dtype=np.int64)
        np.add.at(counts, place, np.concatenate(self._counts))
        self._seconds, self._counts, self._pending = [seconds], [counts], 0


def stages_of(counts: Column) -> Stages:
    """The finest stages that hold 100 requests on average, 200 of them at most; one stage if none do."""
    length, total = len(counts), int(counts.sum())
    for width in WIDTHS:
        number = math.ceil(length / width)
        if number <= STAGES_LIMIT and total / number >= STAGE_REQUESTS:
            break
    else:
        width = length
    starts = np.arange(0, length, width)
    sums = np.add.reduceat(counts, starts)
    lengths = np.diff(np.append(starts, length))
    rates = tuple(float(f"{rate:.4g}") for rate in (sums / lengths).tolist())
    return Stages(width, int(lengths[-1]), rates)


def dispersion(counts: Column, stages: Stages, window: int) -> Dispersion | None:
    """The index of dispersion of counts in windows of so many seconds; None with fewer than two windows."""
    number = len(counts) // window
    if number < 2:
        return None
    seen = _windows(counts.astype(np.float64), window)
    expected = _windows(np.repeat(np.array(stages.rates), stages.lengths()), window)
    whole = float(seen.var(ddof=1) / seen.mean()) if seen.any() else 0.0
    free = number - len(stages.rates)
    within = None
    if free >= number / 2 and expected.any():
        within = float(((seen - expected) ** 2).sum() / expected.sum() * number / free)
    return Dispersion(whole, within, math.sqrt(2 / number))


def _windows(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    whole = len(values) // window
    sums: npt.NDArray[np.float64] = values[: whole * window].reshape(whole, window).sum(axis=1)
    return sums
