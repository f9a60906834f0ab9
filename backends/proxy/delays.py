"""Callbacks after delays shorter than a millisecond, which event loops round away.

Links of a scenario take half a millisecond; uvloop's timers have whole ones, asyncio's wait in whole ones. On Linux one timerfd (timerfd_create(2)) wakes the
loop for the earliest of a heap of callbacks; elsewhere the loop's own timers have to do.
"""

import asyncio
import contextlib
import ctypes
import heapq
import os
import sys
import time
from collections.abc import Callable
from typing import Any

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1
_SECOND = 1_000_000_000


class _Moment(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Setting(ctypes.Structure):
    _fields_ = [("interval", _Moment), ("value", _Moment)]


class Delays:
    """Calls back after a number of nanoseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._sequence = 0
        self._armed = 0
        self._file = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._file = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
            if self._file < 0:
                raise OSError(ctypes.get_errno(), "timerfd_create failed")
            loop.add_reader(self._file, self._fire)

    def call_later(self, delay: int, callback: Callable[..., object], *args: Any) -> None:
        """Call *callback* after *delay* ns; of several that are due at once the one asked for first."""
        if self._file < 0:
            self._loop.call_later(delay / _SECOND, callback, *args)
            return
        self._sequence += 1
        at = time.monotonic_ns() + delay
        heapq.heappush(self._heap, (at, self._sequence, callback, args))
        if self._armed == 0 or at < self._armed:
            self._arm(at)

    def close(self) -> None:
        """Call nothing any more."""
        self._heap.clear()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _arm(self, at: int) -> None:
        self._armed = at
        setting = _Setting(_Moment(0, 0), _Moment(at // _SECOND, at % _SECOND))
        if self._libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(setting), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def _fire(self) -> None:
        with contextlib.suppress(BlockingIOError):  # Another timer was set since.
            os.read(self._file, 8)
        self._armed = 0
        now = time.monotonic_ns()
        heap = self._heap
        due = []
        while heap and heap[0][0] <= now:
            due.append(heapq.heappop(heap))
        if heap:
            self._arm(heap[0][0])
        for _, _, callback, args in due:
            callback(*args)
