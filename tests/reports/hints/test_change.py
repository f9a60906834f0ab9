"""The statistics of change: how often they are wrong where nothing changes, how often they find what does, and what they compute."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from windtunnel.reports.profiler.hints.change import (
    drift,
    excess,
    holm,
    mann_kendall,
    pettitt,
    raised,
    rank_scores,
    ranks,
    stretch_apart,
    theil_sen,
    upper_tail,
)

SERVERS, BINS = 4, 60
EACH, MANY = 12, 25
"""Values of each server in each bin, where there are few and where there are more."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]

DEMANDS: dict[str, Draw] = {
    "exponential": lambda rng, size: rng.exponential(1.0, size),
    "lognormal": lambda rng, size: rng.lognormal(0.0, 1.5, size),
    "heavy tail": lambda rng, size: rng.pareto(1.1, size) + 0.1,
    "nearly constant": lambda rng, size: np.where(rng.random(size) < 0.05, 3.0, 1.0),
}


def scores(values: Any) -> tuple[Any, Any, Any]:
    """Sums of rank scores of the first server, their variances and numbers, as the rule takes them."""
    strata = np.broadcast_to(np.arange(BINS)[None, :, None], values.shape).ravel()
    bucket = (np.log2(np.maximum(values.ravel(), 1e-9)) * 12).astype(np.int64)
    value, spread = rank_scores(strata, bucket - bucket.min(), (BINS, int(bucket.max() - bucket.min()) + 1))
    each, total = values.shape[2], SERVERS * values.shape[2]
    score = value.reshape(values.shape)[0].sum(axis=1)
    return score, each * spread * (total - each) / (total - 1), np.full(BINS, float(each))


@pytest.mark.parametrize("name", sorted(DEMANDS))
def test_chance_is_bounded_whatever_the_demand(name: str) -> None:
    """Of 200 fleets in which nothing changes at most one in a hundred may be taken for one that does, at that level."""
    rng, wrong, runs = np.random.default_rng(7), 0, 200
    for _ in range(runs):
        found = stretch_apart(*scores(DEMANDS[name](rng, (SERVERS, BINS, EACH))))
        wrong += found is not None and found.p <= 0.01
    assert wrong <= 2 + 3 * math.sqrt(2)


