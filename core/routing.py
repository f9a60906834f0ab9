"""Which server gets this request.

Every algorithm sees the same candidates: rows of the wanted role that are available, below the cap of
requests in flight, not the server that has just failed this request, and, while slow start lasts, let
through with a probability that grows from a tenth to one. Randomness arrives as 63 bits.

Sources: power of two choices, Mitzenmacher (IEEE TPDS 12(10), 2001); smooth weighted round robin as in nginx
(commit 52327e0627f4, 2012); rendezvous hashing, Thaler and Ravishankar (1998); peak EWMA as in Twitter's Finagle.
"""

import math

from .decision import decision
from .draws import ROUTE, below, below_again, draw, uniform
from .load_index import Index, first_least
from .table import CANARY, SERVING, Table, lower_bound

ROUND_ROBIN = 0
LEAST_CONNECTIONS = 1
POWER_OF_TWO = 2
WEIGHTED = 3
RANDOM = 4
CONSISTENT_HASH = 5
PEAK_EWMA = 6

ALGORITHMS = {
    "round_robin": ROUND_ROBIN,
    "least_connections": LEAST_CONNECTIONS,
    "power_of_two": POWER_OF_TWO,
    "weighted": WEIGHTED,
    "random": RANDOM,
    "consistent_hash": CONSISTENT_HASH,
    "peak_ewma": PEAK_EWMA,
}

NO_SERVER = -1
SHED = -2

EWMA_TAU_NS = 10_000_000_000.0
SLOW_START_FLOOR = 0.1
_PROBES = 8
_LANE = 0xFFFFFFFF


@decision
def slow_start_share(age: int, slow_start: int) -> float:
    """The share of its requests that a server listed *age* ns ago may have, from 0.1 to 1."""
    if age >= slow_start:
        return 1.0
    return max(SLOW_START_FLOOR, age / slow_start)


@decision
def eligible(
    servers: Table, slot: int, role: int, cap: int, slow_start: int, now: int, bits: int, exclude: int
) -> bool:
    """Whether the server in *slot* is a candidate (*cap* -1: none; *slow_start* ns, 0: off)."""
    if servers["available"][slot] == 0 or servers["role"][slot] != role:
        return False
    if servers["id"][slot] == exclude:
        return False
    if cap >= 0 and servers["in_flight"][slot] >= cap:
        return False
    if slow_start > 0:
        age = now - servers["since"][slot]
        if age < slow_start:
            luck = uniform(draw(bits & _LANE, servers["id"][slot], 0, ROUTE))
            return luck < slow_start_share(age, slow_start)
    return True


@decision
def next_after(
    servers: Table, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, last: int,
) -> int:  # fmt: skip
    """Round robin: the first candidate after server *last* in the order of ids, cyclically, or -1."""
    start = lower_bound(servers, count, last + 1)
    for step in range(count):
        slot = start + step
        if slot >= count:
            slot -= count
        if eligible(servers, slot, role, cap, slow_start, now, bits, exclude):
            return slot
    return -1


@decision
def least_loaded(
    servers: Table, load: Index, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, last: int,
) -> int:  # fmt: skip
    """Least connections; among equals the first after server *last*, so that ties rotate."""
    start = lower_bound(servers, count, last + 1)
    if load[0] > 0 and slow_start == 0 and exclude == 0:
        return first_least(load, role, start, cap)
    best = -1
    for step in range(count):
        slot = start + step
        if slot >= count:
            slot -= count
        if eligible(servers, slot, role, cap, slow_start, now, bits, exclude) and (
            best < 0 or servers["in_flight"][slot] < servers["in_flight"][best]
        ):
            best = slot
    return best


@decision
def random_candidate(
    servers: Table, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, first: int, avoid: int,
) -> int:  # fmt: skip
    """A candidate uniformly at random, other than slot *avoid*, or -1.

    Slot *first* is tried, then a few drawn from *bits*; only when all of them miss are the candidates counted.
    """
    lane = 1 if avoid < 0 else 2
    slot = first
    for probe in range(_PROBES):
        if slot != avoid and eligible(servers, slot, role, cap, slow_start, now, bits, exclude):
            return slot
        slot = below(draw(bits & _LANE, probe, lane, ROUTE), count)
    candidates = 0
    for slot in range(count):
        if slot != avoid and eligible(servers, slot, role, cap, slow_start, now, bits, exclude):
            candidates += 1
    if candidates == 0:
        return -1
    rank = below(draw(bits & _LANE, _PROBES, lane, ROUTE), candidates)
    for slot in range(count):
        if slot != avoid and eligible(servers, slot, role, cap, slow_start, now, bits, exclude):
            if rank == 0:
                return slot
            rank -= 1
    return -1


@decision
def peak_cost(servers: Table, slot: int, now: int) -> float:
    """Expected cost of one more request: decayed peak latency times (in flight + 1)."""
    age = now - servers["ewma_at"][slot]
    ewma = servers["ewma"][slot] * math.exp(-age / EWMA_TAU_NS)
    return float((ewma + 1.0) * (servers["in_flight"][slot] + 1))


@decision
def better_of_two(
    algorithm: int, servers: Table, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int,
) -> int:  # fmt: skip
    """Two different candidates at random; the one with fewer in flight (or the lower peak cost) wins."""
    one = random_candidate(servers, count, role, cap, slow_start, now, bits, exclude, below(bits, count), -1)
    if one < 0:
        return -1
    other = random_candidate(
        servers, count, role, cap, slow_start, now, bits, exclude, below_again(bits, count), one
    )
    if other < 0:
        return one
    if algorithm == PEAK_EWMA:
        return other if peak_cost(servers, other, now) < peak_cost(servers, one, now) else one
    return other if servers["in_flight"][other] < servers["in_flight"][one] else one


