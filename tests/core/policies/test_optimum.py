"""The cheapest schedule, against all schedules of small fleets."""

from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.core.policies.optimum import Sizes, bridged, changes, improve, needed

SIZES = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)


def test_a_bin_takes_the_smallest_size_above_all_that_broke() -> None:
    violated = [[True, False, True, True], [True, False, False, True], [False, False, True, True]]
    assert needed(violated) == (3, 1, 3, 3)
    with pytest.raises(ValueError, match="got none"):
        needed([])


def cost(sizes: Sizes, boot: int) -> int:
    """Server time in bins, *boot* of it for each launch; servers are interchangeable, the first fleet is there already."""
    launches = sum(max(after - before, 0) for before, after in pairwise(sizes))
    return sum(sizes) + boot * launches


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(0, 3))
def test_bridging_gaps_is_the_cheapest_that_covers_the_need(sizes: Sizes, boot: int) -> None:
    found = bridged(sizes, boot)
    assert all(have >= need for have, need in zip(found, sizes, strict=True))
    cheapest = min(
        cost(one, boot)
        for one in product(range(4), repeat=len(sizes))
        if all(have >= need for have, need in zip(one, sizes, strict=True)) and one[0] == found[0]
    )
    assert cost(found, boot) == cheapest


@given(SIZES, st.integers(1, 5), st.integers(0, 12))
def test_orders_are_early_and_nobody_leaves_before_the_bin_is_over(
    sizes: Sizes, width: int, lead: int
) -> None:
    moments = changes(sizes, width, lead)
    assert moments[0][0] == 0
    assert [at for at, _ in moments] == sorted({at for at, _ in moments})

    def ordered(at: int) -> int:
        return next(size for moment, size in reversed(moments) if moment <= at)

    for at in range(len(sizes) * width):
        soon = sizes[at // width : min((at + lead) // width, len(sizes) - 1) + 1]
        assert ordered(at) == max(soon)


@given(SIZES, SIZES)
def test_what_is_lowered_is_as_low_as_the_rehearsals_allow(start: Sizes, least: Sizes) -> None:
    bound = tuple(min(one, two) for one, two in zip(start, (*least, *start)[: len(start)], strict=True))
    asked = []

    def holds(sizes: Sizes) -> bool:
        asked.append(sizes)
        return all(have >= need for have, need in zip(sizes, bound, strict=True))

    assert improve(start, 0, holds, 1000) == bound
    assert len(asked) == len(set(asked))
    asked.clear()
    improve(start, 0, holds, 2)
    assert len(asked) <= 2
