"""The event loop: what is next, and who handles it."""

from ...core.order import MINOR_TRIES, Kind, entity_of, kind_of, major_key, minor_key
from .agenda import (
    CLIENT_LISTS,
    KEEPALIVE_LIST,
    UPSTREAM_LIST,
    WRITE_LIST,
    before,
    drop_top,
    follow,
    schedule,
)
from .appserver import arrive, call, call_done, cpu_done, io_done
from .clients import answered, notice, send, start_closed, start_open, timed_out
from .connections import connected
from .exchange import route_request, take_answer, upstream_timed_out
from .forwarding import check_health, end_ejection
from .layout import BLOCK, REACHED, ROOM, World
from .proxy import client_close, keepalive, take_request_bytes, take_syn, write_timed_out
from .routine import routine, subroutine
from .slots import drop_attempt, drop_connection

NEVER = 1 << 62
SLOT_MASK = (1 << 40) - 1

FRONT = 0
HEAP = 1
PLAN = 2

UNEJECT = int(Kind.UNEJECT)
HEALTH = int(Kind.HEALTH)
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
            row = w.block[s["block_next"]]
            planned = row["time"]
            if planned <= time:
                own_major = major_key(START, row["source"])
                own_minor = minor_key(row["source"], row["index"], 1, 0)
                if before(planned, own_major, own_minor, time, major, minor):
                    origin = PLAN
                    time, major, minor = planned, own_major, own_minor
        elif s["block_more"] == 1:
            return BLOCK
        if time > until or (time == until and major >= until_major):
            return REACHED
        if not room(w):
            return ROOM
        s["now"] = time
        if origin == PLAN:
            start_open(w)
            continue
        if origin == FRONT:
            s["front_ref"] = -1
        else:
            drop_top(w.state, w.heap)
        handle(w, time, major, minor, ref)
        if s["signal"] != REACHED:
            signal = s["signal"]
            s["signal"] = REACHED
            return int(signal)


@routine
def room(w: World) -> bool:
    """Whether there is room for all that a single event can take; a crash or a lost server touches every slot once."""
    s = w.state[0]
    capacity = s["capacity"]
    return bool(
        s["request_left"] > 1
        and s["attempt_left"] > 1
        and s["connection_left"] > 1
        and s["job_left"] > 1
        and s["timer_left"] > s["queue_length"] + 4
        and s["heap_size"] + 2 * capacity + 16 < len(w.heap)
        and s["out_attempts"] + capacity + 16 < len(w.out_attempts)
        and s["out_requests"] + capacity + 16 < len(w.out_requests)
        and s["log_rows"] + s["table_rows"] + 16 < len(w.log)
    )


@routine
def handle(w: World, time: int, major: int, minor: int, ref: int) -> None:
    """Hand an event to its station, those of every request first."""
    kind = kind_of(major)
    if kind == CPU_DONE:
        cpu_done(w, ref)
    elif kind == APP_ARRIVE:
        arrive(w, ref)
    elif kind == ANSWER or kind == UPSTREAM_FAILURE:
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
    if kind == DEPENDENCY_CALL:
        call(w, entity, ref)
    elif kind == DEPENDENCY_DONE:
        call_done(w, entity, ref)
    elif CLIENT_TIMEOUT <= kind <= KEEPALIVE:
        fire(w, kind, entity, time, minor, ref)
    elif kind == CLIENT_CLOSE:
        client_close(w, ref)
        drop_connection(w, ref)
    elif kind == CLIENT_NOTICE:
        c = ref & SLOT_MASK
        notice(w, c, ref >> 40)
        drop_connection(w, c)
    elif kind == RETRY:
        send(w, ref)
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
def fire(w: World, kind: int, entity: int, time: int, minor: int, number: int) -> None:
    """A timer fires."""
    timer = w.timers[number]
    slot, serial = timer["ref"], timer["serial"]
    if kind == CLIENT_TIMEOUT:
        follow(w, CLIENT_LISTS + entity, number)
        timed_out(w, slot, serial)
    elif kind == UPSTREAM_TIMEOUT:
        follow(w, UPSTREAM_LIST, number)
        upstream_timed_out(w, slot, serial, minor & MINOR_TRIES)
    elif kind == WRITE_TIMEOUT:
        follow(w, WRITE_LIST, number)
        write_timed_out(w, slot, serial)
    else:
        follow(w, KEEPALIVE_LIST, number)
        keepalive(w, slot, serial, time)
