"""When the autoscaler is due."""

import itertools

from windtunnel.backends.autoscaler.pace import LONGEST_PAUSE, SETTLE, Pace
from windtunnel.core.model import SECOND

START = 5 * SECOND


def at(seconds: float) -> int:
    """So long after the zero, ns."""
    return START + round(seconds * SECOND)


def test_turns_are_in_phase_with_the_zero() -> None:
    pace = Pace(START, SECOND)
    pace.begin(0)
    assert pace.next(0) == (1, 0)
    assert pace.wait(1, at(0.25)) == 750_000_000 + SETTLE
    assert pace.wait(1, at(1.5)) == 0
    assert pace.time_of(1, at(1.104)) == at(1), "the turn's own time, whatever it is late by"
    pace.done(1)
    assert pace.next(at(1.104)) == (2, 0)


def test_missed_turns_are_passed_over() -> None:
    pace = Pace(START, SECOND)
    pace.begin(at(0))
    pace.done(3)
    assert pace.next(at(7.8)) == (7, 3)
    assert pace.time_of(7, at(7.8)) == at(7.8), "too late for its own time"
    pace.done(7)
    assert pace.next(at(7.9)) == (8, 0)
    assert pace.time_of(8, at(8.1)) == at(8)
    pace.done(8)
    assert pace.time_of(9, at(9.99)) == at(9.99)
    assert pace.time_of(9, at(9.1)) == at(9.99), "time never goes back"


def test_a_later_process_does_not_make_up_for_its_predecessor() -> None:
    pace = Pace(START, SECOND)
    pace.begin(at(40.5))
    assert pace.next(at(40.5)) == (41, 0)


def test_attempts_at_a_lost_registry_become_rarer_but_never_rare() -> None:
    interval = SECOND // 5
    pace = Pace(START, interval)
    tried = []
    for turn in range(1, 40):
        if not pace.backs_off(turn):
            tried.append(turn)
            pace.failed(turn)
    gaps = [(later - earlier) * interval for earlier, later in itertools.pairwise(tried)]
    assert gaps[:4] == [interval, 2 * interval, 4 * interval, 8 * interval]
    assert max(gaps) == LONGEST_PAUSE
    pace.succeeded()
    assert not pace.backs_off(tried[-1] + 1)
    slow = Pace(START, 10 * SECOND)
    for turn in range(1, 6):
        assert not slow.backs_off(turn), "a slow one tries at each turn"
        slow.failed(turn)
