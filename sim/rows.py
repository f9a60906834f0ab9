"""Rows of requests and attempts on their way to the sink: brought into order, stragglers later."""

import numpy as np
import numpy.typing as npt

from ..core.columns import ATTEMPTS, REQUESTS
from ..core.draws import ATTEMPT_LIMIT
from ..core.ports import Sink

REQUEST_ROW = np.dtype(list(REQUESTS))
ATTEMPT_ROW = np.dtype(list(ATTEMPTS))

WINDOW = 262_144
"""So many rows may wait for one before them; then that one is a straggler, and no longer waited for."""

Block = npt.NDArray[np.void]


class RowOrder:
    """Takes blocks of finished rows, passes on blocks in the order in which the requests began."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._requests = np.zeros(0, REQUEST_ROW)
        self._attempts = np.zeros(0, ATTEMPT_ROW)

    def add(self, requests: Block, attempts: Block, watermark: int) -> None:
        """Finished rows, copied; every request below *watermark* is among them, or was."""
        requests, attempts = _joined(self._requests, requests), _joined(self._attempts, attempts)
        keys = requests["request"]
        places = np.argsort(keys, kind="stable")
        attempt_keys = attempts["request"] * ATTEMPT_LIMIT + attempts["attempt"]
        attempt_places = np.argsort(attempt_keys, kind="stable")
        ready = int(np.count_nonzero(keys < watermark))
        ended = int(np.count_nonzero(attempt_keys < watermark * ATTEMPT_LIMIT))
        if len(keys) - ready > WINDOW:
            ready, ended = len(requests), len(attempts)
        self._requests = _picked(requests, places[ready:])
        self._attempts = _picked(attempts, attempt_places[ended:])
        if ready or ended:
            self._sink.rows(_picked(requests, places[:ready]), _picked(attempts, attempt_places[:ended]))


def _joined(held: Block, rows: Block) -> Block:
    return np.concatenate((held, rows)) if len(held) else rows


def _picked(rows: Block, places: npt.NDArray[np.intp]) -> Block:
    """A copy of *rows* at *places*; as opaque bytes, which numpy moves faster than fields."""
    opaque = rows.view(np.dtype((np.void, rows.dtype.itemsize)))
    return opaque[places].view(rows.dtype)
