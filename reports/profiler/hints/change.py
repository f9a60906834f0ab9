"""Statistics of change: is a stretch of a run unlike the rest of it, or is that chance? Every answer bounds the probability of a false alarm without any resampling.

``stretch_apart`` looks at all stretches of consecutive bins, so that it finds a step that lasts to the end (Page 1955, Biometrika 42), one that is over again and a slow drift alike; the
scan over all pairs of ends is that of circular binary segmentation (Olshen, Venkatraman, Lucito and Wigler 2004, Biostatistics 5), with Bonferroni's bound over all pairs in
place of permutations. What is compared are scores with a known variance: ranks among peers in the same bin (van Elteren 1960: the stratified test of Wilcoxon), which any distribution
of the values, however heavy its tail, leaves as they are. What neighbours in time have in common makes the variance greater than independent values would have: it is
measured and counted (all lags up to the first without correlation, as in Geyer 1992, Statistical Science 7), with Student's distribution in place of the normal one.

``pettitt`` is for a series of which only the order of its values is to count (Pettitt 1979, Applied Statistics 28), ``mann_kendall`` for one that only grows (Kendall 1975),
``theil_sen`` its slope (Sen 1968), ``holm`` for several answers at once (Holm 1979, Scandinavian Journal of Statistics 6). ``excess`` bounds the tail of a number of failures drawn
without replacement (Hoeffding 1963, Journal of the American Statistical Association 58).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....core.confidence import incomplete_beta

LAGS = 12
"""So many lags of a series' correlation with itself are counted at most."""

LEAST_BINS = 3
"""Bins that a stretch, and what is outside it, have at least."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bins [first, last) whose scores are greater than those outside; *z*: by how many standard errors; *p*: the probability of any such stretch by chance."""

    first: int
    last: int
    z: float
    p: float


def stretch_apart(score: Any, variance: Any, weight: Any) -> Stretch | None:
    """The stretch whose mean score is furthest above that of the rest: per bin, the sum of scores, its variance if chance alone is at work, and how many values
    it is of. None if there are too few bins, or no stretch is above the rest.
    """
    bins = len(score)
    if bins < 2 * LEAST_BINS:
        return None
    sums, spreads, sizes = (np.concatenate([[0.0], np.cumsum(one)]) for one in (score, variance, weight))
    first, last = np.triu_indices(bins + 1, LEAST_BINS)
    able = bins - (last - first) >= LEAST_BINS
    first, last = first[able], last[able]
    inner, inner_spread, inner_size = (one[last] - one[first] for one in (sums, spreads, sizes))
    outer, outer_spread, outer_size = sums[-1] - inner, spreads[-1] - inner_spread, sizes[-1] - inner_size
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = inner / inner_size - outer / outer_size
        z = apart / np.sqrt(inner_spread / inner_size**2 + outer_spread / outer_size**2)
    z = np.where(np.isfinite(z), z, -np.inf)
    best = int(np.argmax(z))
    if not np.isfinite(z[best]) or z[best] <= 0:
        return None
    inside = np.zeros(bins, dtype=bool)
    inside[first[best] : last[best]] = True
    fitted = np.where(inside, inner[best] / inner_size[best], outer[best] / outer_size[best])
    corrected, p = _tail(float(z[best]), _dispersion(score - weight * fitted, variance), bins - 3)
    p = min(p * len(first), 1.0)
    return Stretch(int(first[best]), int(last[best]), corrected, p)


def whole_apart(score: Any, variance: Any, weight: Any) -> tuple[float, float]:
    """Whether the scores of all bins together are above 0, what chance alone would give: (z, p)."""
    spread = float(np.sum(variance))
    if spread <= 0 or len(score) < 2 * LEAST_BINS:
        return 0.0, 1.0
    level = float(np.sum(score)) / max(float(np.sum(weight)), 1.0)
    dispersion = _dispersion(score - weight * level, variance)
    return _tail(float(np.sum(score)) / math.sqrt(spread), dispersion, len(score) - 1)


def _tail(z: float, dispersion: float, freedom: int) -> tuple[float, float]:
    """(z, p) with the variance as it was measured, or as it is known if that is not less."""
    if dispersion <= 1:
        return z, math.erfc(z / math.sqrt(2)) / 2
    z /= math.sqrt(dispersion)
    return z, upper_tail(z, freedom)


def _dispersion(residual: Any, variance: Any) -> float:
    """By what factor the variance of sums is greater than told; 1 if it is not, or no more than by chance."""
    able = variance > 0
    if int(able.sum()) < 2 * LEAST_BINS:
        return 1.0
    scaled = residual[able] / np.sqrt(variance[able])
    power = float(np.dot(scaled, scaled))
    if power <= 0:
        return 1.0
    together = 1.0
    for lag in range(1, min(LAGS, len(scaled) - 1) + 1):
        related = float(np.dot(scaled[lag:], scaled[:-lag])) / power
        if related <= 0:
            break
        together += 2 * related
    freedom = max(len(scaled) - 3, 1)
    found = power / freedom * together
    # The mean of so many squares is so far above 1 by chance.
    return found if found > 1 + math.sqrt(2 / freedom) else 1.0


def upper_tail(t: float, freedom: int) -> float:
    """The probability that Student's t is greater than *t* (0 or more), which has its digits also where it is tiny."""
    freedom = max(freedom, 1)
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2 if t > 0 else 0.5


