"""Rows of a flight, gathered into whole seconds: a request counts in the second in which it ended, or in which it was heard of if that was later."""

import numpy as np

from ...core.columns import ATTEMPT_ROW, REQUEST_ROW
from ...core.model import SECOND
from ..live.telling import Told

_ATTEMPT_TIMES = tuple(name for name in ATTEMPT_ROW.names or () if name.endswith("_ns"))


class Seconds:
    """Keeps rows of seconds that are not over yet, which are those of requests under way at most."""

    def __init__(self) -> None:
        self._requests = np.zeros(0, REQUEST_ROW)
        self._attempts = np.zeros(0, ATTEMPT_ROW)

    def whole(self, told: Told) -> Told:
        """The second that *told* ends, with all rows that count in it."""
        begin, end = int(told.fields["t"]) - SECOND, int(told.fields["t"])
        requests = np.concatenate([self._requests, told.requests])
        attempts = np.concatenate([self._attempts, told.attempts])
        ended = requests["time_ns"] + requests["latency_ns"]
        over = ended < end
        attempt_over = attempts["end_ns"] < end
        self._requests, self._attempts = requests[~over], attempts[~attempt_over]
        requests, attempts = requests[over], attempts[attempt_over]
        requests["time_ns"] += np.maximum(begin - ended[over], 0)
        late = np.maximum(begin - attempts["end_ns"], 0)
        for name in _ATTEMPT_TIMES:
            attempts[name] = np.where(attempts[name] >= 0, attempts[name] + late, attempts[name])
        return Told(told.kind, told.fields, requests, attempts, told.metrics)
