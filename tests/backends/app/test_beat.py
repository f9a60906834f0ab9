"""The monitors' beat: when they look, and what time that counts as."""

import threading
from types import SimpleNamespace
from typing import Any

from windtunnel.backends.app.observation import LATE, Beat, Observation
from windtunnel.core.model import SECOND

SEEN = Observation(1, 0, 0, 0, 0, 0, 0.0)


class Steps:
    """A clock that shows *times* (ns) one after the other, and then stands."""

    def __init__(self, *times: int) -> None:
        self._times = list(times)

    def now(self) -> int:
        return self._times.pop(0) if len(self._times) > 1 else self._times[0]


def written(*times: int, count: int) -> list[int]:
    """What time each of *count* beats counts as while the clock shows *times*: before each wait, and after it."""
    counted: list[int] = []
    full = threading.Event()

    def write(_: Observation, time: int) -> None:
        counted.append(time)
        if len(counted) == count:
            full.set()

    errors: list[BaseException] = []
    link: Any = SimpleNamespace(clock=Steps(*times), status=lambda word, fields: None)
    beat = Beat(link, lambda: SEEN, write, errors.append)
    beat.start()
    assert full.wait(20), errors
    beat.end()
    assert not errors
    return counted[:count]


def test_a_beat_counts_as_its_second() -> None:
    almost = 7 * SECOND - 1_000
    assert written(almost, 7 * SECOND + 3_000_000, count=1) == [7 * SECOND]


def test_a_beat_that_comes_far_too_late_counts_as_of_its_own_time() -> None:
    late = 7 * SECOND + LATE + 1
    assert written(7 * SECOND - 1_000, late, count=1) == [late]


def test_a_wait_that_ends_early_makes_no_second_beat_of_the_same_second() -> None:
    early = 7 * SECOND - 1_000
    times = (early, early, early, 8 * SECOND + 5)
    assert written(*times, count=2) == [7 * SECOND, 8 * SECOND]


def test_seconds_that_were_missed_are_left_out() -> None:
    times = (7 * SECOND - 1_000, 7 * SECOND, 9 * SECOND + SECOND - 1_000, 10 * SECOND)
    assert written(*times, count=2) == [7 * SECOND, 10 * SECOND]
