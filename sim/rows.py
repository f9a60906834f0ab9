"""Rows of requests and attempts on their way to the sink: brought into order, stragglers later."""

import numpy as np
import numpy.typing as npt

from ..core.columns import ATTEMPT_ROW, REQUEST_ROW, Rows, opaque
from ..core.draws import ATTEMPT_LIMIT
from ..core.ports import Sink

WINDOW = 262_144
"""So many rows may wait for one before them; then that one is a straggler, and no longer waited for."""


class RowOrder:
    """Takes blocks of finished rows, passes on blocks in the order in which the requests began."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._requests = np.zeros(0, REQUEST_ROW)
        self._attempts = np.zeros(0, ATTEMPT_ROW)

    def add(self, requests: Rows, attempts: Rows, watermark: int) -> None:
        """Finished rows, copied; every request below *watermark* is among them, or was."""
        requests, attempts = _joined(self._requests, requests), _joined(self._attempts, attempts)
        places, attempt_places = order_of(requests), order_of(attempts)
        ready = int(np.count_nonzero(requests["request"] < watermark))
        ended = int(np.count_nonzero(attempts["request"] < watermark))
        if len(requests) - ready > WINDOW:
            ready, ended = len(requests), len(attempts)
        self._requests = picked(requests, places[ready:])
        self._attempts = picked(attempts, attempt_places[ended:])
        if ready or ended:
            self._sink.rows(picked(requests, places[:ready]), picked(attempts, attempt_places[:ended]))


def order_of(rows: Rows) -> npt.NDArray[np.intp]:
    """The places of *rows* by request and, if they have one, attempt."""
    keys = rows["request"] * ATTEMPT_LIMIT
    if rows.dtype == ATTEMPT_ROW:
        keys = keys + rows["attempt"]
    return np.argsort(keys, kind="stable")


def picked(rows: Rows, places: npt.NDArray[np.intp]) -> Rows:
    """A copy of *rows* at *places*."""
    return opaque(rows)[places].view(rows.dtype)


def _joined(held: Rows, rows: Rows) -> Rows:
    return np.concatenate((held, rows)) if len(held) else rows
