"""What an app server does with an arriving request, and when it runs out of memory."""

from .decision import decision
from .draws import uniform

START = 0
QUEUE = 1
REJECT = 2

LONGEST = 1e15
"""Nothing that is slowed takes longer (ns: eleven days), so that sums stay within int64."""


@decision
def admit_request(busy: int, workers: int, queued: int, queue: int) -> int:
    """START it on a free worker, QUEUE it, or REJECT it (503). *queue* -1: unlimited; it excludes those in service."""
    if busy < workers:
        return START
    if queue < 0 or queued < queue:
        return QUEUE
    return REJECT


@decision
def memory_used(base: int, per_request: int, in_flight: int, bodies: int, leak: int, served: int) -> int:
    """Bytes in use: base, what requests in flight hold, their *bodies*, what answered ones left behind."""
    return base + per_request * in_flight + bodies + leak * served


@decision
def out_of_memory(used: int, total: int) -> bool:
    """Whether the instance dies (*total* bytes, -1: unlimited)."""
    return 0 <= total < used


@decision
def cache_hit(filled_until: int, now: int) -> bool:
    """Whether a cached entry that expires at *filled_until* (ns) still answers at *now*."""
    return filled_until > now


@decision
def slowed(demand: int, factor: float) -> int:
    """CPU, service or boot time (ns) while everything takes *factor* times as long; at most LONGEST."""
    if factor == 1.0:
        return demand
    return int(min(demand * factor, LONGEST))


@decision
def held_after(cpu: int, overhead: int) -> int:
    """How long (ns) a request that had *cpu* ns of CPU time holds its worker when its core is free again; one without any used no executor."""
    return overhead if cpu > 0 else 0


def errors_of_both(share: float, status: int, other: float, other_status: int) -> tuple[float, int]:
    """The share of requests that fail early where two causes make errors independently (1 - (1 - a)(1 - b)), and the status of the likelier one's."""
    return share + other * (1.0 - share), status if share >= other else other_status


@decision
def fails_early(share: float, bits: int) -> bool:
    """Whether a faulty server answers this request with an error at once; *share* of them are."""
    return uniform(bits) < share