def rank_scores(strata: Any, bucket: Any, size: tuple[int, int]) -> tuple[Any, Any]:
    """Of values in *bucket* (a number that grows with the value) and in strata: the mid-rank of each, as a share of its stratum less one half, and per stratum the variance of that.

    *size*: how many strata and buckets there are.
    """
    many = np.bincount(strata * size[1] + bucket, minlength=size[0] * size[1]).reshape(size)
    total = many.sum(axis=1, keepdims=True)
    place = (np.cumsum(many, axis=1) - many / 2) / np.maximum(total, 1) - 0.5
    spread = (many * place**2).sum(axis=1) / np.maximum(total[:, 0], 1)
    return place[strata, bucket], spread


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a series changes: the first value of the new level; *up*: whether that is the higher one; *p*."""

    place: int
    up: bool
    p: float


def pettitt(values: Sequence[float] | Any) -> Turn | None:
    """The most probable change of level of a series of independent values, by ranks. None for fewer than eight. The bound on p is Pettitt's, 2 exp(-6 K^2 / (n^3 + n^2))."""
    series = np.asarray(values, dtype=float)
    size = len(series)
    if size < 8:
        return None
    walk = 2 * np.cumsum(ranks(series))[:-1] - np.arange(1, size) * (size + 1)
    place = int(np.argmax(np.abs(walk)))
    most = float(walk[place])
    return Turn(place + 1, most < 0, min(2 * math.exp(-6 * most * most / (size**3 + size**2)), 1.0))


def raised(values: Sequence[float] | Any) -> Stretch | None:
    """The stretch in which a series is higher than outside, by the ranks of its values: Pettitt's, that lasts to the end, or one that ``stretch_apart`` finds, whichever is
    less probable by chance (p is for both together). None if there are too few values, or none.
    """
    series = np.asarray(values, dtype=float)
    size = len(series)
    turn = pettitt(series)
    if turn is None:
        return None
    score = ranks(series) / size - (size + 1) / (2 * size)
    found = stretch_apart(score, np.full(size, float(np.mean(score**2))), np.ones(size))
    if turn.up and (found is None or turn.p <= found.p):
        return Stretch(turn.place, size, 0.0, min(2 * turn.p, 1.0))
    return None if found is None else Stretch(found.first, found.last, found.z, min(2 * found.p, 1.0))


def drift(level: Any) -> tuple[int, int] | None:
    """Between which places a series rises in a straight line from one level to another, if that fits better than a step; None if it does not.

    Both are fitted by least squares over all places; the line, which has one place more to choose, must be better by Schwarz's criterion (1978, Annals of
    Statistics 6) and a margin, and take at least a sixth of the series.
    """
    size = len(level)
    if size < 2 * LEAST_BINS:
        return None
    least = max(6, size // 6)
    place = np.arange(size)
    best = float(_remainders(level, place >= np.arange(1, size)[:, None]).min())
    first, last = np.triu_indices(size, least)
    chosen = last % max(size // 30, 1) == 0
    first, last = first[chosen, None], last[chosen, None]
    if not len(first):
        return None
    left = _remainders(level, np.clip((place - first) / (last - first), 0, 1))
    least_left = int(np.argmin(left))
    if float(left[least_left]) >= best * math.exp(-(math.log(size) + 3) / size):
        return None
    return int(first[least_left, 0]), int(last[least_left, 0])


def _remainders(level: Any, shapes: Any) -> Any:
    """The sum of squares that remains of *level* when a + b * shape is fitted, b not below 0, for each row of *shapes*."""
    apart, across = level - level.mean(), shapes - shapes.mean(axis=1, keepdims=True)
    power = np.maximum((across**2).sum(axis=1), 1e-12)
    slope = np.maximum(across @ apart, 0.0) / power
    return float(np.dot(apart, apart)) - slope * slope * power


def ranks(series: Any) -> Any:
    """The rank of each value, from 1; equal ones share theirs."""
    _, inverse, counts = np.unique(series, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def mann_kendall(values: Sequence[float] | Any) -> tuple[float, float]:
    """(Kendall's tau against time, p that a series without trend rises so much), by the normal approximation with ties."""
    series = np.asarray(values, dtype=float)
    size = len(series)
    if size < 8:
        return 0.0, 1.0
    later, earlier = np.tril_indices(size, -1)
    rises = float(np.sign(series[later] - series[earlier]).sum())
    _, ties = np.unique(series, return_counts=True)
    spread = (size * (size - 1) * (2 * size + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if spread <= 0:
        return 0.0, 1.0
    z = (rises - np.sign(rises)) / math.sqrt(spread)
    return rises / len(later), math.erfc(z / math.sqrt(2)) / 2


def theil_sen(place: Any, values: Any) -> float:
    """The median slope of all pairs."""
    place, values = np.asarray(place, dtype=float), np.asarray(values, dtype=float)
    later, earlier = np.tril_indices(len(values), -1)
    apart = place[later] - place[earlier]
    able = apart > 0
    return float(np.median((values[later] - values[earlier])[able] / apart[able])) if able.any() else 0.0


def excess(failed: Any, drawn: Any, share: Any) -> Any:
    """The probability, at most, that of *drawn* out of many so many failed, or more, where *share* of all did; of each, for arrays."""
    found, share = np.divide(failed, np.maximum(drawn, 1)), np.minimum(share, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.where(found > 0, found * np.log(found / share), 0.0)
        fewer = np.where(found < 1, (1 - found) * np.log((1 - found) / (1 - share)), 0.0)
        return np.where(found > share, np.exp(-drawn * (more + fewer)), 1.0)


def holm(chances: Sequence[float], alpha: float) -> list[bool]:
    """Which of several p-values are significant together, with an error of at most *alpha* for any of them."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    found = [False] * len(chances)
    for rank, place in enumerate(order):
        if chances[place] > alpha / (len(chances) - rank):
            break
        found[place] = True
    return found
