"""What is due: a 4-ary heap, one event kept in front of it, and lists of timers of which only the first is in the heap.

Most hops of a request take no time or are the next thing to happen anyway: such an event goes to the front and never sees the heap.
Timers of one kind and delay fall due in the order in which they were set, and nearly all no longer matter by then: they wait in a list,
and those that no longer matter leave it unseen. A timer that is out of order in its list (a simultaneous one of a smaller key) goes into the heap.
"""

from ...core.order import MINOR_TRIES, Kind, kind_of
from ...core.outcomes import Outcome
from .layout import Rows, World
from .routine import routine, subroutine

PENDING = int(Outcome.PENDING)
CLIENT_TIMEOUT = int(Kind.CLIENT_TIMEOUT)
UPSTREAM_TIMEOUT = int(Kind.UPSTREAM_TIMEOUT)
WRITE_TIMEOUT = int(Kind.WRITE_TIMEOUT)

LONER = -2
"""In ``next`` of a timer: it is in the heap by itself, not the first of its list."""

UPSTREAM_LIST = 0
KEEPALIVE_LIST = 1
WRITE_LIST = 2
CLIENT_LISTS = 3


@routine
def schedule(w: World, time: int, major: int, minor: int, ref: int) -> None:
    """An event at *time* with the key (major, minor) about slot *ref*."""
    s = w.state[0]
    if s["front_ref"] >= 0:
        if before(time, major, minor, s["front_time"], s["front_major"], s["front_minor"]):
            push(w.state, w.heap, s["front_time"], s["front_major"], s["front_minor"], s["front_ref"])
        else:
            push(w.state, w.heap, time, major, minor, ref)
            return
    elif s["heap_size"] > 0:
        top = w.heap[0]
        if not before(time, major, minor, top["time"], top["major"], top["minor"]):
            push(w.state, w.heap, time, major, minor, ref)
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
def push(state: Rows, heap: Rows, time: int, major: int, minor: int, ref: int) -> None:
    """Into the heap."""
    s = state[0]
    place = s["heap_size"]
    s["heap_size"] = place + 1
    while place > 0:
        parent = (place - 1) >> 2
        above = heap[parent]
        if not before(time, major, minor, above["time"], above["major"], above["minor"]):
            break
        put(heap, place, above["time"], above["major"], above["minor"], above["ref"])
        place = parent
    put(heap, place, time, major, minor, ref)


@routine
def put(heap: Rows, place: int, time: int, major: int, minor: int, ref: int) -> None:
    """Write one event of the heap."""
    event = heap[place]
    event["time"] = time
    event["major"] = major
    event["minor"] = minor
    event["ref"] = ref


@subroutine
def drop_top(state: Rows, heap: Rows) -> None:
    """Take the first event out of the heap."""
    s = state[0]
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
        put(heap, place, below["time"], below["major"], below["minor"], below["ref"])
        place = best
    put(heap, place, time, major, minor, ref)


@routine
def set_timer(w: World, which: int, time: int, major: int, minor: int, ref: int, serial: int) -> None:
    """A timer in list *which*; *serial* tells whether slot *ref* is still the same thing when it fires."""
    s = w.state[0]
    number = s["timer_free"]
    timer = w.timers[number]
    s["timer_free"] = timer["next"]
    s["timer_left"] -= 1
    timer["time"] = time
    timer["major"] = major
    timer["minor"] = minor
    timer["ref"] = ref
    timer["serial"] = serial
    timer["next"] = -1
    waiting = w.timer_lists[which]
    if waiting["head"] < 0:
        waiting["head"] = number
        waiting["tail"] = number
        schedule(w, time, major, minor, number)
        return
    last = w.timers[waiting["tail"]]
    if before(time, major, minor, last["time"], last["major"], last["minor"]):
        timer["next"] = LONER
        schedule(w, time, major, minor, number)
    else:
        last["next"] = number
        waiting["tail"] = number


@subroutine
def follow(w: World, which: int, number: int) -> None:
    """Timer *number* has fired: the first one after it that still matters takes its place in the heap."""
    s = w.state[0]
    following = w.timers[number]["next"]
    free_timer(w, number)
    if following == LONER:
        return
    while following >= 0:
        timer = w.timers[following]
        if matters(w, following):
            w.timer_lists[which]["head"] = following
            schedule(w, timer["time"], timer["major"], timer["minor"], following)
            return
        next_one = timer["next"]
        free_timer(w, following)
        following = next_one
    w.timer_lists[which]["head"] = -1
    w.timer_lists[which]["tail"] = -1


@routine
def free_timer(w: World, number: int) -> None:
    """Give back a timer."""
    s = w.state[0]
    w.timers[number]["next"] = s["timer_free"]
    s["timer_free"] = number
    s["timer_left"] += 1


@routine
def matters(w: World, number: int) -> bool:
    """Whether a timer can still have an effect; once False, always False."""
    timer = w.timers[number]
    kind = kind_of(timer["major"])
    if kind == CLIENT_TIMEOUT:
        attempt = w.attempts[timer["ref"]]
        return bool(attempt["serial"] == timer["serial"] and attempt["outcome"] == PENDING)
    if kind == UPSTREAM_TIMEOUT:
        attempt = w.attempts[timer["ref"]]
        return bool(
            attempt["serial"] == timer["serial"]
            and attempt["upstream"] == 1
            and attempt["tries"] == timer["minor"] & MINOR_TRIES
        )
    connection = w.connections[timer["ref"]]
    if connection["id"] != timer["serial"] or connection["proxy_closed"] == 1:
        return False
    if kind == WRITE_TIMEOUT:
        return bool(connection["stalled"] == 1)
    return bool(connection["idle_since"] + w.config[0]["keepalive_timeout"] == timer["time"])
