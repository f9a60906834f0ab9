"""Timers of an event loop that are good to about 0.1 ms, without a busy loop.

Theory of operation
-------------------
The loops' own timers have a granularity of 1 ms. On Linux one ``timerfd`` per loop, armed for the earliest of a heap, wakes the loop within some
50 us. That delay is measured as it happens and the timer armed by its running mean earlier, so that what is waited for comes on time on average. A
loop that is busy is late by more; that is load and no property of the timer, so the correction is bounded. Elsewhere the loop's timers serve.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from ..live.clock import LiveClock

GREATEST_LEAD = 150_000
"""A timer is never armed earlier than this (ns) before its time."""

_SMOOTHING = 16
_NEVER = 1 << 62
_ABSOLUTE = 1
_SECOND = 1_000_000_000


class _Setting(ctypes.Structure):
    """``struct itimerspec``: interval and value, each seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Timers:
    """Calls back at times of *clock* (ns), on *loop*, in order of time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: LiveClock) -> None:
        self._loop = loop
        self._clock = clock
        self._due: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._count = 0
        self._armed = _NEVER
        self._handle: asyncio.TimerHandle | None = None
        self._lead = 0
        self._descriptor = -1
        if sys.platform == "linux":
            self._open()

    def _open(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._set_time = libc.timerfd_settime
        self._setting = _Setting()
        self._pointer = ctypes.byref(self._setting)
        self._descriptor = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._loop.add_reader(self._descriptor, self._expired)

    def at(self, moment: int, callback: Callable[[Any], None], item: Any) -> None:
        """Call ``callback(item)`` at *moment*; at the loop's next turn if that has passed."""
        heappush(self._due, (moment, self._count, callback, item))
        self._count += 1
        if moment < self._armed:
            self._arm(moment)

    def _arm(self, moment: int) -> None:
        self._armed = moment
        if self._descriptor < 0:
            if self._handle is not None:
                self._handle.cancel()
            wait = max(0, moment - self._clock.now()) / _SECOND
            self._handle = self._loop.call_later(wait, self._run)
            return
        # A value of 0 would disarm it.
        seconds, nanos = divmod(max(1, moment - self._lead + self._clock.origin), _SECOND)
        self._setting.value_s, self._setting.value_ns = seconds, nanos
        if self._set_time(self._descriptor, _ABSOLUTE, self._pointer, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            # It was armed anew after this wake-up had been noted.
            return
        delay = self._clock.now() - (self._armed - self._lead)
        if 0 <= delay < 4 * GREATEST_LEAD:
            self._lead = min(GREATEST_LEAD, self._lead + (delay - self._lead) // _SMOOTHING)
        self._run()

    def _run(self) -> None:
        due = self._due
        # What is added meanwhile must not arm the timer for each.
        self._armed = -1
        try:
            while due and due[0][0] <= self._clock.now() + self._lead:
                _, _, callback, item = heappop(due)
                callback(item)
        finally:
            self._armed = _NEVER
            if due:
                self._arm(due[0][0])

    def close(self) -> None:
        """Nothing is called back any more."""
        self._due.clear()
        if self._handle is not None:
            self._handle.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
