"""Confidence intervals over independent seeds: Student's t for means. Plain mathematics, no library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the half width of its confidence interval (infinite with fewer than two values)."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """The interval that holds the expectation with probability *level* (at least one value)."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Interval(mean, math.inf)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean, student_quantile((1 + level) / 2, count - 1) * math.sqrt(variance / count))


def student_quantile(p: float, freedom: int) -> float:
    """The quantile of Student's t for *p* in (0.5, 1), by bisection of its distribution function."""
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < p:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if student_cdf(middle, freedom) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def student_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0: 1 - I_x(n/2, 1/2) / 2 with x = n / (n + t^2)."""
    x = freedom / (freedom + t * t)
    return 1.0 - incomplete_beta(freedom / 2, 0.5, x) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + numerator / c
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return front * fraction / a


HELD, VIOLATED, UNDECIDED, NO_DATA = "held", "violated", "undecided", "no data"


def judge_mean(values: Sequence[float], below: bool, bound: float) -> tuple[str, Interval | None]:
    """The verdict on an objective over seeds: held or violated if the whole interval says so, else undecided.

    A single value is judged as it is; its interval stays infinite.
    """
    if not values:
        return NO_DATA, None
    interval = mean_interval(values)
    if len(values) == 1:
        held = interval.mean < bound if below else interval.mean > bound
        return HELD if held else VIOLATED, interval
    inside = interval.high < bound if below else interval.low > bound
    outside = interval.low >= bound if below else interval.high <= bound
    return HELD if inside else VIOLATED if outside else UNDECIDED, interval
