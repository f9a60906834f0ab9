"""How late an event loop is: a timer that is due every 50 ms says by how much it comes after its time.

On Linux the timer is a timerfd of the loop's own (proxy.delays), for the timers of uvloop round up to whole milliseconds. What keeps the loop for longer than the period shows
as one late tick of that length, so the sum counts each stall once.
"""

import time
from collections.abc import Callable
from typing import Any

from .families import SHORT_BOUNDS, Durations

PERIOD = 50_000_000
"""Nanoseconds between ticks."""


class LoopLag:
    """Ticks by *call_later* (ns, callback); :meth:`worst` is for whoever asks once a second."""

    def __init__(self, call_later: Callable[..., Any]) -> None:
        self.durations = Durations(SHORT_BOUNDS)
        self._call_later = call_later
        self._due = 0
        self._worst = 0

    def start(self) -> None:
        """Begin."""
        self._due = time.monotonic_ns() + PERIOD
        self._call_later(PERIOD, self._tick)

    def _tick(self) -> None:
        late = max(0, time.monotonic_ns() - self._due)
        self.durations.add(late)
        self._worst = max(self._worst, late)
        self.start()

    def worst(self) -> int:
        """The latest tick since this was last asked (ns)."""
        worst, self._worst = self._worst, 0
        return worst
