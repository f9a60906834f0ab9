"""Intervals against scipy, and verdicts by intervals."""

import math

import pytest
from scipy import special, stats
from windtunnel.core import confidence


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 29, 199, 5000])
@pytest.mark.parametrize("p", [0.6, 0.9, 0.975, 0.995, 0.9999])
def test_quantiles_are_students(p: float, freedom: int) -> None:
    assert confidence.student_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-8)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (3, 0.5), (50, 0.5), (2, 7)])
@pytest.mark.parametrize("x", [0.0, 1e-9, 0.2, 0.5, 0.97, 1.0])
def test_incomplete_beta(a: float, b: float, x: float) -> None:
    assert confidence.incomplete_beta(a, b, x) == pytest.approx(
        special.betainc(a, b, x), rel=1e-10, abs=1e-14
    )


def test_mean_interval() -> None:
    values = [3.0, 5.0, 4.0, 6.0, 2.0]
    found = confidence.mean_interval(values)
    expected = stats.t.interval(0.95, 4, loc=4, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert confidence.mean_interval([7.0]).half == math.inf


@pytest.mark.parametrize(
    ("values", "below", "bound", "verdict"),
    [
        ([1.0, 1.1, 0.9], True, 2.0, "held"),
        ([1.0, 1.1, 0.9], True, 1.0, "undecided"),
        ([1.0, 1.1, 0.9], True, 0.5, "violated"),
        ([1.0, 1.1, 0.9], False, 0.5, "held"),
        ([1.0, 1.1, 0.9], False, 2.0, "violated"),
        ([0.0, 0.0, 0.0], True, 0.01, "held"),
        ([1.0], True, 0.5, "violated"),
        ([], True, 0.5, "no data"),
    ],
)
def test_verdicts(values: list[float], below: bool, bound: float, verdict: str) -> None:
    assert confidence.judge_mean(values, below, bound)[0] == verdict


def test_one_value_is_judged_but_has_no_interval() -> None:
    assert confidence.judge_mean([5.0], True, 10.0) == ("held", confidence.Interval(5.0, math.inf))
