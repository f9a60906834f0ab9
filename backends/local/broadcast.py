"""A flight's messages to whoever follows it (live.telling). A listener that is too slow loses messages and is told so; the flight never waits for one.

The last seconds are kept, so that what a listener read elsewhere of the time before meets what it hears.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core.columns import ATTEMPT_ROW, METRIC_ROW, REQUEST_ROW, Rows
from ..live.listening import Listener
from ..live.telling import Told, pack

KEPT_SECONDS = 16
"""A listener hears so many seconds of what was before it came; the run's directory has what is older."""

_WAITING = 256
"""Messages that may wait for a listener besides those."""

_LOST = pack(Told("lost"))


class Broadcast:
    """Implements recording.Follower. *begin* is what a listener is told first."""

    def __init__(self, begin: Mapping[str, Any]) -> None:
        self._begin = pack(Told("begin", dict(begin)))
        self._recent: deque[Told] = deque()
        self._listeners: set[Listener[bytes]] = set()
        self._requests: list[Rows] = []
        self._attempts: list[Rows] = []
        self._over = False

    def listen(self) -> Listener[bytes]:
        """A new listener."""
        listener = Listener([self._begin, *map(pack, self._recent)], _WAITING, lambda: _LOST)
        self._listeners.add(listener)
        if self._over:
            listener.end()
        return listener

    def leave(self, listener: Listener[bytes]) -> None:
        """It listens no more."""
        self._listeners.discard(listener)

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """See recording.Follower."""
        self._tell(Told("event", {"event": {"t": time, "event": name, **fields}}))

    def rows(self, requests: Rows, attempts: Rows) -> None:
        """See recording.Follower."""
        self._requests.append(requests)
        self._attempts.append(attempts)

    def metrics(self, rows: Sequence[tuple[int, ...]], measured: Sequence[Sequence[Any]] = ()) -> None:
        """See recording.Follower."""
        metrics = np.array([tuple(row) for row in rows], dtype=METRIC_ROW)
        time = int(metrics["time_ns"][-1]) if len(metrics) else -1
        requests = np.concatenate([np.zeros(0, REQUEST_ROW), *self._requests])
        attempts = np.concatenate([np.zeros(0, ATTEMPT_ROW), *self._attempts])
        self._requests, self._attempts = [], []
        self._tell(
            Told(
                "second",
                {"t": time, "measured": [list(row) for row in measured]},
                requests,
                attempts,
                metrics,
            )
        )
        seconds = sum(told.kind == "second" for told in self._recent)
        while seconds > KEPT_SECONDS:
            seconds -= self._recent.popleft().kind == "second"

    def end(self) -> None:
        """The flight has been flown."""
        self._tell(Told("end"))
        self._over = True
        for listener in self._listeners:
            listener.end()

    def _tell(self, told: Told) -> None:
        self._recent.append(told)
        if self._listeners:
            message = pack(told)
            for listener in self._listeners:
                listener.tell(message)
