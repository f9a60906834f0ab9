"""Rows of requests and attempts on their way to the sink: brought into order, stragglers later."""

import numpy as np
import numpy.typing as npt

from ..core.columns import ATTEMPTS, REQUESTS
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
        """Finished rows; every request below *watermark* is among them, or was."""
        requests = np.concatenate((self._requests, requests))
        attempts = np.concatenate((self._attempts, attempts))
        requests = requests[np.argsort(requests["request"], kind="stable")]
        attempts = attempts[np.lexsort((attempts["attempt"], attempts["request"]))]
        ready = int(np.searchsorted(requests["request"], watermark))
        ended = int(np.searchsorted(attempts["request"], watermark))
        if len(requests) - ready > WINDOW:
            ready, ended = len(requests), len(attempts)
        self._requests, self._attempts = requests[ready:], attempts[ended:]
        if ready or ended:
            self._sink.rows(requests[:ready], attempts[:ended])
