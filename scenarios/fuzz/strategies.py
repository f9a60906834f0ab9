"""The same requests as Hypothesis strategies, for tests of your own and for shrinking: every choice is an ``integers()``, whose least value is the simplest."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hypothesis import strategies as st

from .choices import Choices
from .hostile import hostile_wire
from .requests import WEIGHTS, Request, make_request
from .surface import ROOT, Surface
from .wire import Wire

T = TypeVar("T")


class _Hypothesis:
    """Choices that Hypothesis makes."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def below(self, n: int) -> int:
        """See Choices."""
        made: int = self._draw(st.integers(0, n - 1))
        return made

    def part(self, make: Callable[[Choices], T]) -> T:
        """See Choices."""
        made: T = self._draw(made_by(make))
        return made


def made_by(make: Callable[[Choices], T]) -> st.SearchStrategy[T]:
    """What *make* makes out of choices."""

    @st.composite
    def built(draw: Callable[[st.SearchStrategy[Any]], Any]) -> T:
        return make(_Hypothesis(draw))

    return built()


def requests(surface: Surface = ROOT, weights: Mapping[str, int] = WEIGHTS) -> st.SearchStrategy[Request]:
    """Well-formed requests for *surface*."""
    return made_by(lambda choices: make_request(choices, surface, weights))


def hostile() -> st.SearchStrategy[Wire]:
    """Malformed and hostile bytes on the wire."""
    return made_by(hostile_wire)
