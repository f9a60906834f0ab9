"""What the proxy counts for those who watch it, beside its books: counters that only grow, read when somebody asks."""

from ...core.outcomes import NAMES
from ..metrics.families import STATUS_CLASSES, Durations


class Counts:
    """*answers* by the first digit of the status, *durations* from a request's head to the end of its answer, *own* answers by outcome.

    *malformed*: messages that were refused before they were a request, or in the middle of one. A request that ends without an answer (its client went, or its answer broke off) is what
    is neither answered nor under way.
    """

    __slots__ = ("accepted", "answers", "durations", "evicted", "malformed", "own", "refused", "retries")

    def __init__(self) -> None:
        self.accepted = 0
        self.answers = [0] * (len(STATUS_CLASSES) + 1)
        self.durations = Durations()
        self.evicted = 0
        self.malformed = 0
        self.own = [0] * len(NAMES)
        self.refused = 0
        self.retries = 0

    def answered(self, status: int, duration: int) -> None:
        """A request has its answer, *duration* ns after its head came."""
        self.answers[status // 100] += 1
        self.durations.add(duration)
