"""The record of a run's autoscaler, read back turn by turn."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.outcomes import NAMES, Outcome
from .run import Run
from .tables import codes, numbers

Row = dict[str, Any]

REACHED = (Outcome.OK, Outcome.APP_ERROR, Outcome.BAD_REQUEST, Outcome.UNREAD, Outcome.UNFINISHED)
"""Outcomes of requests that were not turned away or lost on their way, or whose end is not known."""

_BLOCK = 4096


class DecisionLog:
    """The turns of *run*'s autoscaler, in order: ``rows`` as mappings (docs/run-format.md). Raises RunError if it has none."""

    def __init__(self, run: Run) -> None:
        self.rows: list[Row] = run.decisions.to_pylist()
        self.times = np.array([row["time_ns"] for row in self.rows], dtype=np.int64)
        self._run = run
        self._seen = run.observations
        moments = numbers(self._seen, "time_ns")
        self._first = np.searchsorted(moments, self.times, "left")
        self._last = np.searchsorted(moments, self.times, "right")

    def __len__(self) -> int:
        """Turns."""
        return len(self.rows)

    def seen(self, turn: int) -> list[Row]:
        """What was seen of each server at *turn*."""
        first = int(self._first[turn])
        found: list[Row] = self._seen.slice(first, int(self._last[turn]) - first).to_pylist()
        return found

    def turns(self) -> Iterator[tuple[int, list[Row]]]:
        """All turns by number, with what was seen; a block of them is in memory at once."""
        for begin in range(0, len(self), _BLOCK):
            end = min(begin + _BLOCK, len(self))
            low = int(self._first[begin])
            block: list[Row] = self._seen.slice(low, int(self._last[end - 1]) - low).to_pylist()
            for turn in range(begin, end):
                yield turn, block[int(self._first[turn]) - low : int(self._last[turn]) - low]

    def last_by(self, time: int) -> int:
        """The last turn at or before *time* (ns), -1: none."""
        return int(np.searchsorted(self.times, time, "right")) - 1

    def failed(self) -> list[float]:
        """For each turn, the share of the requests planned since the one before that did not reach a server or were given up."""
        table = self._run.table("requests", ("time_ns", "outcome"))
        planned = numbers(table, "time_ns")
        lost = ~np.isin(codes(table, "outcome", NAMES), REACHED)
        place = np.searchsorted(self.times, planned, "left")
        size = len(self) + 1
        every = np.bincount(place, minlength=size)[:-1]
        missed = np.bincount(place[lost], minlength=size)[:-1]
        shares: list[float] = (missed / np.maximum(every, 1)).tolist()
        return shares
