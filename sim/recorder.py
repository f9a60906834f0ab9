"""Rows of requests and attempts, handed to the sink in the order in which the requests began, stragglers later."""

from collections import deque

from ..core.ports import Sink
from .entities import Request

WINDOW = 65_536
"""So many rows may wait for one before them; then that one is a straggler, and no longer waited for."""


class Recorder:
    """Numbers requests as they begin, and passes each on once it and those before it have ended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._open: deque[Request] = deque()
        self._stragglers: dict[int, Request] = {}
        self._rows = 0

    def begin(self, request: Request) -> None:
        """A request begins: it gets the next row."""
        request.row = self._rows
        self._rows += 1
        self._open.append(request)

    def finish(self, request: Request, outcome: int, now: int) -> None:
        """A request has its outcome."""
        assert request.record is None, f"request {request.row} has two outcomes"
        last = request.attempts[-1]
        request.record = (
            request.row, request.source, request.index, request.endpoint, request.time,
            now - request.time, outcome, last.status, len(request.attempts), last.server,
        )  # fmt: skip
        if request.row in self._stragglers:
            self._pass_on(self._stragglers.pop(request.row))
        while self._open and (self._open[0].record is not None or len(self._open) > WINDOW):
            first = self._open.popleft()
            if first.record is None:
                self._stragglers[first.row] = first
            else:
                self._pass_on(first)

    def _pass_on(self, request: Request) -> None:
        assert request.record is not None
        self._sink.request(request.record, [attempt.row() for attempt in request.attempts])
        request.attempts = []

    def unfinished(self) -> list[Request]:
        """Requests without an outcome, in order of rows."""
        return [
            *(request for _, request in sorted(self._stragglers.items())),
            *(request for request in self._open if request.record is None),
        ]
