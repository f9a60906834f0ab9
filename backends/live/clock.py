"""The live clock: nanoseconds since a fixed moment, alike in every process of a flight, and alike enough in whatever else reads its registry."""

import time
from dataclasses import dataclass

EPOCH = 1_577_836_800 * 1_000_000_000
"""2020-01-01T00:00:00Z in Unix time (ns). Since then, not since 1970, so that times have 18 digits at most, as many as a header's number may have."""


@dataclass(frozen=True, slots=True)
class LiveClock:
    """Implements core.ports.Clock. *origin* is CLOCK_MONOTONIC, in ns, where this clock reads 0.

    It follows the machine's time of day as that was when the flight began, and never jumps. Samples in a registry can so be told fresh from stale by
    processes of another flight, or started singly. The scenario's zero is a later moment, told to whoever needs it (``start``), when the fleet is up.
    """

    origin: int

    @classmethod
    def begin(cls) -> "LiveClock":
        """A clock by the time of day as it is now."""
        return cls(time.monotonic_ns() - (time.time_ns() - EPOCH))

    @classmethod
    def by_wall(cls, epoch: int) -> "LiveClock":
        """The clock of a flight on another machine, which read 0 at the wall-clock time *epoch* (ns since 1970): as exact as both machines' time of day."""
        return cls(time.monotonic_ns() - (time.time_ns() - epoch))

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return time.monotonic_ns() - self.origin
