"""What is due: a 4-ary heap, one event kept in front of it, and lists of timers of which only the first is in the heap.

Most hops of a request take no time or are the next thing to happen anyway: such an event goes to the front and never sees the heap.
Timers of one kind and delay fall due in the order in which they were set, and nearly all no longer matter by then: they wait in a ring,
and those that no longer matter leave it unseen, at its head or when it is full. A timer that does not come after the last one of its ring goes into the heap.
"""

from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from .layout import World
from .routine import routine, subroutine

PENDING = int(Outcome.PENDING)
CLIENT_TIMEOUT = int(Kind.CLIENT_TIMEOUT)
UPSTREAM_TIMEOUT = int(Kind.UPSTREAM_TIMEOUT)
WRITE_TIMEOUT = int(Kind.WRITE_TIMEOUT)

KEEPALIVE = int(Kind.KEEPALIVE)

UPSTREAM_RING = 0
KEEPALIVE_RING = 1
WRITE_RING = 2
CLIENT_RINGS = 3
"""The ring of source 0's client timeouts."""

SPARE = 8
"""A ring is full when so few places are left."""

RING_SHIFT = 40
SLOT_MASK = (1 << RING_SHIFT) - 1
"""What is above the slot in an event's ref: a timer's ring + 1, or the cause of a notice."""


@routine
def schedule(w: World, time: int, major: int, minor: int, ref: int) -> None:
    """An event at *time* with the key (major, minor) about slot *ref*."""
    s = w.state[0]
    if s["front_ref"] >= 0:
        if before(time, major, minor, s["front_time"], s["front_major"], s["front_minor"]):
            push(w, s["front_time"], s["front_major"], s["front_minor"], s["front_ref"])
        else:
            push(w, time, major, minor, ref)
            return
    elif s["heap_size"] > 0:
        top = w.heap[0]
        if not before(time, major, minor, top["time"], top["major"], top["minor"]):
            push(w, time, major, minor, ref)
            return
    s["front_time"] = time
    s["front_major"] = major
    s["front_minor"] = minor
    s["front_ref"] = ref


@routine
def before(time: int, major: int, minor: int, time_2: int, major_2: int, minor_2: int) -> bool:
    """Whether the first key is smaller than the second."""
    if time != time_2:
        return time < time_2
    if major != major_2:
        return major < major_2
    return minor < minor_2


@subroutine
def push(w: World, time: int, major: int, minor: int, ref: int) -> None:
    """Into the heap."""
    s, heap = w.state[0], w.heap
    place = s["heap_size"]
    s["heap_size"] = place + 1
    while place > 0:
        parent = (place - 1) >> 2
        above = heap[parent]
        if not before(time, major, minor, above["time"], above["major"], above["minor"]):
            break
        put(w, place, above["time"], above["major"], above["minor"], above["ref"])
        place = parent
    put(w, place, time, major, minor, ref)


@routine
def put(w: World, place: int, time: int, major: int, minor: int, ref: int) -> None:
    """Write one event of the heap."""
    event = w.heap[place]
    event["time"] = time
    event["major"] = major
    event["minor"] = minor
    event["ref"] = ref


@subroutine
def drop_top(w: World) -> None:
    """Take the first event out of the heap."""
    s, heap = w.state[0], w.heap
    size = s["heap_size"] - 1
    s["heap_size"] = size
    last = heap[size]
    time, major, minor, ref = last["time"], last["major"], last["minor"], last["ref"]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        best = child
        for other in range(child + 1, min(child + 4, size)):
            one, two = heap[other], heap[best]
            if before(one["time"], one["major"], one["minor"], two["time"], two["major"], two["minor"]):
                best = other
        below = heap[best]
        if before(time, major, minor, below["time"], below["major"], below["minor"]):
            break
        put(w, place, below["time"], below["major"], below["minor"], below["ref"])
        place = best
    put(w, place, time, major, minor, ref)


# Timers: rings of (time, slot, identity); a slot is still the same thing if its own identity (minor key or connection) is.


