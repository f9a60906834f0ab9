"""Two distributions of latency, as histograms: does the canary take longer than the baseline would if it were slower by a margin, or not?

The baseline's histogram is stretched by the margin. Then the question is the one of Mann and Whitney (1947, Annals of Mathematical Statistics 18): is a request to the canary longer
than one to the stretched baseline with a probability above one half, where equal ones (of one bucket) count as one half? The variance is that of Brunner and Munzel (2000,
Biometrical Journal 42, "The nonparametric Behrens-Fisher problem: asymptotic theory and a small-sample approximation"), which needs neither the same shape nor the
absence of ties. The sample size is Noether's (1987, Journal of the American Statistical Association 82, "Sample size determination for some common nonparametric tests").

Requests are taken as independent. Those of a busy server wait for each other, so that its latencies are not; the margin has to be wide enough for that.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

from ..confidence import student_cdf

NORMAL = NormalDist()


class Superiority(NamedTuple):
    """How probable it is that the first is longer (ties count half), its standard error, degrees of freedom; the smallest p-value that so few values can have."""

    probability: float
    error: float
    freedom: float
    smallest: float


def superiority(first: Sequence[float], second: Sequence[float]) -> Superiority:
    """Of two histograms over the same buckets, both with two values at least."""
    many, other = math.fsum(first), math.fsum(second)
    mean, spread = _placements(first, second, other)
    _, spread_of_second = _placements(second, first, many)
    one = spread * many / (many - 1) / many
    two = spread_of_second * other / (other - 1) / other
    error = math.sqrt(one + two)
    freedom = (one + two) ** 2 / (one**2 / (many - 1) + two**2 / (other - 1)) if error > 0 else 1.0
    arrangements = math.lgamma(many + other + 1) - math.lgamma(many + 1) - math.lgamma(other + 1)
    return Superiority(mean, error, freedom, math.exp(-arrangements))


def _placements(values: Sequence[float], among: Sequence[float], size: float) -> tuple[float, float]:
    """Mean and variance of the share of *among* (of *size*) that is below each of the *values*."""
    below, weight, total, squares = 0.0, 0.0, 0.0, 0.0
    for count, others in zip(values, among, strict=True):
        place = (below + others / 2) / size
        weight += count
        total += count * place
        squares += count * place * place
        below += others
    mean = total / weight
    return mean, max(squares / weight - mean * mean, 0.0)


def p_longer(found: Superiority) -> float:
    """How probable so much superiority is, or more, where the first is not longer."""
    return _p(found.probability - 0.5, found)


def p_not_longer(found: Superiority) -> float:
    """How probable so little is, or less, where the first is longer."""
    return _p(0.5 - found.probability, found)


def _p(distance: float, found: Superiority) -> float:
    if found.error <= 0:
        # Wholly apart (or all of them equal).
        return found.smallest if distance > 0 else 1.0 - found.smallest if distance < 0 else 0.5
    t = distance / found.error
    tail = 1.0 - student_cdf(abs(t), max(int(found.freedom), 1))
    return max(tail, found.smallest) if t >= 0 else 1.0 - tail


def stretched(counts: Sequence[int], factor: float, start: Callable[[int], int]) -> list[float]:
    """The histogram of values *factor* (1 or more) times as long; *start* tells where a bucket begins. Values are taken as spread evenly over their bucket."""
    last = len(counts) - 1
    edges = [start(bucket) for bucket in range(len(counts))]
    result = [0.0] * len(counts)
    for bucket, count in enumerate(counts):
        if bucket == last:
            result[last] += count
        elif count:
            low, high = edges[bucket] * factor, edges[bucket + 1] * factor
            for into in range(bucket, last + 1):
                end = edges[into + 1] if into < last else math.inf
                result[into] += count * max(min(end, high) - max(edges[into], low), 0.0) / (high - low)
                if end >= high:
                    break
    return result


def needed(typical: Superiority, share: float, alpha: float, power: float) -> float:
    """Requests that the canary must have had, if it is as the baseline, and *typical* is that of the baseline over its stretched self; *share*: the canary's of all requests of both."""
    distance = 0.5 - typical.probability
    if distance <= 0:
        return math.inf
    quantiles = NORMAL.inv_cdf(1 - alpha) + NORMAL.inv_cdf(power)
    return math.ceil(quantiles**2 / (12 * (1 - share) * distance**2))
