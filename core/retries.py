"""Who may try again, and when.

The proxy's budget is Envoy's ("Retry budget"): retries under way may be a share of the requests under way, or three if that
is less. The client's backoff is exponential with jitter around it.
"""

from .decision import decision
from .draws import uniform
from .outcomes import Outcome

BUDGET_FLOOR = 3
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods that may be repeated without being asked (RFC 9110, section 9.2.2)."""

REPLAY_LIMIT = 65_536
"""Bytes of a request's content that the proxy keeps, so that it can be sent again."""

BACKOFF_LIMIT = 16
"""Doublings after which the backoff grows no more."""

_QUEUE_FULL = int(Outcome.QUEUE_FULL)
_CONNECT_FAILED = int(Outcome.CONNECT_FAILED)
_UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)


@decision
def backoff(base: int, jitter: float, retry: int, bits: int) -> int:
    """Nanoseconds before the *retry*-th retry (from 1): base * 2**(retry - 1), spread by +/- *jitter*."""
    delay = base << min(retry - 1, BACKOFF_LIMIT)
    return int(delay * (1.0 - jitter + 2.0 * jitter * uniform(bits)))


@decision
def keeps_content(outcome: int, body: int) -> bool:
    """Whether the proxy still has all of a request with *body* bytes of content when a try ends with *outcome*: without a connection none of it was passed on."""
    return outcome == _CONNECT_FAILED or body <= REPLAY_LIMIT


@decision
def proxy_retries(
    outcome: int,
    idempotent: bool,
    kept: bool,
    tries: int,
    attempts: int,
    active: int,
    retrying: int,
    budget: float,
) -> bool:
    """Whether the proxy sends a failed request to another server.

    Only what surely did no harm is repeated: connection failures and full queues, for no server has begun with the request; resets if its method is *idempotent*.
    *kept*: the proxy still has all of its content. *tries* is how often it was sent, *attempts* how many retries are allowed, *active* and *retrying* count requests and
    retries under way, *budget* is the allowed share (negative: no budget).
    """
    if tries > attempts or not kept:
        return False
    if outcome == _UPSTREAM_RESET:
        if not idempotent:
            return False
    elif outcome != _QUEUE_FULL and outcome != _CONNECT_FAILED:
        return False
    return budget < 0 or retrying < max(float(BUDGET_FLOOR), budget * active)
