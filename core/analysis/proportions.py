"""Two shares of failures: is the canary's higher than the baseline's by a margin, or is it not?

The score test of Farrington and Manning (1990, Statistics in Medicine 9, "Test statistics and sample size formulae for comparative binomial trials with null
hypothesis of non-zero risk difference or non-unity relative risk"), which takes the variance at the likeliest shares that differ by just the margin (Miettinen and
Nurminen 1985, Statistics in Medicine 4), and their sample size. Where fewer than five failures are expected the score is not normal; then the exact intervals of Clopper and
Pearson (1934, Biometrika 26) of both shares decide, with half of the error each. (Fisher's exact test knows no margin.)
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

from ..confidence import incomplete_beta

NORMAL = NormalDist()

FEW = 5.0
"""Expected counts below this are small."""

_ROUNDS = 100


class Count(NamedTuple):
    """*failures* among *number* requests."""

    failures: int
    number: int

    @property
    def share(self) -> float:
        """Of failures."""
        return self.failures / self.number


def restricted(canary: Count, baseline: Count, margin: float) -> tuple[float, float]:
    """The likeliest shares (canary, baseline) whose difference is *margin*, by bisection of the likelihood's derivative, which falls."""
    low, high = max(0.0, -margin), min(1.0, 1.0 - margin)

    def slope(share: float) -> float:
        return _slope(canary, share + margin) + _slope(baseline, share)

    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    return min(low + margin, 1.0), low


def _slope(count: Count, share: float) -> float:
    """The derivative of the log-likelihood of *share*."""
    up = count.failures / share if count.failures else 0.0
    rest = count.number - count.failures
    return up - (rest / (1.0 - share) if rest else 0.0)


def score(canary: Count, baseline: Count, margin: float) -> float:
    """Standard deviations by which the observed difference is above *margin*."""
    high, low = restricted(canary, baseline, margin)
    variance = high * (1 - high) / canary.number + low * (1 - low) / baseline.number
    difference = canary.share - baseline.share - margin
    return difference / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, difference)


def is_small(canary: Count, baseline: Count, margin: float) -> bool:
    """Whether fewer than FEW failures (or successes) are expected of either where the shares differ by *margin*."""
    high, low = restricted(canary, baseline, margin)
    expected = (
        high * canary.number, (1 - high) * canary.number, low * baseline.number, (1 - low) * baseline.number,
    )  # fmt: skip
    return min(expected) < FEW


def is_worse(canary: Count, baseline: Count, margin: float, alpha: float) -> bool:
    """Whether the canary's share is higher by more than *margin*, with an error of at most *alpha*."""
    if not canary.number or not baseline.number:
        return False
    if is_small(canary, baseline, margin):
        return lower_bound(canary, alpha / 2) - upper_bound(baseline, alpha / 2) > margin
    return 1.0 - NORMAL.cdf(score(canary, baseline, margin)) <= alpha


def is_not_worse(canary: Count, baseline: Count, margin: float, alpha: float) -> bool:
    """Whether the canary's share is higher by less than *margin* (or lower), with an error of at most *alpha*."""
    if not canary.number or not baseline.number:
        return False
    if is_small(canary, baseline, margin):
        return upper_bound(canary, alpha / 2) - lower_bound(baseline, alpha / 2) < margin
    return NORMAL.cdf(score(canary, baseline, margin)) <= alpha


def lower_bound(count: Count, error: float) -> float:
    """Clopper and Pearson's lower bound: below it so many failures or more would have a probability of at most *error*."""
    if count.failures == 0:
        return 0.0
    return _solve(lambda share: at_least(count.failures, count.number, share), error)


def upper_bound(count: Count, error: float) -> float:
    """Their upper bound: above it so few failures or fewer would have a probability of at most *error*."""
    if count.failures == count.number:
        return 1.0
    return _solve(lambda share: at_least(count.failures + 1, count.number, share), 1.0 - error)


def at_least(failures: int, number: int, share: float) -> float:
    """The probability of *failures* or more among *number*: the incomplete beta function I_share(failures, number - failures + 1)."""
    return incomplete_beta(failures, number - failures + 1, share)


def _solve(rising: Callable[[float], float], value: float) -> float:
    """Where a function that rises from 0 to 1 is *value*."""
    low, high = 0.0, 1.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if rising(middle) < value:
            low = middle
        else:
            high = middle
    return low


def needed(share: float, ratio: float, margin: float, alpha: float, power: float) -> int:
    """Requests that the canary must have had, so that one whose share is the baseline's *share* passes with probability *power*; *ratio*: the baseline's per canary's."""
    # Expectations, as counts of a million requests.
    million = 1_000_000
    canary = Count(round(share * million), million)
    baseline = Count(round(share * million * ratio), max(round(million * ratio), 1))
    high, low = restricted(canary, baseline, margin)
    null = math.sqrt(high * (1 - high) + low * (1 - low) / ratio)
    other = math.sqrt(share * (1 - share) * (1 + 1 / ratio))
    size = ((NORMAL.inv_cdf(1 - alpha) * null + NORMAL.inv_cdf(power) * other) / margin) ** 2
    # Even without a failure the exact bound takes so many.
    exact = math.log(alpha / 2) / math.log1p(-margin)
    return math.ceil(max(size, exact))
