"""Two shares of failures: against exact enumeration and textbook bounds."""

import math

import pytest
from windtunnel.core.analysis.proportions import (
    Count,
    at_least,
    is_not_worse,
    is_small,
    is_worse,
    lower_bound,
    needed,
    restricted,
    score,
    upper_bound,
)


def binomial(number: int, share: float) -> list[float]:
    return [math.comb(number, k) * share**k * (1 - share) ** (number - k) for k in range(number + 1)]


def log_likelihood(canary: Count, baseline: Count, high: float, low: float) -> float:
    total = 0.0
    for count, share in ((canary, high), (baseline, low)):
        total += count.failures * math.log(share) if count.failures else 0.0
        total += (count.number - count.failures) * math.log1p(-share)
    return total


@pytest.mark.parametrize(
    ("canary", "baseline", "margin"),
    [
        (Count(7, 40), Count(3, 90), 0.05),
        (Count(1, 50), Count(20, 60), 0.1),
        (Count(30, 60), Count(30, 60), 0.2),
        (Count(5, 20), Count(0, 200), 0.01),
    ],
)
def test_the_restricted_shares_are_the_likeliest(canary: Count, baseline: Count, margin: float) -> None:
    high, low = restricted(canary, baseline, margin)
    assert high - low == pytest.approx(margin)
    grid = [step / 5000 for step in range(1, 5000) if step / 5000 + margin < 1]
    best = max(grid, key=lambda share: log_likelihood(canary, baseline, share + margin, share))
    assert low == pytest.approx(best, abs=3e-4)


def test_without_a_margin_the_score_is_the_pooled_one() -> None:
    """15 of 100 against 5 of 100: p = 0.1, z = 0.1 / sqrt(0.1 x 0.9 x 2 / 100)."""
    assert score(Count(15, 100), Count(5, 100), 0.0) == pytest.approx(0.1 / math.sqrt(0.0018))


def test_clopper_and_pearson() -> None:
    """0 of 10: 1 - 0.025^(1/10); and both bounds of 3 of 20 by their definition, summed up."""
    assert upper_bound(Count(0, 10), 0.025) == pytest.approx(1 - 0.025**0.1)
    assert lower_bound(Count(0, 10), 0.025) == 0.0
    assert upper_bound(Count(10, 10), 0.025) == 1.0
    low, high = lower_bound(Count(3, 20), 0.025), upper_bound(Count(3, 20), 0.025)
    assert (low, high) == pytest.approx((0.0321, 0.3789), abs=1e-4)
    assert sum(binomial(20, low)[3:]) == pytest.approx(0.025)
    assert sum(binomial(20, high)[:4]) == pytest.approx(0.025)
    assert at_least(3, 20, 0.2) == pytest.approx(sum(binomial(20, 0.2)[3:]))


@pytest.mark.parametrize(("share", "margin"), [(0.0, 0.02), (0.02, 0.03), (0.1, 0.1), (0.3, 0.1)])
def test_errors_stay_within_alpha_by_enumeration(share: float, margin: float) -> None:
    """Every outcome of 40 and 80 requests, weighted: false alarms, and false passes, where the canary is worse by just the margin. The score test may exceed alpha a little."""
    alarms = passes = 0.0
    for bad, weight in enumerate(binomial(40, share + margin)):
        for other, chance in enumerate(binomial(80, share)):
            canary, baseline = Count(bad, 40), Count(other, 80)
            probability = weight * chance
            if probability < 1e-12:
                continue
            alarms += probability * is_worse(canary, baseline, margin, 0.05)
            passes += probability * is_not_worse(canary, baseline, margin, 0.05)
    assert alarms <= 0.06
    assert passes <= 0.06


def test_few_failures_are_judged_exactly() -> None:
    assert is_small(Count(2, 20), Count(0, 200), 0.01)
    assert not is_worse(Count(2, 20), Count(0, 200), 0.01, 0.01)
    assert is_worse(Count(5, 20), Count(0, 200), 0.01, 0.01)
    assert not is_worse(Count(0, 0), Count(0, 200), 0.01, 0.5)
    assert not is_not_worse(Count(0, 0), Count(0, 200), 0.01, 0.5)


def test_the_needed_number_gives_the_power() -> None:
    """By enumeration: with so many requests a canary like the baseline passes as often as was wanted."""
    size = needed(0.1, 2.0, 0.15, 0.05, 0.8)
    power = 0.0
    for bad, weight in enumerate(binomial(size, 0.1)):
        for other, chance in enumerate(binomial(2 * size, 0.1)):
            if weight * chance > 1e-12:
                power += weight * chance * is_not_worse(Count(bad, size), Count(other, 2 * size), 0.15, 0.05)
    assert 0.74 <= power <= 0.9
    # Without any failure so many are needed that the exact bound is below the margin.
    assert needed(0.0, 10.0, 0.01, 0.05, 0.8) == math.ceil(math.log(0.025) / math.log(0.99))
    clean = needed(0.0, 10.0, 0.01, 0.05, 0.8)
    assert is_not_worse(Count(0, clean), Count(0, 10 * clean), 0.01, 0.05)
