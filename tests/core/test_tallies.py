"""Tallies: buckets of latency, and what is counted."""

from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.table import CANARY, SERVING
from windtunnel.core.tallies import (
    BUCKETS,
    FLOOR,
    PER_OCTAVE,
    Tally,
    bucket_of,
    bucket_start,
    count_one_try,
    count_try,
    no_counters,
    tallies_of,
)


def test_buckets_double_each_octave_and_end_beyond_a_hundred_seconds() -> None:
    starts = [bucket_start(bucket) for bucket in range(BUCKETS)]
    assert starts == sorted(set(starts))
    assert starts[:3] == [0, FLOOR, FLOOR * 9 // 8]
    assert all(starts[bucket + PER_OCTAVE] == 2 * starts[bucket] for bucket in range(1, BUCKETS - PER_OCTAVE))
    assert 100e9 < starts[-1] < 110e9
    for bucket, start in enumerate(starts):
        assert bucket_of(start) == bucket
        if bucket:
            assert bucket_of(start - 1) == bucket - 1


@given(st.integers(0, 2**62))
def test_a_bucket_holds_its_latencies(latency: int) -> None:
    bucket = bucket_of(latency)
    assert bucket_start(bucket) <= latency
    if bucket < BUCKETS - 1:
        assert latency < bucket_start(bucket + 1)


@given(
    st.lists(st.tuples(st.sampled_from([SERVING, CANARY]), st.integers(0, 2**62), st.booleans()), max_size=20)
)
def test_counting_by_bisection_is_counting(tries: list[tuple[int, int, bool]]) -> None:
    edges = [
        (role, bucket_start(bucket) - less, False)
        for role, bucket, less in ((SERVING, 1, 1), (CANARY, 161, 0))
    ]
    one, other = no_counters(), no_counters().tolist()
    for role, latency, failed in (*tries, *edges):
        count_try(one, role, latency, failed)
        count_one_try(other, role, latency, failed)
    assert one.tolist() == other


def test_each_role_has_its_own_counters() -> None:
    counters = no_counters()
    count_try(counters, SERVING, 10**6, False)
    count_try(counters, CANARY, 10**6, True)
    count_try(counters, CANARY, 10**12, False)
    found = tallies_of(7, counters)
    assert (found.time, found.serving[:2], found.canary[:2]) == (7, (1, 0), (2, 1))
    assert [bucket for bucket, count in enumerate(found.canary.latency) if count] == [
        bucket_of(10**6),
        BUCKETS - 1,
    ]
    assert sum(found.serving.latency) == 1


def test_windows_are_differences_and_a_proxy_that_began_anew_counts_from_there() -> None:
    counters = no_counters()
    count_try(counters, SERVING, 10**6, True)
    early = tallies_of(1, counters).serving
    count_try(counters, SERVING, 10**7, False)
    count_try(counters, SERVING, 10**7, False)
    late = tallies_of(2, counters).serving
    window = late.since(early)
    assert window[:2] == (2, 0)
    assert window.latency[bucket_of(10**7)] == sum(window.latency) == 2
    assert early.plus(window) == late
    assert early.since(late) == early
    assert late.since(Tally()) == late
