"""The machine's cores (see sim.host): every burst of CPU time has its own, or all share those of one host."""

from ...core.host import bring_up, find, is_done, join, leave, left, next_alarm, rings
from ...core.order import Kind, kind_of, major_key
from .agenda import schedule
from .layout import World
from .routine import routine, subroutine
from .slots import drop_attempt, drop_connection

HOST_DONE = int(Kind.HOST_DONE)
ROUTE = int(Kind.ROUTE)

EVENTS = 2
"""Ends of bursts that one alarm may bring within the room that every event has (loop.budget)."""


@routine
def clock(w: World) -> int:
    """CPU time (ns) that a burst which is under way all the time has had by now."""
    now = w.state[0]["now"]
    if w.config[0]["host_cores"] < 0:
        return int(now)
    bring_up(w.host, now)
    return int(w.host["attained"][0])


@routine
def compute(w: World, demand: int, major: int, minor: int, ref: int) -> None:
    """An event after *demand* ns of CPU time, which somebody else's bursts may make longer; it takes over a reference."""
    if demand == 0 or w.config[0]["host_cores"] < 0:
        schedule(w, w.state[0]["now"] + demand, major, minor, ref)
    else:
        share(w, demand, major, minor, ref)


@subroutine
def share(w: World, demand: int, major: int, minor: int, ref: int) -> None:
    """A burst joins those that share the cores."""
    bring_up(w.host, w.state[0]["now"])
    join(w.host, w.bursts, demand, major, minor, ref)
    set_alarm(w)


@subroutine
def set_alarm(w: World) -> None:
    """The host will be looked at when the next burst is done."""
    time = next_alarm(w.host, w.bursts)
    if time >= 0:
        alarm = w.host["alarm"][0]
        schedule(w, time, major_key(HOST_DONE, 0), alarm, alarm)


@subroutine
def look(w: World, alarm: int) -> None:
    """An alarm: what has had its CPU time is done now."""
    if not rings(w.host, alarm):
        return
    s, bursts, ends, turn = w.state[0], w.bursts, 0, False
    bring_up(w.host, s["now"])
    while is_done(w.host, bursts):
        major = bursts["major"][0]
        turn = turn or kind_of(major) == ROUTE
        schedule(w, s["now"], major, bursts["minor"][0], bursts["ref"][0])
        leave(w.host, bursts, 0)
        ends += 1
    if ends > EVENTS:
        s["budget"] = 0
    if turn:
        s["loop_head"] = w.attempts[s["loop_head"]]["next"]
        loop_turn(w)
    set_alarm(w)


@routine
def find_burst(w: World, major: int) -> int:
    """The place of a burst that ends in such an event, or -1; the host is brought up to now."""
    if w.config[0]["host_cores"] < 0:
        return -1
    bring_up(w.host, w.state[0]["now"])
    return int(find(w.host, w.bursts, major))


@routine
def time_left(w: World, place: int) -> int:
    """CPU time (ns) that the burst at *place* still asks for."""
    return left(w.host, w.bursts, place)


@routine
def withdraw(w: World, place: int) -> int:
    """The burst at *place* is computed no further; what it was about. The caller sets the alarm when it is through."""
    ref = w.bursts["ref"][place]
    leave(w.host, w.bursts, place)
    return int(ref)


# The proxy's event loop: one thread, one burst after another.


@routine
def loop_compute(w: World, demand: int, a: int) -> None:
    """Attempt *a* is routed when its burst of *demand* ns, and all before it, have been computed; the event takes over references to it and its connection."""
    s, attempt = w.state[0], w.attempts[a]
    if w.config[0]["host_cores"] < 0:
        s["cpu_free"] = max(s["now"], s["cpu_free"]) + demand
        schedule(w, s["cpu_free"], route_key(w, a), attempt["minor"], a)
    else:
        attempt["head_cpu"] = demand
        attempt["next"] = -1
        if s["loop_head"] < 0:
            s["loop_head"] = a
            s["loop_tail"] = a
            loop_turn(w)
        else:
            w.attempts[s["loop_tail"]]["next"] = a
            s["loop_tail"] = a


@routine
def route_key(w: World, a: int) -> int:
    """The major key of the event that attempt *a* is routed."""
    return major_key(ROUTE, w.connections[w.attempts[a]["connection"]]["id"])


@subroutine
def loop_turn(w: World) -> None:
    """Turn to the burst that came first; those that take no time are over at once."""
    s = w.state[0]
    while s["loop_head"] >= 0:
        a = s["loop_head"]
        attempt = w.attempts[a]
        if attempt["head_cpu"] > 0:
            share(w, attempt["head_cpu"], route_key(w, a), attempt["minor"], a)
            return
        s["loop_head"] = attempt["next"]
        schedule(w, s["now"], route_key(w, a), attempt["minor"], a)


@subroutine
def loop_end(w: World) -> None:
    """The process is gone, and what it had to compute."""
    s = w.state[0]
    s["cpu_free"] = 0
    if s["loop_head"] < 0:
        return
    place = find_burst(w, route_key(w, s["loop_head"]))
    assert place >= 0, "the event loop's burst is not under way"
    withdraw(w, place)
    set_alarm(w)
    while s["loop_head"] >= 0:
        a = s["loop_head"]
        s["loop_head"] = w.attempts[a]["next"]
        c = w.attempts[a]["connection"]
        drop_attempt(w, a)
        drop_connection(w, c)
