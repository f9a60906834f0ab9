"""Intervals from batches of one run."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.confidence import mean_interval
from windtunnel.core.jackknife import Percentiles, batch_count, batch_of, jackknife, ratio_without
from windtunnel.core.slo import percentile

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=30)


@given(VALUES)
def test_of_a_mean_it_is_the_interval_of_batch_means(values: list[float]) -> None:
    found = jackknife(*ratio_without(values, [1] * len(values)))
    expected = mean_interval(values)
    assert found.mean == pytest.approx(expected.mean, abs=1e-6)
    assert found.half == pytest.approx(expected.half, rel=1e-6, abs=1e-4)


def test_nothing_is_known_from_one_batch_or_from_a_figure_that_fails_without_one() -> None:
    assert jackknife(1.0, [1.0]).half == math.inf
    whole, left = ratio_without([3, 0], [6, 0])
    assert whole == 0.5
    assert math.isnan(left[0])
    assert left[1] == 0.5
    assert jackknife(whole, left).half == math.inf
    assert math.isnan(ratio_without([0], [0])[0])


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_percentiles_without_a_batch_are_those_of_the_rest(rows: list[tuple[int, int]], share: float) -> None:
    values, batch = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    whole, left = Percentiles(values, batch, 4).at(share)
    assert whole == percentile(np.sort(values), share)
    for number, value in enumerate(left):
        rest = np.sort(values[batch != number])
        assert (value == percentile(rest, share)) if len(rest) else math.isnan(value)


def test_batches_are_equal_parts_of_the_time() -> None:
    second = 10**9
    year = 400 * 86400 * second
    assert batch_of([0, second - 1, second, 4 * second - 1], 4 * second, 4).tolist() == [0, 0, 1, 3]
    assert batch_of(np.array([year - 1]), year, 20).tolist() == [19]
    assert [batch_count(seconds) for seconds in (0, 1, 7, 20, 3600)] == [1, 1, 7, 20, 20]
