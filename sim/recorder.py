"""Rows of requests and attempts, handed to the sink in the order in which the requests began."""

from collections import deque

from ..core.ports import Sink
from .entities import Request


class Recorder:
    """Numbers requests as they begin, and passes each on once it and all before it have ended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._open: deque[Request] = deque()
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
        while self._open and self._open[0].record is not None:
            done = self._open.popleft()
            assert done.record is not None
            self._sink.request(done.record, [attempt.row() for attempt in done.attempts])
            done.attempts = []

    def unfinished(self) -> list[Request]:
        """Requests without an outcome, in order of rows."""
        return [request for request in self._open if request.record is None]
