"""Distributions have the law that they claim."""

import math

import numpy as np
import pytest
from scipy import stats
from windtunnel.core import distributions as d
from windtunnel.core.draws import draw, draw_block, key

MS = 1_000_000


def values(distribution: d.Distribution, n: int = 20_000) -> np.ndarray:
    bits = draw_block(key(3, "law"), np.arange(n), 1, 3).tolist()
    return np.array([distribution.sample(value) for value in bits])


@pytest.mark.parametrize(
    ("distribution", "law"),
    [
        (d.exponential(6 * MS), stats.expon(scale=6 * MS)),
        (d.uniform_between(MS, 5 * MS), stats.uniform(MS, 4 * MS)),
        (
            d.lognormal(10 * MS, 0.5),
            stats.lognorm(math.sqrt(math.log(1.25)), scale=10 * MS / math.sqrt(1.25)),
        ),
        (d.pareto(10 * MS, 2.5), stats.pareto(2.5, scale=6 * MS)),
    ],
)
def test_law_and_mean(distribution: d.Distribution, law: stats.rv_continuous) -> None:
    found = values(distribution)
    assert stats.kstest(found, law.cdf).pvalue > 0.001
    assert distribution.mean == pytest.approx(law.mean(), rel=1e-9)


def test_constant_is_constant() -> None:
    assert set(values(d.constant(7 * MS), 100)) == {7 * MS}
    assert d.lognormal(40 * MS, 0) == d.constant(40 * MS)


def test_normal_quantile_is_exact_to_the_last_digits() -> None:
    points = np.concatenate((np.linspace(1e-6, 1 - 1e-6, 1001), [1e-12, 1e-300, 1 - 1e-12]))
    for p in points.tolist():
        assert d.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-13, abs=1e-15)


def test_extreme_bits_give_finite_values() -> None:
    for distribution in (d.exponential(MS), d.lognormal(MS, 3), d.pareto(MS, 1.1), d.uniform_between(0, MS)):
        for bits in (0, 1, 2**63 - 1):
            assert 0 <= distribution.sample(bits) < 2**62


def test_scalar_math_not_numpy() -> None:
    """np.log differs from math.log in the last bit for some values: the reason for scalar math."""
    bits = [draw(1, index, 0, 3) for index in range(2000)]
    scalar = [d.sample(d.EXPONENTIAL, 1e15, 0.0, value) for value in bits]
    exact = [math.floor(-1e15 * math.log(1.0 - (value >> 10) * 2.0**-53) + 0.5) for value in bits]
    assert scalar == exact
