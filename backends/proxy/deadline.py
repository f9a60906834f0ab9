"""A timer that is put off much more often than it fires."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

NEVER = float("inf")
"""``at`` of a deadline that is not to fire."""


class Deadline:
    """Calls back once when its time has come. Putting it off costs an assignment: the loop's timer is left alone and, when it fires, armed again
    for what is left."""

    __slots__ = ("_armed", "_callback", "_handle", "_loop", "at")

    def __init__(self, loop: AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: TimerHandle | None = None
        self._armed = NEVER
        self.at = NEVER

    def set(self, delay: float) -> None:
        """Fire after *delay* seconds from now, and not before."""
        at = self.at = self._loop.time() + delay
        if at < self._armed:
            self._arm(at)

    def clear(self) -> None:
        """Do not fire."""
        self.at = NEVER

    def close(self) -> None:
        """Never fire again."""
        self.at = NEVER
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._armed = NEVER

    def _arm(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed = at
        self._handle = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._armed = NEVER
        if self.at == NEVER:
            return
        if self.at > self._loop.time():
            self._arm(self.at)
            return
        self.at = NEVER
        self._callback()