@decision
def smooth_weighted(
    servers: Table, count: int, role: int, cap: int, slow_start: int, now: int, bits: int, exclude: int
) -> int:
    """Smooth weighted round robin: each candidate gains its weight, the richest is picked and pays the total."""
    best = -1
    total = 0
    for slot in range(count):
        if eligible(servers, slot, role, cap, slow_start, now, bits, exclude):
            servers["current_weight"][slot] += servers["weight"][slot]
            total += servers["weight"][slot]
            if best < 0 or servers["current_weight"][slot] > servers["current_weight"][best]:
                best = slot
    if best >= 0:
        servers["current_weight"][best] -= total
    return best


@decision
def rendezvous(
    servers: Table, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, affinity: int,
) -> int:  # fmt: skip
    """Highest random weight: the candidate whose hash with *affinity* (the client) is the greatest."""
    best = -1
    highest = -1
    for slot in range(count):
        if eligible(servers, slot, role, cap, slow_start, now, bits, exclude):
            weight = draw(affinity & _LANE, servers["id"][slot], 0, ROUTE)
            if weight > highest:
                highest = weight
                best = slot
    return best


@decision
def pick(
    algorithm: int, servers: Table, load: Index, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, last: int, affinity: int,
) -> int:  # fmt: skip
    """The slot that *algorithm* picks among the candidates of *role*, or -1 if there is none."""
    if count == 0:
        return -1
    if algorithm == ROUND_ROBIN:
        return next_after(servers, count, role, cap, slow_start, now, bits, exclude, last)
    if algorithm == LEAST_CONNECTIONS:
        return least_loaded(servers, load, count, role, cap, slow_start, now, bits, exclude, last)
    if algorithm == WEIGHTED:
        return smooth_weighted(servers, count, role, cap, slow_start, now, bits, exclude)
    if algorithm == RANDOM:
        return random_candidate(
            servers, count, role, cap, slow_start, now, bits, exclude, below(bits, count), -1
        )
    if algorithm == CONSISTENT_HASH:
        return rendezvous(servers, count, role, cap, slow_start, now, bits, exclude, affinity)
    return better_of_two(algorithm, servers, count, role, cap, slow_start, now, bits, exclude)


@decision
def pick_in_role(
    algorithm: int, servers: Table, load: Index, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, last: int, affinity: int,
) -> int:  # fmt: skip
    """:func:`pick`; servers that slow start held back are taken when nobody else is left."""
    slot = pick(algorithm, servers, load, count, role, cap, slow_start, now, bits, exclude, last, affinity)
    if slot < 0 and slow_start > 0:
        slot = pick(algorithm, servers, load, count, role, cap, 0, now, bits, exclude, last, affinity)
    return slot


def needs_index(algorithm: int) -> bool:
    """Whether :func:`route` wants a load index."""
    return algorithm == LEAST_CONNECTIONS


@decision
def needs_bits(algorithm: int, slow_start: int) -> bool:
    """Whether :func:`route` looks at its bits."""
    return slow_start > 0 or algorithm in (POWER_OF_TWO, RANDOM, PEAK_EWMA)


def each(canary_every: int) -> tuple[int, int]:
    """The share of the canaries as a fraction where each *canary_every*-th request is theirs; 0: none is."""
    return (1, canary_every) if canary_every > 0 else (0, 1)


@decision
def wanted_role(sequence: int, numerator: int, denominator: int) -> int:
    """The role for the proxy's *sequence*-th request (from 1): *numerator* of *denominator* go to the canaries, as evenly as can be.

    Of 1/4 each fourth one does. It depends on nothing but the number, so that the share can change at any time.
    """
    if sequence * numerator // denominator > (sequence - 1) * numerator // denominator:
        return CANARY
    return SERVING


@decision
def route(
    algorithm: int, servers: Table, load: Index, count: int, role: int, cap: int, slow_start: int, now: int, bits: int,
    exclude: int, last: int, last_other: int, affinity: int,
) -> int:  # fmt: skip
    """The slot for a request of *role*, NO_SERVER if no server is available, SHED if all are at the cap.

    The other role steps in when the wanted one has no candidate. *load* is the table's index or none (load_index). *last* is the id of the server that was
    picked before in this role (0 at first), *last_other* in the other one, *exclude* the id of the one that has just failed this request (or 0).
    """
    slot = pick_in_role(
        algorithm, servers, load, count, role, cap, slow_start, now, bits, exclude, last, affinity
    )
    if slot < 0:
        other = SERVING if role == CANARY else CANARY
        slot = pick_in_role(
            algorithm, servers, load, count, other, cap, slow_start, now, bits, exclude, last_other, affinity
        )
    if slot >= 0:
        return slot
    for slot in range(count):
        if servers["available"][slot] == 1 and servers["id"][slot] != exclude:
            return SHED
    return NO_SERVER


@decision
def observe_latency(servers: Table, slot: int, now: int, latency: int) -> None:
    """Feed an answer's latency (ns) into the peak EWMA: a peak counts at once, a low value slowly."""
    ewma = servers["ewma"][slot]
    if latency > ewma:
        servers["ewma"][slot] = float(latency)
    else:
        weight = math.exp(-(now - servers["ewma_at"][slot]) / EWMA_TAU_NS)
        servers["ewma"][slot] = ewma * weight + latency * (1.0 - weight)
    servers["ewma_at"][slot] = now
