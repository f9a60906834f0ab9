"""What the pages that are open are told, as server-sent events: a ring of the last ones, from which a page that was away goes on.

A page that is too slow, or was away for longer than the ring lasts, is told to begin anew (``document``): nothing is ever kept for it beyond that.
"""

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from ..live.listening import Listener

KEPT = 240
"""Events that the ring holds: of a flight some two to four minutes."""

MOST_BYTES = 16 * 1024 * 1024
"""And no more than this."""

MOST_WAITING = 64
"""Events that may wait for one page."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event; *second* is that of a frame, -1 of one of marks alone and of all others."""

    number: int
    kind: str
    second: int
    data: str

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.data)


class News:
    """The events of one server; their ids hold when it began, so that those of another one are not taken for its own."""

    def __init__(self) -> None:
        self._epoch = f"{time.time_ns():x}"
        self._number = 0
        self._ring: deque[Item] = deque()
        self._size = 0
        self._dropped = -1
        self._listeners: set[Listener[Item]] = set()

    @property
    def last(self) -> str:
        """The id of the last event."""
        return self.id(self._number)

    @property
    def listeners(self) -> int:
        """How many pages are open."""
        return len(self._listeners)

    def id(self, number: int) -> str:
        """The id of an event."""
        return f"{self._epoch}-{number}"

    def tell(self, kind: str, data: Any, second: int = -1) -> None:
        """An event for all pages."""
        self._number += 1
        item = Item(self._number, kind, second, json.dumps(data, separators=(",", ":")))
        self._ring.append(item)
        self._size += item.size
        while len(self._ring) > KEPT or (self._size > MOST_BYTES and len(self._ring) > 1):
            gone = self._ring.popleft()
            self._size -= gone.size
            self._dropped = max(self._dropped, gone.second)
        for listener in self._listeners:
            listener.tell(item)

    def reaches(self, second: int) -> bool:
        """Whether no frame from *second* on has left the ring."""
        return second > self._dropped

    def frames_from(self, second: int) -> list[str]:
        """The frames from *second* on that the ring has, as JSON, and all that are of marks alone."""
        return [
            item.data
            for item in self._ring
            if item.kind == "frame" and (item.second < 0 or item.second >= second)
        ]

    def listen(self, after: str) -> Listener[Item]:
        """A page that has heard all up to the id *after*. If that cannot be continued, it is told to begin anew."""
        epoch, _, number = after.partition("-")
        heard = int(number) if epoch == self._epoch and number.isdecimal() and len(number) < 16 else -1
        first = self._ring[0].number if self._ring else self._number + 1
        known = first - 1 <= heard <= self._number
        backlog = [item for item in self._ring if item.number > heard] if known else [self.anew()]
        listener = Listener(backlog, MOST_WAITING, self.anew)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener[Item]) -> None:
        """A page was closed."""
        self._listeners.discard(listener)

    def anew(self) -> Item:
        """What tells a page to begin anew."""
        return Item(self._number, "document", -1, "{}")

    def end(self) -> None:
        """Nothing more will be told."""
        for listener in self._listeners:
            listener.end()
