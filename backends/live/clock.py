"""The live clock: nanoseconds since the conductor began, alike in every process of this machine."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveClock:
    """Implements core.ports.Clock. *origin* is CLOCK_MONOTONIC, in ns, where this clock reads 0.

    The scenario's zero is a later moment, told to whoever needs it (``start``), when the fleet is up.
    """

    origin: int

    @classmethod
    def begin(cls) -> "LiveClock":
        """A clock that reads 0 now."""
        return cls(time.monotonic_ns())

    @classmethod
    def by_wall(cls, epoch: int) -> "LiveClock":
        """The clock of a flight on another machine, which read 0 at the wall-clock time *epoch* (ns since 1970): as exact as both machines' time of day."""
        return cls(time.monotonic_ns() - (time.time_ns() - epoch))

    def now(self) -> int:
        """Nanoseconds since the origin."""
        return time.monotonic_ns() - self.origin
