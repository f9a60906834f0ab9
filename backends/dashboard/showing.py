"""What the dashboard shows, made by somebody else: this package knows neither pages nor reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..live.telling import Told


@dataclass(frozen=True, slots=True)
class Document:
    """What a page begins with: JSON *text*, which tells the first *seconds* of a run."""

    text: str
    seconds: int


class Show(Protocol):
    """Makes it. All but :meth:`frame` and :meth:`marks` may take seconds, and are called in a thread."""

    def page(self, live: bool) -> str:
        """The page as HTML. *live*: frames will follow."""
        ...

    def document(self, live: bool, margin: int) -> Document:
        """What is known of the run now; of a *live* one all but the last *margin* seconds, which may be incomplete in its files."""
        ...

    def frame(self, told: Told, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The frame of a second that was told, with the events that became known in it; its ``first`` is the second's number."""
        ...

    def marks(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What is to be said of events at once; nothing of those that nobody wants to hear of."""
        ...
