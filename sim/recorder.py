"""Numbers requests as they begin, and collects their rows as they end."""

import numpy as np

from ..core.columns import ATTEMPT_ROW, REQUEST_ROW
from ..core.ports import Sink
from .entities import Request
from .rows import RowOrder

BATCH = 8_192


class Recorder:
    """The rows of a run."""

    def __init__(self, sink: Sink) -> None:
        self._order = RowOrder(sink)
        self._open: dict[int, Request] = {}
        self._requests: list[tuple[int, ...]] = []
        self._attempts: list[tuple[int, ...]] = []
        self._rows = 0

    def begin(self, request: Request) -> None:
        """A request begins: it gets the next row."""
        request.row = self._rows
        self._rows += 1
        self._open[request.row] = request

    def finish(self, request: Request, outcome: int, now: int) -> None:
        """A request has its outcome."""
        assert request.row in self._open, f"request {request.row} has two outcomes"
        del self._open[request.row]
        row, attempts = rows_of(request, outcome, now)
        self._requests.append(row)
        self._attempts.extend(attempts)
        if len(self._requests) >= BATCH:
            self.hand_over()

    def hand_over(self) -> None:
        """Pass on what is finished."""
        watermark = next(iter(self._open), self._rows)
        requests = np.array(self._requests, dtype=REQUEST_ROW)
        attempts = np.array(self._attempts, dtype=ATTEMPT_ROW)
        self._requests, self._attempts = [], []
        self._order.add(requests, attempts, watermark)

    def unfinished(self) -> list[Request]:
        """Requests without an outcome, in order of rows."""
        return list(self._open.values())


def rows_of(request: Request, outcome: int, now: int) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The row of a request that has its *outcome* now, and those of its attempts."""
    rows = [attempt.row() for attempt in request.attempts]
    *_, status, server, _, _ = rows[-1]
    return (
        request.row, request.source, request.index, request.endpoint, request.time,
        now - request.time, outcome, status, len(rows), server,
    ), rows  # fmt: skip
