"""Choices: whole numbers out of which everything is generated, drawn from a seed, or Hypothesis' (:mod:`.strategies`).

The generator asks for numbers below a bound and for nothing else, and 0 is always the simplest answer. So the same code writes a file that depends
on the seed alone (``core.draws``, no library's version), and is a Hypothesis strategy that shrinks.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ...core.draws import below, draw, key

T = TypeVar("T")

MOST = 1 << 24
"""Choices that one entry may take."""
_LOW = 0xFFF


class Choices(Protocol):
    """A source of choices."""

    def below(self, n: int) -> int:
        """A whole number from 0 to *n* - 1; *n* from 1 to 2**31 - 1."""

    def part(self, make: "Callable[[Choices], T]") -> T:
        """What *make* makes of further choices: a part, which a shrinker may take away as a whole."""


class DrawnChoices:
    """The choices for entry *number* under *seed*; *taken* are those made so far."""

    def __init__(self, seed: int, number: int) -> None:
        self._stream = key(seed, "fuzz/urls")
        self._number = number
        self.taken: list[int] = []

    def below(self, n: int) -> int:
        """See Choices."""
        index = len(self.taken)
        if index >= MOST:
            raise ValueError(f"expected at most {MOST} choices for an entry")
        self.taken.append(below(draw(self._stream, self._number, index >> 12, index & _LOW), n))
        return self.taken[-1]

    def part(self, make: Callable[[Choices], T]) -> T:
        """See Choices."""
        return make(self)


def pick(choices: Choices, items: Sequence[T]) -> T:
    """One of *items*, of which the first is the simplest."""
    return items[choices.below(len(items))]


def chance(choices: Choices, k: int, n: int) -> bool:
    """True *k* times of *n*; False is simpler."""
    return choices.below(n) >= n - k


def between(choices: Choices, low: int, high: int) -> int:
    """A whole number from *low* to *high*; *low* is the simplest."""
    width = high - low + 1
    if width < 1 << 31:
        return low + choices.below(width)
    wide = (choices.below(1 << 30) << 60) | (choices.below(1 << 30) << 30) | choices.below(1 << 30)
    return low + wide % width


def several(choices: Choices, make: Callable[[Choices], T], most: int, k: int = 1, n: int = 2) -> list[T]:
    """Up to *most* of what *make* makes; after each, another one *k* times of *n*."""

    def one(choices: Choices) -> list[T]:
        return [make(choices)] if chance(choices, k, n) else []

    made: list[T] = []
    while len(made) < most and (more := choices.part(one)):
        made += more
    return made


def weighted(choices: Choices, weights: Sequence[tuple[T, int]]) -> T:
    """One of the named things by weight; the first is the simplest."""
    at = choices.below(sum(weight for _, weight in weights))
    for thing, weight in weights:
        at -= weight
        if at < 0:
            return thing
    raise AssertionError("unreachable")
