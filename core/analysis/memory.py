"""Memory of the canaries and of the baseline at the same times: is the difference, or its growth, beyond a margin?

Samples of a second hang together with those of the second before, so that what is compared are means over some seconds (batches), canary and baseline side by side: the
difference of each pair is one value, and so is its change from batch to batch, per minute. Student's interval of the values' mean decides (core.confidence). Changes of something that
only fluctuates tend to undo each other, which makes the interval wider than it need be, never narrower; memory that is lost for good is a sum of independent
losses, for which it is right.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

from ..confidence import student_quantile

LEAST_VALUES = 5
"""Fewer say nothing."""

MINUTE = 60_000_000_000

Batch = tuple[float, float]
"""Mean share of memory of the canaries, and of the baseline's servers."""


class Spread(NamedTuple):
    """Of some values: how many, mean, standard deviation."""

    number: int
    mean: float
    deviation: float


def levels(batches: Sequence[Batch]) -> list[float]:
    """How much higher the canaries' memory was."""
    return [canary - baseline for canary, baseline in batches]


def growths(batches: Sequence[Batch], every: int) -> list[float]:
    """How much more it grew from batch to batch, per minute; *every*: ns between batches."""
    values = levels(batches)
    return [(after - before) * MINUTE / every for before, after in pairwise(values)]


def spread(values: Sequence[float]) -> Spread:
    """Of *values* (two at least)."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Spread(len(values), mean, math.sqrt(variance))


def is_above(found: Spread, margin: float, alpha: float) -> bool:
    """Whether the expectation is above *margin*, with an error of at most *alpha*."""
    return found.mean - _half(found, alpha) > margin


def is_below(found: Spread, margin: float, alpha: float) -> bool:
    """Whether it is below."""
    return found.mean + _half(found, alpha) < margin


def _half(found: Spread, alpha: float) -> float:
    return student_quantile(1 - alpha, found.number - 1) * found.deviation / math.sqrt(found.number)


def needed(found: Spread, margin: float, alpha: float, power: float) -> int:
    """Values that are needed, so that an expectation of 0 is shown to be below *margin* with probability *power* (Guenther 1981, The American Statistician 35)."""
    normal = NormalDist()
    one = normal.inv_cdf(1 - alpha)
    size = ((one + normal.inv_cdf(power)) * found.deviation / margin) ** 2 + one**2 / 2
    return max(math.ceil(size), LEAST_VALUES)
