"""A token bucket: so many at once, and so many a second in the long run (how EC2 throttles its API).

Kept as the time at which the bucket will be full again (the generic cell rate algorithm, ITU-T I.371), in whole ns, so that no rounding adds up.
"""

from dataclasses import dataclass

from .model import SECOND


@dataclass(slots=True)
class TokenBucket:
    """At most *burst* tokens; a new one every *interval* ns. It begins full. Time is told, in ns."""

    interval: int
    burst: int
    full_at: int = 0

    @classmethod
    def of(cls, rate: float, burst: int) -> "TokenBucket":
        """*rate* new tokens a second."""
        return cls(round(SECOND / rate), burst)

    def ready(self, now: int) -> bool:
        """Whether there is a token."""
        return max(self.full_at, now) + self.interval <= now + self.burst * self.interval

    def take(self, now: int) -> None:
        """Take a token, if there is one."""
        assert self.ready(now), f"no token at {now} ns"
        self.full_at = max(self.full_at, now) + self.interval
