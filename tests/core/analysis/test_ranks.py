"""Two histograms: against a published example and against counting pairs."""

import math

import numpy as np
import pytest
from windtunnel.core.analysis.ranks import (
    Superiority,
    needed,
    p_longer,
    p_not_longer,
    stretched,
    superiority,
)
from windtunnel.core.draws import draw_block, key
from windtunnel.core.tallies import BUCKETS, bucket_of, bucket_start

TREATED = [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1]
OTHERS = [3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4]
"""Pain scores after surgery, the example of Brunner and Munzel (2000)."""


def histogram(values: list[int]) -> list[float]:
    return [float(values.count(value)) for value in range(6)]


def test_the_example_of_brunner_and_munzel() -> None:
    """P = 0.788961, t = 3.1375, 17.683 degrees of freedom, p = 0.005786 (two-sided), as R's lawstat has them."""
    found = superiority(histogram(OTHERS), histogram(TREATED))
    assert found.probability == pytest.approx(0.788961, abs=1e-6)
    assert (found.probability - 0.5) / found.error == pytest.approx(3.1375, abs=1e-4)
    assert found.freedom == pytest.approx(17.683, abs=1e-3)
    # With whole degrees of freedom, on the side of caution.
    assert 0.005786 <= 2 * p_longer(found) <= 0.0062
    assert p_not_longer(found) == pytest.approx(1 - p_longer(found))


def test_the_probability_is_that_of_pairs() -> None:
    pairs = [(one > other) + (one == other) / 2 for one in OTHERS for other in TREATED]
    found = superiority(histogram(OTHERS), histogram(TREATED))
    assert found.probability == pytest.approx(math.fsum(pairs) / len(pairs))


def test_what_is_wholly_apart_is_as_improbable_as_its_arrangement() -> None:
    """Of 3 and 4 values one arrangement in comb(7, 3) = 35 has all of the first last."""
    found = superiority([0, 0, 3], [4, 0, 0])
    assert p_longer(found) == pytest.approx(1 / 35)
    assert p_not_longer(found) == pytest.approx(34 / 35)
    assert p_longer(superiority([0, 3.0], [0, 4.0])) == 0.5


def test_stretching_moves_octaves_and_loses_nothing() -> None:
    counts = [0] * BUCKETS
    counts[bucket_of(5_000_000)], counts[bucket_of(90_000_000)], counts[0], counts[-1] = 7, 3, 2, 1
    for factor in (1.0, 1.1, 1.25, 2.0, 7.3):
        assert math.fsum(stretched(counts, factor, bucket_start)) == pytest.approx(13)
    assert stretched(counts, 1.0, bucket_start) == pytest.approx(counts)
    twice = stretched(counts, 2.0, bucket_start)
    assert twice[bucket_of(5_000_000) + 8] == pytest.approx(7)
    longer = stretched(counts, 1.25, bucket_start)
    middle = math.fsum(count * bucket_start(bucket) for bucket, count in enumerate(longer[1:-1], 1))
    before = math.fsum(count * bucket_start(bucket) for bucket, count in enumerate(counts[1:-1], 1))
    assert middle / before == pytest.approx(1.25, rel=0.03)


def latencies(stream: str, number: int, factor: float = 1.0) -> list[int]:
    """A histogram of exponential times around 30 ms."""
    bits = draw_block(key(1, stream), np.arange(number, dtype=np.int64), 0, 1)
    values = -np.log1p(-(bits / 2.0**63)) * 30e6 * factor
    counts = [0] * BUCKETS
    for value in values:
        counts[bucket_of(int(value))] += 1
    return counts


def test_error_rates_by_simulation() -> None:
    """Two hundred comparisons each: at the margin alarms and passes are as rare as alpha says, beyond and below it they come."""
    margin, runs = 1.25, 200
    found = {1.0: [0, 0], 1.25: [0, 0], 2.0: [0, 0]}
    for run in range(runs):
        bound = stretched(latencies(f"b{run}", 800), margin, bucket_start)
        for factor, (alarms, passes) in found.items():
            result = superiority([float(n) for n in latencies(f"c{run}", 200, factor)], bound)
            found[factor] = [alarms + (p_longer(result) <= 0.05), passes + (p_not_longer(result) <= 0.05)]
    most = 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)
    assert found[1.25][0] <= most
    assert found[1.25][1] <= most
    assert found[1.0][0] <= 2
    assert found[2.0][0] >= 0.95 * runs
    # Noether's number for the power of 0.8 is about as many as there were; so many pass.
    typical = superiority(
        [float(n) for n in latencies("b", 800)], stretched(latencies("b", 800), margin, bucket_start)
    )
    size = needed(typical, 0.2, 0.05, 0.8)
    assert 100 <= size <= 400
    assert found[1.0][1] >= (0.6 if size > 200 else 0.75) * runs


def test_a_margin_that_histograms_do_not_show_needs_endless_data() -> None:
    assert needed(Superiority(0.5, 0.1, 10, 0.0), 0.1, 0.05, 0.8) == math.inf