@routine
def set_timer(w: World, which: int, time: int, slot: int, ident: int) -> None:
    """A timer of ring *which* about *slot*, which is *ident*."""
    ring = w.rings[which]
    if ring["length"] + SPARE >= ring["size"] and w.state[0]["timers_full"] == 0:
        compact(w, which)
    length = ring["length"]
    if length > 0 and (time <= ring["last"] or length == ring["size"]):
        schedule_timer(w, which, time, slot, ident, 0)
        return
    timer = w.timers[ring["start"] + ((ring["head"] + length) & (ring["size"] - 1))]
    timer["time"] = time
    timer["ref"] = slot
    timer["ident"] = ident
    ring["last"] = time
    ring["length"] = length + 1
    if length == 0:
        schedule_timer(w, which, time, slot, ident, which + 1)


@subroutine
def compact(w: World, which: int) -> None:
    """Drop the timers of a full ring that no longer matter; if few go, it must become larger."""
    ring = w.rings[which]
    start, head, mask = ring["start"], ring["head"], ring["size"] - 1
    kept = 1
    for offset in range(1, ring["length"]):
        timer = w.timers[start + ((head + offset) & mask)]
        if matters(w, which, timer["time"], timer["ref"], timer["ident"]):
            place = w.timers[start + ((head + kept) & mask)]
            place["time"] = timer["time"]
            place["ref"] = timer["ref"]
            place["ident"] = timer["ident"]
            kept += 1
    if ring["length"] > 0:
        ring["length"] = kept
    if 2 * kept > ring["size"]:
        w.state[0]["timers_full"] = 1
        w.state[0]["budget"] = 0


@subroutine
def schedule_timer(w: World, which: int, time: int, slot: int, ident: int, mark: int) -> None:
    """A timer goes into the heap; *mark* tells whether it is the first of its ring."""
    kind, entity, minor = KEEPALIVE, ident, 0
    if which == UPSTREAM_RING:
        kind, entity, minor = UPSTREAM_TIMEOUT, w.attempts[slot]["server"], ident
    elif which == WRITE_RING:
        kind = WRITE_TIMEOUT
    elif which >= CLIENT_RINGS:
        kind, entity, minor = CLIENT_TIMEOUT, which - CLIENT_RINGS, ident
    schedule(w, time, major_key(kind, entity), minor, slot | mark << RING_SHIFT)


@subroutine
def follow(w: World, which: int) -> None:
    """The first timer of a ring has fired: the first one after it that still matters takes its place in the heap."""
    ring = w.rings[which]
    while True:
        ring["head"] += 1
        ring["length"] -= 1
        if ring["length"] == 0:
            return
        timer = w.timers[ring["start"] + (ring["head"] & (ring["size"] - 1))]
        if matters(w, which, timer["time"], timer["ref"], timer["ident"]):
            schedule_timer(w, which, timer["time"], timer["ref"], timer["ident"], which + 1)
            return


@routine
def awaited(w: World, slot: int, minor: int) -> bool:
    """Whether slot *slot* is still the attempt *minor*, and a client waits for it."""
    attempt = w.attempts[slot]
    return bool(attempt["minor"] == minor and attempt["outcome"] == PENDING)


@routine
def under_way(w: World, slot: int, minor: int) -> bool:
    """Whether slot *slot* is still an attempt whose try *minor* the proxy waits for."""
    attempt = w.attempts[slot]
    return bool(attempt["upstream"] == 1 and attempt["minor"] | attempt["tries"] == minor)


@routine
def matters(w: World, which: int, time: int, slot: int, ident: int) -> bool:
    """Whether a timer can still have an effect; once False, always False."""
    if which >= CLIENT_RINGS:
        return awaited(w, slot, ident)
    if which == UPSTREAM_RING:
        return under_way(w, slot, ident)
    connection = w.connections[slot]
    if connection["id"] != ident or connection["proxy_closed"] == 1:
        return False
    if which == WRITE_RING:
        return bool(connection["stalled"] == 1)
    return bool(connection["idle_since"] + w.config[0]["keepalive_timeout"] == time)
