"""The event loop: what is next, and who handles it."""

from ...core.order import Kind, entity_of, kind_of, major_key, minor_key
from .agenda import RING_SHIFT, SLOT_MASK, before, drop_top, follow, schedule
from .appserver import arrive, cpu_done, io_done
from .clients import answered, notice, send, start_closed, start_open, timed_out
from .connections import connected
from .dependency import call, call_done
from .exchange import link_closed, route_request, take_answer, try_closed, upstream_timed_out
from .forwarding import check_health, end_ejection
from .host import look
from .layout import BLOCK, REACHED, ROOM, World
from .proxy import client_close, keepalive, lingered, take_request_bytes, take_syn, write_timed_out
from .routine import routine, subroutine
from .slots import drop_attempt, drop_connection

NEVER = 1 << 62

FRONT = 0
HEAP = 1
PLAN = 2

UNEJECT = int(Kind.UNEJECT)
HEALTH = int(Kind.HEALTH)
HOST_DONE = int(Kind.HOST_DONE)
CLIENT_ANSWER = int(Kind.CLIENT_ANSWER)
CLIENT_NOTICE = int(Kind.CLIENT_NOTICE)
ANSWER = int(Kind.ANSWER)
UPSTREAM_FAILURE = int(Kind.UPSTREAM_FAILURE)
DEPENDENCY_DONE = int(Kind.DEPENDENCY_DONE)
IO_DONE = int(Kind.IO_DONE)
CPU_DONE = int(Kind.CPU_DONE)
CLIENT_CLOSE = int(Kind.CLIENT_CLOSE)
CLIENT_TIMEOUT = int(Kind.CLIENT_TIMEOUT)
UPSTREAM_TIMEOUT = int(Kind.UPSTREAM_TIMEOUT)
WRITE_TIMEOUT = int(Kind.WRITE_TIMEOUT)
KEEPALIVE = int(Kind.KEEPALIVE)
LINK_CLOSE = int(Kind.LINK_CLOSE)
TRY_CLOSE = int(Kind.TRY_CLOSE)
LINGERED = int(Kind.LINGERED)
DEPENDENCY_CALL = int(Kind.DEPENDENCY_CALL)
APP_ARRIVE = int(Kind.APP_ARRIVE)
ROUTE = int(Kind.ROUTE)
REQUEST = int(Kind.REQUEST)
CONNECTED = int(Kind.CONNECTED)
SYN = int(Kind.SYN)
RETRY = int(Kind.RETRY)
START = int(Kind.START)


def advance(w: World, until: int, until_major: int) -> int:
    """Let everything happen that is due before (*until*, *until_major*); why it stopped."""
    s = w.state[0]
    while True:
        origin = FRONT
        if s["front_ref"] >= 0:
            time, major, minor, ref = s["front_time"], s["front_major"], s["front_minor"], s["front_ref"]
        elif s["heap_size"] > 0:
            origin = HEAP
            top = w.heap[0]
            time, major, minor, ref = top["time"], top["major"], top["minor"], top["ref"]
        else:
            time, major, minor, ref = NEVER, 0, 0, 0
        if s["block_next"] < s["block_rows"]:
            row = s["block_next"]
            planned = w.block_time[row]
            if planned <= time:
                own_major = major_key(START, w.block_source[row])
                own_minor = minor_key(w.block_source[row], w.block_index[row], 1, 0)
                if before(planned, own_major, own_minor, time, major, minor):
                    origin = PLAN
                    time, major, minor = planned, own_major, own_minor
        elif s["block_more"] == 1:
            return BLOCK
        if time > until or (time == until and major >= until_major):
            return REACHED
        s["budget"] -= 1
        if s["budget"] <= 0:
            s["budget"] = budget(w)
            if s["budget"] <= 0:
                return ROOM
            s["handled"] += 1
        s["now"] = time
        if origin == PLAN:
            start_open(w)
            continue
        if origin == FRONT:
            s["front_ref"] = -1
        else:
            drop_top(w)
        handle(w, time, major, minor, ref)
        if s["signal"] != REACHED:
            signal = s["signal"]
            s["signal"] = REACHED
            return int(signal)


