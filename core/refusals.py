"""How long no launch is asked for after the cloud has refused one: exponential backoff with jitter."""

from .draws import ATTEMPT_LIMIT, BACKOFF, draw, key, uniform
from .model import SECOND

LONGEST = 60 * SECOND
"""The longest wait (ns), unless the interval between turns is longer."""

_JITTER = 0.5


def stream(seed: int) -> int:
    """The key of the jitter's draws under a run's *seed*."""
    return key(seed, "launch refusals")


def wait(interval: int, refusals: int, number: int, draws: int) -> int:
    """How long to wait (ns) after the *refusals*-th refusal in a row, which was that of instance *number*.

    The *interval* between turns at first, then twice that, four times that, up to LONGEST; of which the jitter, from the stream *draws*, takes up to a half, so that
    fleets that were refused together do not come back together.
    """
    doubled = min(interval << min(refusals - 1, 40), max(LONGEST, interval))
    bits = draw(draws, number, min(refusals, ATTEMPT_LIMIT - 1), BACKOFF)
    return doubled - int(doubled * _JITTER * uniform(bits))
