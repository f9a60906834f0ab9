"""What the proxy counts for those who watch it, beside its books: counters that only grow, read when somebody asks."""

from bisect import bisect_left

from ...core.outcomes import NAMES
from ..metrics.families import REQUEST_BOUNDS, STATUS_CLASSES


class Counts:
    """*answers* by the first digit of the status, *buckets* (of REQUEST_BOUNDS) and *nanoseconds* from a request's head to the end of its answer, *own* answers by outcome.

    *malformed*: messages that were refused before they were a request, or in the middle of one. A request that ends without an answer (its client went, or its answer broke off) is what
    is neither answered nor under way.
    """

    __slots__ = (
        "accepted",
        "answers",
        "buckets",
        "evicted",
        "malformed",
        "nanoseconds",
        "own",
        "refused",
        "retries",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.answers = [0] * (len(STATUS_CLASSES) + 1)
        self.buckets = [0] * (len(REQUEST_BOUNDS) + 1)
        self.nanoseconds = 0
        self.evicted = 0
        self.malformed = 0
        self.own = [0] * len(NAMES)
        self.refused = 0
        self.retries = 0

    def answered(self, status: int, duration: int) -> None:
        """A request has its answer, *duration* ns after its head came."""
        # Each request comes here: this is written out for it.
        self.answers[status // 100] += 1
        self.buckets[bisect_left(REQUEST_BOUNDS, duration)] += 1
        self.nanoseconds += duration
