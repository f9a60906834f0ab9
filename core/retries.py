"""Who may try again, and when.

The proxy's budget is Envoy's ("Retry budget"): retries under way may be a share of the requests under way, or three if that
is less. The client's backoff is exponential with jitter around it.
"""

from .decision import decision
from .draws import uniform
from .outcomes import Outcome

BUDGET_FLOOR = 3
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
def proxy_retries(outcome: int, tries: int, attempts: int, active: int, retrying: int, budget: float) -> bool:
    """Whether the proxy sends a failed request to another server.

    Only what surely did no harm or had no answer is repeated: connection failures, resets and full queues.
    *tries* is how often it was sent, *attempts* how many retries are allowed, *active* and *retrying* count requests and
    retries under way, *budget* is the allowed share (negative: no budget).
    """
    if tries > attempts:
        return False
    if outcome != _QUEUE_FULL and outcome != _CONNECT_FAILED and outcome != _UPSTREAM_RESET:
        return False
    return budget < 0 or retrying < max(float(BUDGET_FLOOR), budget * active)