@subroutine
def budget(w: World) -> int:
    """So many events may be handled before room is looked for again; 0: there is too little now.

    An event takes at most one slot of each kind (a connection that goes may make way for another one), six events and four lines of the log. One that takes more (a
    crash, a lost server, all requests of a connection) touches each slot once, for which room is kept, and ends the budget.
    """
    s = w.state[0]
    capacity = s["capacity"]
    slots = min(min(s["request_left"], s["attempt_left"]), min(s["connection_left"], s["job_left"]))
    heap = len(w.heap) - 2 * capacity - s["heap_size"]
    late = min(len(w.late_requests) - s["late_requests"], len(w.late_attempts) - s["late_attempts"])
    window = len(w.window_requests) - (s["rows"] - s["window_from"])
    log = len(w.log) - s["table_rows"] - s["log_rows"]
    if s["timers_full"] == 1:
        return 0
    return int(min(min(slots // 2, heap // 6), min(min(late - capacity, window), log // 4)) - 1)


@routine
def handle(w: World, time: int, major: int, minor: int, ref: int) -> None:
    """Hand an event to its station, those of every request first."""
    kind = kind_of(major)
    if kind == CPU_DONE:
        cpu_done(w, ref)
    elif kind == APP_ARRIVE:
        arrive(w, ref)
    elif kind in (ANSWER, UPSTREAM_FAILURE):
        take_answer(w, ref)
    elif kind == SYN:
        take_syn(w, ref)
        drop_connection(w, ref)
    elif kind == CONNECTED:
        connected(w, ref)
        drop_connection(w, ref)
    elif kind == REQUEST:
        c = w.attempts[ref]["connection"]
        take_request_bytes(w, ref)
        drop_connection(w, c)
    elif kind == ROUTE:
        c = w.attempts[ref]["connection"]
        route_request(w, ref)
        drop_attempt(w, ref)
        drop_connection(w, c)
    elif kind == CLIENT_ANSWER:
        c = w.attempts[ref]["connection"]
        answered(w, ref)
        drop_attempt(w, ref)
        drop_connection(w, c)
    elif kind == IO_DONE:
        io_done(w, ref)
    else:
        handle_rare(w, time, major, minor, ref)


@subroutine
def handle_rare(w: World, time: int, major: int, minor: int, ref: int) -> None:
    """The same, for what not every request meets."""
    kind, entity = kind_of(major), entity_of(major)
    if kind == HOST_DONE:
        look(w, ref)
    elif kind == DEPENDENCY_CALL:
        call(w, entity, ref)
    elif kind == DEPENDENCY_DONE:
        call_done(w, entity, ref)
    elif CLIENT_TIMEOUT <= kind <= KEEPALIVE:
        fire(w, kind, entity, time, minor, ref)
    elif kind == TRY_CLOSE:
        try_closed(w, ref, minor)
    elif kind == LINK_CLOSE:
        link_closed(w, ref, entity)
    elif kind == LINGERED:
        lingered(w, ref)
    elif kind == CLIENT_CLOSE:
        client_close(w, ref)
        drop_connection(w, ref)
    elif kind == CLIENT_NOTICE:
        c = ref & SLOT_MASK
        notice(w, c, ref >> RING_SHIFT)
        drop_connection(w, c)
    elif kind == RETRY:
        send(w, ref, 0, 0)
    elif kind == START:
        start_closed(w, entity, ref)
    elif kind == UNEJECT:
        end_ejection(w, ref)
    elif kind == HEALTH:
        schedule(w, time + w.config[0]["health_interval"], major, minor, ref)
        if w.state[0]["down"] == 0:
            check_health(w)
    else:
        raise AssertionError("an event of a kind that nobody handles")


@subroutine
def fire(w: World, kind: int, entity: int, time: int, minor: int, ref: int) -> None:
    """A timer fires; if it was the first of its ring, the next one follows."""
    slot = ref & SLOT_MASK
    ring = (ref >> RING_SHIFT) - 1
    if ring >= 0:
        follow(w, ring)
    if kind == CLIENT_TIMEOUT:
        timed_out(w, slot, minor)
    elif kind == UPSTREAM_TIMEOUT:
        upstream_timed_out(w, slot, minor)
    elif kind == WRITE_TIMEOUT:
        write_timed_out(w, slot, entity)
    else:
        keepalive(w, slot, entity, time)
