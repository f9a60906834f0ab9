"""From what roles say, on the live clock, to what a run records, in the scenario's time."""

import heapq
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Protocol

import numpy as np

from ...core.columns import Rows
from ...core.ports import Sink
from ...core.records import field, moved

_LATE = 1_000_000_000
"""Events are written when they are this old (ns), so that those of different processes come in order."""

_LIVE_TIMES = ("until",)
"""Fields that are times, too; a negative one is none."""


class Follower(Protocol):
    """Is told what a flight records, in the scenario's time (ns), as soon as it is known: events not in order, and those of the first fleet when the scenario begins."""

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """An event."""

    def rows(self, requests: Rows, attempts: Rows) -> None:
        """Finished requests and attempts."""

    def metrics(self, rows: Sequence[tuple[int, ...]], measured: Sequence[Sequence[Any]]) -> None:
        """One second's metrics and measurements."""


class Recording:
    """Hands events in order of time, rows and metrics to *sink*. Before :meth:`begin` events are kept; those of the first fleet happen at 0. A *follower* is told everything too."""

    def __init__(self, sink: Sink) -> None:
        self.follower: Follower | None = None
        self._sink = sink
        self._start = -1
        self._end = -1
        self._events: list[tuple[int, int, str, Mapping[str, Any]]] = []
        self._order = count()

    def begin(self, start: int) -> None:
        """The scenario's zero is at *start* (ns, live clock)."""
        self._start = start
        for time, _, name, fields in sorted(self._events):
            self._tell(time, name, fields)

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """An event at *time* (ns, live clock)."""
        heapq.heappush(self._events, (time, next(self._order), name, fields))
        if self._start >= 0:
            self._tell(time, name, fields)

    def _tell(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        if self.follower is not None:
            self.follower.event(self.scenario_time(time), name, self._mended(fields))

    def _mended(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: self.scenario_time(value) if key in _LIVE_TIMES and value >= 0 else value
            for key, value in fields.items()
        }

    def scenario_time(self, time: int) -> int:
        """*time* of the live clock in the scenario; what came before its zero happens at 0."""
        return max(0, time - self._start)

    def decided(self, decision: Sequence[Any], observations: Sequence[Sequence[Any]]) -> None:
        """A turn of the autoscaler (core.records), on the live clock; those after the run's end are not of it."""
        time = field("decisions", decision, "time_ns")
        if self._start < 0 or 0 <= self._end < time - self._start:
            return
        self._sink.decided(
            moved("decisions", decision, self.scenario_time),
            [moved("observations", row, self.scenario_time) for row in observations],
        )

    def flush(self, now: int) -> None:
        """Write the events that are old enough at *now* (ns, live clock)."""
        while self._start >= 0 and self._events and self._events[0][0] <= now - _LATE:
            time, _, name, fields = heapq.heappop(self._events)
            self._sink.event(self.scenario_time(time), name, self._mended(fields))

    def rows(self, frames: Sequence[tuple[Rows, Rows]]) -> None:
        """Finished requests and attempts from the load generator, already in the scenario's time."""
        for requests, attempts in frames:
            if len(requests) or len(attempts):
                # Copies: what comes from the pipe is not kept.
                mine = np.array(requests), np.array(attempts)
                if self.follower is not None:
                    self.follower.rows(*mine)
                self._sink.rows(*mine)

    def metrics(self, rows: Sequence[tuple[int, ...]], measured: Sequence[Sequence[Any]] = ()) -> None:
        """One second's metrics and measurements (core.records), in the scenario's time."""
        if self.follower is not None:
            self.follower.metrics(rows, measured)
        self._sink.metrics(rows)
        self._sink.measured(measured)

    def close(self, end: int) -> None:
        """The run ended at *end* (ns, the scenario's time), though its roles may go on."""
        self._end = end

    def end(self, end: int) -> None:
        """Write all that is left up to *end* (ns, the scenario's time), which is when the run ended."""
        self._events = [event for event in self._events if event[0] <= self._start + end]
        heapq.heapify(self._events)
        self.flush(self._start + end + _LATE)
