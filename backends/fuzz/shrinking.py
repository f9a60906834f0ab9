"""From the choices that made a finding to the simplest ones that still make it: Hypothesis shrinks."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from hypothesis import Phase, find, settings
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
from hypothesis.errors import HypothesisException

from ...scenarios.fuzz.choices import Choices
from ...scenarios.fuzz.strategies import made_by

T = TypeVar("T")
_KEY = b"finding"


class _Made(Generic[T]):
    """Something made; Hypothesis writes down what it tries, which for kilobytes of bytes would take longer than to try it."""

    def __init__(self, it: T) -> None:
        self.it = it

    def __repr__(self) -> str:
        return "made"


def shrink(
    make: Callable[[Choices], T], choices: Sequence[int], still: Callable[[T], bool], size: Callable[[T], int], seconds: float
) -> T | None:  # fmt: skip
    """The simplest of what *make* makes for which *still* holds, beginning with *choices*; None if it does not even hold for those.

    After *seconds* the least by *size* that was found so far. It is Hypothesis' database that is handed the beginning, as if it had failed in an
    earlier run; nothing is generated, nothing is written.
    """
    database = InMemoryExampleDatabase()
    # One choice too many: what comes back from the database exactly as it was saved counts as shrunk before.
    database.save(_KEY, choices_to_bytes([*choices, 0]))
    held: list[T] = []
    due = time.monotonic() + seconds

    def condition(made: _Made[T]) -> bool:
        if (held and time.monotonic() > due) or not still(made.it):
            return False
        held.append(made.it)
        return True

    asked = settings(
        database=database, phases=(Phase.reuse, Phase.shrink), deadline=None, max_examples=10_000
    )
    # It may have held once and not again, or time was up: what was found stands.
    with suppress(HypothesisException):
        find(made_by(lambda given: _Made(make(given))), condition, settings=asked, database_key=_KEY)
    # Of equally large ones the last is the simplest.
    return min(reversed(held), key=size, default=None)