def test_chance_is_bounded_where_neighbours_are_alike() -> None:
    """Service times of each server that wander by a third for some bins, as with cores that requests share: one in twenty at the level of one in a hundred, for how much
    neighbours are alike has to be measured. The rules ask for a level of one in a thousand, and for 1.2 times as much."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(300):
        drifting = np.zeros((SERVERS, BINS))
        noise = rng.normal(0, 0.25, (SERVERS, BINS))
        for bin_ in range(BINS):
            drifting[:, bin_] = 0.5 * drifting[:, bin_ - 1] + noise[:, bin_] if bin_ else noise[:, bin_]
        found = stretch_apart(
            *scores(rng.exponential(1.0, (SERVERS, BINS, EACH)) * np.exp(drifting)[:, :, None])
        )
        wrong += found is not None and found.p <= 0.01
    assert wrong <= 15


@pytest.mark.parametrize(("name", "least"), [("exponential", 95), ("lognormal", 75), ("heavy tail", 90)])
@pytest.mark.parametrize(("first", "last"), [(30, 60), (20, 35)], ids=["to the end", "over again"])
def test_a_server_that_takes_twice_as_long_is_found(name: str, least: int, first: int, last: int) -> None:
    """Of a hundred, at an error of one in a thousand; lognormal values here have a standard deviation of three times the mean."""
    rng, found, near = np.random.default_rng(9), 0, 0
    for _ in range(100):
        values = DEMANDS[name](rng, (SERVERS, BINS, MANY))
        values[0, first:last] *= 2
        stretch = stretch_apart(*scores(values))
        if stretch is not None and stretch.p <= 1e-3:
            found += 1
            near += abs(stretch.first - first) <= 3 and abs(stretch.last - last) <= 3
    assert found >= least
    assert near >= 0.8 * found


def test_a_series_that_is_raised() -> None:
    rng, wrong = np.random.default_rng(10), 0
    for _ in range(400):
        found = raised(rng.standard_cauchy(BINS))
        wrong += found is not None and found.p <= 0.01
    assert wrong <= 4 + 3 * math.sqrt(4)
    level = rng.normal(0, 1, BINS)
    level[20:40] += 8
    stretch = raised(level)
    assert stretch is not None
    assert (stretch.first, stretch.last) == (20, 40)
    assert stretch.p < 1e-5
    level = rng.normal(0, 1, BINS)
    level[45:] += 8
    stretch = raised(level)
    assert stretch is not None
    assert (stretch.first, stretch.last) == (45, BINS)
    assert raised(rng.normal(0, 1, 5)) is None


def test_a_line_is_told_from_a_step() -> None:
    rng, place = np.random.default_rng(11), np.arange(BINS)
    lines = steps = 0
    for _ in range(20):
        noise = rng.normal(0, 0.15, BINS)
        lines += drift(noise + np.clip((place - 15) / 30, 0, 1)) is not None
        steps += drift(noise + (place >= 25)) is not None
    assert lines >= 19
    assert steps <= 1
    found = drift(np.clip((place - 15) / 30, 0, 1))
    assert found is not None
    assert found == pytest.approx((15, 45), abs=2)


series = st.lists(st.integers(0, 30), min_size=8, max_size=40)


@given(series)
@settings(deadline=None, max_examples=60)
def test_pettitts_statistic(values: list[int]) -> None:
    """As its paper has it, by comparing all before with all after."""
    size = len(values)
    walk = [sum(int(np.sign(b - a)) for a in values[:k] for b in values[k:]) for k in range(1, size)]
    most = max(map(abs, walk))
    turn = pettitt(values)
    assert turn is not None
    assert turn.p == pytest.approx(min(2 * math.exp(-6 * most**2 / (size**3 + size**2)), 1))
    assert abs(walk[turn.place - 1]) == most
    if most:
        assert turn.up == (walk[turn.place - 1] > 0)


@given(series)
@settings(deadline=None, max_examples=60)
def test_ranks_trend_and_slope_agree_with_scipy(values: list[int]) -> None:
    assert ranks(np.array(values)) == pytest.approx(stats.rankdata(values))
    place = np.arange(len(values))
    assert theil_sen(place, values) == pytest.approx(stats.theilslopes(values, place)[0])
    tau, p = mann_kendall(values)
    if len(set(values)) > 1:
        assert np.sign(tau) == np.sign(stats.kendalltau(place, values).statistic)
    assert 0 <= p <= 1


def test_chance_of_a_trend_is_that_of_scipy() -> None:
    values = np.random.default_rng(12).normal(0, 1, 40) + np.arange(40) * 0.03
    expected = stats.kendalltau(np.arange(40), values, alternative="greater", method="asymptotic").pvalue
    assert mann_kendall(values)[1] == pytest.approx(expected, rel=0.1)


@given(st.floats(0, 60), st.integers(1, 200))
@settings(deadline=None, max_examples=100)
def test_students_tail(t: float, freedom: int) -> None:
    assert upper_tail(t, freedom) == pytest.approx(float(stats.t.sf(t, freedom)), rel=1e-6, abs=1e-300)


@given(st.integers(10, 300), st.data())
@settings(deadline=None, max_examples=100)
def test_an_excess_of_failures_is_never_less_likely_than_told(total: int, data: st.DataObject) -> None:
    lost, drawn = data.draw(st.integers(0, total)), data.draw(st.integers(1, total))
    failed = data.draw(st.integers(0, min(lost, drawn)))
    assert excess(failed, drawn, lost / total) >= float(
        stats.hypergeom.sf(failed - 1, total, lost, drawn)
    ) * (1 - 1e-9)


def test_several_answers_at_once() -> None:
    assert holm([0.01, 0.04, 0.02], 0.05) == [True, True, True]
    assert holm([0.03, 0.01, 0.04], 0.05) == [False, True, False]
    assert holm([], 0.05) == []
