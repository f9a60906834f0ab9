"""The generator's loop: what is due is done at its time, then what is ready.

It has no event loop of asyncio under it, for three reasons, all measured: those wait in whole milliseconds; a connection that is never read
must be watched without being read; and a connection made by them costs about as much as five requests. Times are ns since the scenario's zero.
"""

import heapq
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from .waiting import FOREVER, READ, waiter

_MOST_DUE = 64


class Watched(Protocol):
    """Whoever is told that a descriptor is ready; it may not be so after all."""

    def ready(self, events: int) -> None:
        """Look at it."""


class Reactor:
    """One thread's loop. *steady* is asked on each turn to do what is due, and says when it wants to be asked again."""

    def __init__(self) -> None:
        self.zero = time.monotonic_ns()
        self.steady: Callable[[], int] = lambda: FOREVER
        self.waiter = waiter()
        self.watched: dict[int, Watched] = {}
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._running = False
        self._calls: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._wake_read, self._wake_write = os.pipe()
        self.watch(self._wake_read, self, READ)

    def now(self) -> int:
        """Nanoseconds since the zero."""
        return time.monotonic_ns() - self.zero

    def at(self, moment: int, callback: Callable[..., None], *arguments: Any) -> None:
        """Call back at *moment*; what is due at the same moment happens in the order in which it was asked for."""
        self._number += 1
        heapq.heappush(self._due, (moment, self._number, callback, arguments))

    def call(self, callback: Callable[[], None]) -> None:
        """Call back soon, in the loop's thread; the only method for other threads."""
        with self._lock:
            if self._closed:
                return
            if not self._calls:
                os.write(self._wake_write, b"x")
            self._calls.append(callback)

    def watch(self, descriptor: int, who: Watched, interest: int) -> None:
        """Tell *who* when *descriptor* is ready."""
        self.watched[descriptor] = who
        self.waiter.add(descriptor, interest)

    def forget(self, descriptor: int) -> None:
        """Watch it no longer."""
        del self.watched[descriptor]
        self.waiter.remove(descriptor)

    def ready(self, events: int) -> None:
        """Another thread has called."""
        with self._lock:
            calls, self._calls = self._calls, []
            if calls:
                os.read(self._wake_read, 1)
        for callback in calls:
            callback()

    def stop(self) -> None:
        """Leave :meth:`run`."""
        self._running = False

    def run(self) -> None:
        """Until :meth:`stop`."""
        self._running = True
        due, watched, clock = self._due, self.watched, time.monotonic_ns
        wait = self.waiter.wait
        while self._running:
            moment = self.steady()
            for _ in range(_MOST_DUE):
                if not due or due[0][0] > clock() - self.zero:
                    break
                _, _, callback, arguments = heapq.heappop(due)
                callback(*arguments)
            if due and due[0][0] < moment:
                moment = due[0][0]
            for descriptor, events in wait(min(moment + self.zero, FOREVER) if self._running else 0):
                who = watched.get(descriptor)
                if who is not None:
                    who.ready(events)

    def close(self) -> None:
        """Give back the descriptors of the loop itself."""
        with self._lock:
            self._closed = True
        self.waiter.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
