"""When the autoscaler is due: each interval once, in phase with the scenario's zero, and less often while the registry is away."""

from dataclasses import dataclass

from ...core.model import SECOND

SETTLE = SECOND // 10
"""A turn waits so long for the samples that the monitors write at the same moment (ns)."""

LONGEST_PAUSE = 2 * SECOND
"""So long at most passes between two attempts to reach the registry, unless the interval is longer."""


@dataclass(slots=True)
class Pace:
    """Turns are due at ``start + k * interval``, k from 1. Times in ns.

    A turn that comes late takes place; those that were missed meanwhile do not.
    """

    start: int
    interval: int
    last: int = 0
    _failures: int = 0
    _retry: int = 0
    _time: int = 0

    def begin(self, now: int) -> None:
        """Turns due by *now* were somebody else's, or nobody's."""
        self.last = max(self._due_by(now), 0)

    def next(self, now: int) -> tuple[int, int]:
        """The number of the next turn, and how many were missed before it."""
        turn = max(self._due_by(now), self.last + 1)
        return turn, turn - self.last - 1

    def wait(self, turn: int, now: int) -> int:
        """How long until *turn* takes place."""
        return max(0, self._moment(turn) + SETTLE - now)

    def done(self, turn: int) -> None:
        """*turn* took place, or was passed over."""
        self.last = turn

    def time_of(self, turn: int, now: int) -> int:
        """What time *turn* counts as: its own, so that cooldowns and graces end at the turns at which they do in a rehearsal; *now* if it is far too late."""
        moment = self._moment(turn)
        on_time = now - moment <= SETTLE + min(self.interval // 2, SECOND)
        self._time = max(self._time, moment if on_time else now)
        return self._time

    def failed(self, turn: int) -> None:
        """The registry was away at *turn*: the next attempt comes later, each time twice as much."""
        pause = min(self.interval << min(self._failures, 20), max(self.interval, LONGEST_PAUSE))
        self._failures += 1
        self._retry = self._moment(turn) + pause

    def succeeded(self) -> None:
        """The registry was there."""
        self._failures = self._retry = 0

    def backs_off(self, turn: int) -> bool:
        """Whether *turn* passes without an attempt."""
        return self._moment(turn) < self._retry

    def _moment(self, turn: int) -> int:
        return self.start + turn * self.interval

    def _due_by(self, now: int) -> int:
        return (now - SETTLE - self.start) // self.interval
