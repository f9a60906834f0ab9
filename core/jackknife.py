"""Confidence intervals from one run: the jackknife over batches of time, for figures of requests that depend on one another.

A run is cut into batches of equal length. A figure is computed from all of it and, for each batch, from all but that batch; the spread of
these gives its standard error (Quenouille, Tukey; for blocks of dependent data Kuensch, "The jackknife and the bootstrap for general stationary
observations", Annals of Statistics 17, 1989), Student's t with one degree of freedom less than batches the interval (Schmeiser, "Batch size
effects in the analysis of simulation output", Operations Research 30, 1982: ten to thirty batches). Unlike the mean of batches' own figures it
stays right for ratios and percentiles (Munoz and Glynn, "A batch means methodology for estimation of a nonlinear function of a steady-state
mean", Management Science 43, 1997). Nothing is drawn, so that the same run always has the same interval.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .confidence import LEVEL, Interval, student_quantile
from .slo import percentile

BATCHES = 20
"""Batches of a run: enough for a steady standard error, few enough to be long beside what requests do to one another."""


def batch_count(seconds: int) -> int:
    """How many batches a run of whole *seconds* is cut into: none is shorter than a second."""
    return max(min(BATCHES, seconds), 1)


def batch_of(time: Any, length: int, batches: int) -> Any:
    """The batch that each *time* (ns, within [0, length)) belongs to."""
    return (np.asarray(time) * batches // length).clip(0, batches - 1)


def jackknife(whole: float, without: Sequence[float], level: float = LEVEL) -> Interval:
    """The interval of *whole* from the same figure *without* each batch.

    Infinite with fewer than two batches, or when a figure is not to be had (NaN) without some batch.
    """
    count = len(without)
    if count < 2 or any(not math.isfinite(value) for value in without):
        return Interval(whole, math.inf)
    middle = math.fsum(without) / count
    error = math.sqrt((count - 1) / count * math.fsum((value - middle) ** 2 for value in without))
    return Interval(whole, student_quantile((1 + level) / 2, count - 1) * error)


def ratio_without(above: Any, below: Any) -> tuple[float, list[float]]:
    """A ratio of sums from all batches, and without each: *above* and *below* are a batch's sums. NaN where nothing is below."""
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    tops, bottoms = above.sum() - above, below.sum() - below
    left = [float(top / bottom) if bottom else math.nan for top, bottom in zip(tops, bottoms, strict=True)]
    return (float(above.sum() / below.sum()) if below.sum() else math.nan), left


class Percentiles:
    """Nearest-rank percentiles of values that belong to batches, from all of them and without each batch."""

    def __init__(self, values: Any, batch: Any, batches: int) -> None:
        order = np.argsort(values, kind="stable")
        self._values = np.asarray(values)[order]
        batch = np.asarray(batch)[order]
        self._without = [self._values[batch != number] for number in range(batches)]

    def at(self, share: float) -> tuple[float, list[float]]:
        """The percentile, and without each batch; NaN where there are no values."""
        whole, *left = (
            float(percentile(some, share)) if len(some) else math.nan
            for some in (self._values, *self._without)
        )
        return whole, left
