"""Outcomes: what became of a request or an attempt. Each planned request has exactly one, each attempt too.

The numbers are part of the run format.
"""

from enum import IntEnum

from .decision import decision


class Outcome(IntEnum):
    """What became of a request or an attempt, as the client saw it."""

    PENDING = 0
    OK = 1
    """Answered as planned (a planned 404 is ok)."""
    APP_ERROR = 2
    """The application answered with a status of 500 or above."""
    NO_SERVER = 3
    """503: the proxy knew no server to send it to."""
    QUEUE_FULL = 4
    """503: the app server's queue was full."""
    SHED = 5
    """503: every server was at its cap of requests in flight."""
    REFUSED = 6
    """The proxy reset the connection: its memory was exhausted, or it was down; or a bad link closed it."""
    CONNECT_FAILED = 7
    """502: no connection to the app server (nobody listens there, or the proxy has no descriptor left)."""
    UPSTREAM_RESET = 8
    """502: the app server died with the request in flight, or a bad link closed the connection to it."""
    UPSTREAM_TIMEOUT = 9
    """504: no answer from the app server in time."""
    CLIENT_TIMEOUT = 10
    """The client gave up."""
    BAD_REQUEST = 11
    """400, or another status that says so (core.http): the proxy did not accept the request."""
    EVICTED = 12
    """The proxy closed the connection to make room, or had closed it before the request arrived."""
    UNREAD = 13
    """Answered, but the client never reads."""
    UNFINISHED = 14
    """In flight at the end of the run."""


NAMES = tuple(outcome.name.lower() for outcome in Outcome)
"""Outcome names as they stand in files and summaries, by number."""

GOOD = frozenset({Outcome.OK, Outcome.UNREAD})
"""Outcomes that are not errors."""

STATUS = {
    Outcome.NO_SERVER: 503,
    Outcome.QUEUE_FULL: 503,
    Outcome.SHED: 503,
    Outcome.CONNECT_FAILED: 502,
    Outcome.UPSTREAM_RESET: 502,
    Outcome.UPSTREAM_TIMEOUT: 504,
    Outcome.BAD_REQUEST: 400,
}
"""HTTP status of the answers that the proxy gives itself."""


@decision
def retryable(outcome: int) -> bool:
    """Whether a client tries again after *outcome*: after any failure but a request that was itself bad."""
    return 2 <= outcome <= 10 or outcome == 12
