"""Scaling decisions of two runs, paired."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.model import SECOND
from windtunnel.reports.pairing import Decision, decisions, pair_decisions

Times = list[tuple[str, float]]


def taken(*some: tuple[str, float]) -> list[Decision]:
    return [Decision(kind, round(at * SECOND), number) for number, (kind, at) in enumerate(some)]


A = taken(("launch", 62), ("launch", 67), ("launch", 72), ("drain", 101), ("terminate", 103))


def test_a_run_beside_itself() -> None:
    found = pair_decisions(A, A, SECOND)
    assert [(pair.first, pair.second, pair.ticks) for pair in found.pairs] == [(one, one, 0) for one in A]
    assert (found.missing, found.surplus, found.furthest, found.reordered) == ((), (), 0, 0)
    assert found.within(0)


def test_what_is_missing_is_named_and_shifts_nothing() -> None:
    found = pair_decisions(A, A[:1] + A[2:], SECOND)
    assert found.missing == (A[1],)
    assert found.surplus == ()
    assert [pair.ticks for pair in found.pairs] == [0, 0, 0, 0]
    assert not found.within(100)
    other = pair_decisions(A[:1] + A[2:], A, SECOND)
    assert (other.missing, other.surplus) == ((), (A[1],))


def test_one_tick_later_is_the_same_sequence_give_or_take_one() -> None:
    late = taken(("launch", 63), ("launch", 68), ("launch", 73), ("drain", 102), ("terminate", 104))
    found = pair_decisions(A, late, SECOND)
    assert [pair.ticks for pair in found.pairs] == [1] * 5
    assert found.within(1)
    assert not found.within(0)
    assert pair_decisions(A, late, 10 * SECOND).within(0)


def test_a_live_clock_is_never_at_the_tick_itself() -> None:
    live = taken(
        ("launch", 62.004), ("launch", 68.031), ("launch", 71.998), ("drain", 101.4), ("terminate", 103)
    )
    found = pair_decisions(A, live, SECOND)
    assert [pair.ticks for pair in found.pairs] == [0, 1, 0, 0, 0]


def test_another_order_is_told() -> None:
    first = taken(("launch", 10), ("drain", 12), ("launch", 20))
    second = taken(("drain", 10), ("launch", 12), ("launch", 20))
    found = pair_decisions(first, second, SECOND)
    assert sorted(pair.ticks for pair in found.pairs) == [-2, 0, 2]
    assert found.reordered == 1
    assert not found.within(1)
    together = taken(("launch", 10), ("drain", 10))
    assert pair_decisions(together, taken(("launch", 11), ("drain", 10)), SECOND).reordered == 0


def test_what_is_far_away_is_not_the_same_decision() -> None:
    found = pair_decisions(taken(("launch", 10)), taken(("launch", 200)), SECOND)
    assert (len(found.pairs), len(found.missing), len(found.surplus)) == (0, 1, 1)
    assert len(pair_decisions(taken(("launch", 10)), taken(("launch", 200)), 60 * SECOND).pairs) == 1


SOME = st.lists(st.integers(0, 90), max_size=5).map(
    lambda times: taken(*(("launch", time) for time in sorted(times)))
)


@given(SOME, SOME)
def test_no_pairing_is_better(first: list[Decision], second: list[Decision]) -> None:
    """Against every order-keeping pairing of up to five decisions each."""
    found = pair_decisions(first, second, SECOND)
    apart = sum(abs(pair.second.time - pair.first.time) for pair in found.pairs)
    best = max(
        (size, -sum(abs(second[j].time - first[i].time) for i, j in zip(left, right, strict=True)))
        for size in range(min(len(first), len(second)) + 1)
        for left in combinations(range(len(first)), size)
        for right in combinations(range(len(second)), size)
        if all(abs(second[j].time - first[i].time) <= 30 * SECOND for i, j in zip(left, right, strict=True))
    )
    assert (len(found.pairs), -apart) == best
    assert len(found.pairs) + len(found.missing) == len(first)
    assert len(found.pairs) + len(found.surplus) == len(second)


@given(SOME, SOME)
def test_swapped_runs_give_the_mirror_image(first: list[Decision], second: list[Decision]) -> None:
    one, two = pair_decisions(first, second, SECOND), pair_decisions(second, first, SECOND)
    assert len(one.pairs) == len(two.pairs)
    assert sum(pair.ticks for pair in one.pairs) == -sum(pair.ticks for pair in two.pairs)
    assert len(one.missing) == len(two.surplus)


def test_thousands_of_decisions() -> None:
    first = taken(*(("launch", n / 2) for n in range(3000)))
    found = pair_decisions(first, first[:1500] + first[1501:], SECOND)
    assert found.missing == (first[1500],)
    assert found.furthest == 0


def test_the_first_fleet_was_not_decided_on() -> None:
    events = [
        {"t": -5, "event": "launched", "server": 1},
        {"t": 0, "event": "launched", "server": 2},
        {"t": 0, "event": "ready", "server": 2},
        {"t": 5, "event": "decision", "desired": 3, "actual": 2, "reason": "above", "actions": 1},
        {"t": 5, "event": "launched", "server": 3},
        {"t": 7, "event": "draining", "server": 3},
        {"t": 8, "event": "terminated", "server": 3, "reason": "drained", "lost": 0},
        {"t": 99, "event": "launched", "server": 4},
    ]
    assert decisions(events, 50) == [
        Decision("launch", 5, 3), Decision("drain", 7, 3), Decision("terminate", 8, 3, "drained")
    ]  # fmt: skip


@pytest.mark.parametrize("tick", [SECOND, 10 * SECOND])
def test_nothing_beside_nothing(tick: int) -> None:
    assert pair_decisions([], [], tick).within(0)
