"""How long the cloud is not asked again after it has refused a launch, a termination or its list: exponential backoff with jitter."""

from dataclasses import dataclass

from .draws import ATTEMPT_LIMIT, BACKOFF, draw, key, uniform
from .model import SECOND

LONGEST = 60 * SECOND
"""The longest wait (ns), unless the interval between turns is longer."""

UNCERTAIN = frozenset(
    {"Unavailable", "InternalError", "InternalFailure", "RequestTimeout", "ServiceUnavailable"}
)
"""Codes of refusals that may be none: no answer came, or not from whoever would know."""

_JITTER = 0.5


def stream(seed: int, what: str) -> int:
    """The key of the jitter's draws for refusals of *what*, under a run's *seed*."""
    return key(seed, f"{what} refusals")


def wait(interval: int, refusals: int, number: int, draws: int) -> int:
    """How long to wait (ns) after the *refusals*-th refusal in a row, which was that of instance *number* (of the list: 0).

    The *interval* between turns at first, then twice that, four times that, up to LONGEST; of which the jitter, from the stream *draws*, takes up to a half, so that
    fleets that were refused together do not come back together.
    """
    doubled = min(interval << min(refusals - 1, 40), max(LONGEST, interval))
    bits = draw(draws, number, min(refusals, ATTEMPT_LIMIT - 1), BACKOFF)
    return doubled - int(doubled * _JITTER * uniform(bits))


@dataclass(slots=True)
class Backoff:
    """Of one kind of call: how many of them were refused in a row, and until when (ns, -1: at any time) it is not made again. *draws*: the jitter's stream."""

    interval: int
    draws: int
    refusals: int = 0
    after: int = -1

    def refused(self, now: int, number: int = 0) -> int:
        """The call at *now*, about instance *number*, was refused: until when the next one waits."""
        self.refusals += 1
        self.after = now + wait(self.interval, self.refusals, number, self.draws)
        return self.after

    def granted(self) -> None:
        """One succeeded."""
        self.refusals, self.after = 0, -1

    def recall(self, refusals: int, after: int) -> None:
        """What somebody else knew before; what is known already stays."""
        self.refusals, self.after = max(self.refusals, refusals), max(self.after, after)


@dataclass(frozen=True, slots=True)
class Waits:
    """Those of an autoscaler: for launches, ends and the list."""

    launch: Backoff
    end: Backoff
    list: Backoff

    @classmethod
    def anew(cls, interval: int, seed: int) -> "Waits":
        """Nothing has been refused yet."""
        return cls(*(Backoff(interval, stream(seed, what)) for what in ("launch", "end", "list")))
