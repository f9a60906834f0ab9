"""What a connection that ends without an answer means for the requests that were under way on it."""

import errno

from ...core.admission import EVICT, REFUSE
from ...core.model import NONE, ProxySpec
from ...core.outcomes import Outcome

ENDED = 0
"""In place of an error: the connection was closed in order."""


def reset_means_evicted(proxy: ProxySpec) -> bool:
    """Whether a reset of a connection that was never answered was an eviction: this proxy closes connections to make room, and refuses none."""
    refuses = proxy.memory.total != NONE and proxy.on_exhaustion == REFUSE
    return not refuses and EVICT in (proxy.overload, proxy.on_exhaustion)


def cause_of_loss(
    error: int, established: bool, sent: bool, answers: int, never_reads: bool, evicting: bool
) -> int:
    """The outcome of what waits on a connection that ended with *error*.

    *sent*: a request had been written and not answered; *answers* had come before; *evicting*: see reset_means_evicted.
    TCP tells three ends of an established connection apart (RFC 9293, 3.5.2 and 3.6). In order, with our request read: the proxy went away while it was busy with it.
    In order, then a reset (EPIPE): it had closed before our request arrived. A reset alone: it closed with our request unread.
    """
    if not established:
        timed_out = error == errno.ETIMEDOUT
        return int(Outcome.CLIENT_TIMEOUT if timed_out else Outcome.REFUSED)
    if never_reads or not sent or error == errno.EPIPE:
        return int(Outcome.EVICTED)
    if error == ENDED:
        return int(Outcome.REFUSED)
    return int(Outcome.EVICTED if evicting or answers else Outcome.REFUSED)
