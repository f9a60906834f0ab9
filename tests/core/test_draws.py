"""Draws are pure, uniform, and alike however they are made."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from windtunnel.core import draws

KEYS = st.integers(0, 2**32 - 1)
REQUESTS = st.integers(0, 2**40 - 1)
ATTEMPTS = st.integers(0, 2**12 - 1)
PURPOSES = st.integers(0, 2**12 - 1)

M, W, MASK = 0xD256D193, 0x9E3779B9, 0xFFFFFFFF


def philox(key: int, request: int, attempt: int, purpose: int) -> int:
    """Philox2x32-10 straight from the paper, with unbounded integers."""
    left, right = request & MASK, (request >> 32) << 24 | attempt << 12 | purpose
    for _ in range(10):
        product = M * left
        left, right = (product >> 32) ^ key ^ right, product & MASK
        key = (key + W) & MASK
    return (left << 32 | right) >> 1


def test_known_answers_of_the_reference_implementation() -> None:
    # Random123's kat_vectors for philox2x32-10: counter and key all zero, and all ones.
    assert draws.draw(0, 0, 0, 0) == (0xFF1DAE59 << 32 | 0x6CD10DF2) >> 1
    assert draws.draw(MASK, 2**40 - 1, 2**12 - 1, 2**12 - 1) == (0x2C3F628B << 32 | 0xAB4FD7AD) >> 1


@given(KEYS, REQUESTS, ATTEMPTS, PURPOSES)
def test_it_is_philox(key: int, request: int, attempt: int, purpose: int) -> None:
    assert draws.draw(key, request, attempt, purpose) == philox(key, request, attempt, purpose)


@given(KEYS, st.lists(REQUESTS, min_size=1, max_size=20), ATTEMPTS, PURPOSES)
def test_a_block_of_draws_is_the_same_draws(
    key: int, requests: list[int], attempt: int, purpose: int
) -> None:
    block = draws.draw_block(key, np.array(requests, dtype=np.int64), attempt, purpose)
    assert block.tolist() == [draws.draw(key, request, attempt, purpose) for request in requests]


def test_draws_are_uniform_and_independent() -> None:
    bits = draws.draw_block(draws.key(1, "test"), np.arange(200_000), 0, draws.CPU)
    shares = (bits >> 10) * 2.0**-53
    assert stats.kstest(shares, "uniform").pvalue > 0.001
    other = draws.draw_block(draws.key(1, "test"), np.arange(200_000), 0, draws.IO) / 2.0**63
    assert abs(np.corrcoef(shares, other)[0, 1]) < 0.01
    assert abs(np.corrcoef(shares[1:], shares[:-1])[0, 1]) < 0.01


@given(st.integers(0, 2**63 - 1), st.integers(1, 2**31 - 1))
def test_choices_stay_in_range(bits: int, n: int) -> None:
    assert 0 <= draws.below(bits, n) < n
    assert 0 <= draws.below_again(bits, n) < n
    assert 0.0 <= draws.uniform(bits) < 1.0


def test_streams_have_their_own_keys() -> None:
    keys = {draws.key(seed, name) for seed in range(50) for name in ("a", "b", "traffic/a")}
    assert len(keys) == 150
