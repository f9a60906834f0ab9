"""Shrinking: what comes out is 1-minimal, round, the same each time, and whatever may be left out is left out."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from windtunnel.core.search.shrinking import reduced, shrink
from windtunnel.core.search.space import BASE, Candidate, Dice, Dimension, FaultGene, FaultKind, Space, drawn

ROUND = tuple(0 if n == 0 else 10 if n % 10 == 0 else 12 if n % 5 == 0 else 22 for n in range(61))
KILL, SLOW = 0, 1
SPACE = Space(
    fields=(Dimension("rate", ROUND), Dimension("boot", ROUND), Dimension("size", ROUND)),
    seeds=5,
    kinds=(
        FaultKind("kill", (Dimension("at", ROUND),)),
        FaultKind("slow", (Dimension("at", ROUND), Dimension("for", ROUND, small=True))),
    ),
    most=4,
    cuts=3,
)

Breaks = Callable[[Candidate], bool]


def on_each(breaks: Breaks) -> Callable[[Sequence[Candidate]], list[bool]]:
    return lambda candidates: [breaks(one) for one in candidates]


def a_kill_and_a_long_slowness(one: Candidate) -> bool:
    kills = [fault for fault in one.faults if fault.kind == KILL]
    slow = [fault for fault in one.faults if fault.kind == SLOW and fault.genes[1] >= 17]
    return bool(kills and slow and one.values[0] >= 33 and one.cut in (BASE, 2))


def either_of_two(one: Candidate) -> bool:
    return one.values[1] > 10 or one.values[2] > 50


def breaking(breaks: Breaks) -> list[Candidate]:
    found = [one for number in range(4000) if breaks(one := drawn(SPACE, Dice(1, number)))]
    assert len(found) > 5
    return found[:20]


@pytest.mark.parametrize("breaks", [a_kill_and_a_long_slowness, either_of_two])
def test_dropping_any_part_of_what_comes_out_makes_it_pass(breaks: Breaks) -> None:
    for found in breaking(breaks):
        least = shrink(SPACE, found, on_each(breaks))
        assert breaks(least)
        assert [part for part in reduced(least) if breaks(part)] == []
        assert shrink(SPACE, found, on_each(breaks)) == least


def test_what_is_needed_stays_and_is_round_and_short() -> None:
    for found in breaking(a_kill_and_a_long_slowness):
        least = shrink(SPACE, found, on_each(a_kill_and_a_long_slowness))
        assert [fault.kind for fault in least.faults] == [KILL, SLOW]
        assert least.values[1:] == (BASE, BASE)
        assert least.seed == 0
        assert ROUND[least.values[0]] <= 10
        assert 17 <= least.faults[1].genes[1] <= 25
        assert least.cut == 2


def test_the_run_is_not_cut_where_a_part_would_no_longer_be_needed() -> None:
    """Over the shortest run the kill alone is enough: there the rest would only be told for nothing."""

    def breaks(one: Candidate) -> bool:
        return bool(one.faults) and (one.cut == 0 or one.values[0] > 30)

    found = Candidate((40, 50, 60), 3, (FaultGene(KILL, (7,)),))
    least = shrink(SPACE, found, on_each(breaks))
    assert breaks(least)
    assert not any(breaks(part) for part in reduced(least))
    assert least.cut == 1
    assert shrink(SPACE, found, on_each(breaks), cuttable=False).cut == BASE


def test_it_can_be_stopped_at_any_moment() -> None:
    found = breaking(a_kill_and_a_long_slowness)[0]
    on_the_way: list[Candidate] = []
    least = shrink(SPACE, found, on_each(a_kill_and_a_long_slowness), on_the_way.append)
    assert on_the_way[-1] == least
    assert all(a_kill_and_a_long_slowness(one) for one in on_the_way)


def test_what_is_minimal_already_comes_back() -> None:
    plain = Candidate((BASE, BASE, BASE))
    assert shrink(replace(SPACE, cuts=0), plain, on_each(lambda one: True)) == plain
