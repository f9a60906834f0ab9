"""The clients (see sim.clients): they send what the plan says, wait, give up, try again, or never read."""

from ...core import draws
from ...core.demand import SHORTEST_TURN, choose_endpoint, cpu_demand, io_demand
from ...core.distributions import sample
from ...core.draws import draw
from ...core.model import FLOOD, PER_REQUEST, POOL, WIRE
from ...core.order import Kind, major_key, minor_key
from ...core.outcomes import Outcome, retryable
from ...core.retries import backoff
from .agenda import CLIENT_RINGS, awaited, schedule, set_timer
from .connections import close, closes, connect, lost, outbox_add, release, transmit
from .layout import World
from .routine import routine, subroutine
from .rows import write_attempt, write_request
from .slots import (
    drop_attempt,
    drop_connection,
    free_request,
    pending_remove,
    pool_remove,
    take_attempt,
    take_request,
)

PENDING = int(Outcome.PENDING)
CLIENT_TIMEOUT = int(Outcome.CLIENT_TIMEOUT)

START = int(Kind.START)
RETRY = int(Kind.RETRY)

BACKOFF = draws.BACKOFF
THINK = draws.THINK
ENDPOINT = draws.ENDPOINT


# What the plan makes them send.


@routine
def start_open(w: World) -> None:
    """The next open row begins."""
    s = w.state[0]
    row = s["block_next"]
    s["block_next"] = row + 1
    start(
        w, w.block_source[row], w.block_index[row], w.block_endpoint[row], w.block_cpu[row], w.block_io[row]
    )


@subroutine
def schedule_turn(w: World, source: int, time: int, index: int) -> None:
    """A closed client will begin its next request at *time*."""
    schedule(w, time, major_key(START, source), minor_key(source, index, 1, 0), index)


@subroutine
def start_closed(w: World, source: int, index: int) -> None:
    """A closed client's turn has come."""
    spec = w.sources[source]
    if 0 <= spec["maximum"] <= spec["issued"]:
        return
    stream = spec["stream"]
    mix = w.mixes[spec["mix_from"] : spec["mix_to"]]
    endpoint = choose_endpoint(mix, draw(stream, index, 0, ENDPOINT))
    e = w.endpoints[endpoint]
    cpu = cpu_demand(e["cpu_kind"], e["cpu_a"], e["cpu_b"], stream, index, 1)
    io = 0
    if e["io"] == 1:
        io = io_demand(e["io_kind"], e["io_a"], e["io_b"], stream, index, 1)
    start(w, source, index, endpoint, cpu, io)


@subroutine
def start(w: World, source: int, index: int, endpoint: int, cpu: int, io: int) -> None:
    """A request begins: it gets the next row."""
    s = w.state[0]
    w.sources[source]["issued"] += 1
    s["unfinished"] += 1
    slot = take_request(w)
    r = w.requests[slot]
    r["live"] = 1
    r["row"] = s["rows"]
    s["rows"] += 1
    r["source"] = source
    r["index"] = index
    r["endpoint"] = endpoint
    r["time"] = s["now"]
    r["attempts"] = 0
    send(w, slot, cpu, io)


# An attempt's life.


@subroutine
def send(w: World, request: int, cpu: int, io: int) -> None:
    """The next attempt of a request; *cpu* and *io* are the demands of a first one, a later one draws its own."""
    s = w.state[0]
    r = w.requests[request]
    source = r["source"]
    spec = w.sources[source]
    r["attempts"] += 1
    number = r["attempts"]
    slot = take_attempt(w)
    a = w.attempts[slot]
    index, stream, endpoint, now = r["index"], spec["stream"], r["endpoint"], s["now"]
    minor = minor_key(source, index, number, 0)
    a["request"] = request
    a["source"] = source
    a["stream"] = stream
    a["index"] = index
    a["number"] = number
    a["minor"] = minor
    a["endpoint"] = endpoint
    a["cpu"] = cpu
    a["io"] = io
    a["start"] = now
    a["proxy"] = -1
    a["routed"] = -1
    a["arrived"] = -1
    a["started"] = -1
    a["cpu_done"] = -1
    a["served"] = -1
    a["connection"] = -1
    a["outcome"] = PENDING
    a["server"] = 0
    a["tries"] = 0
    a["upstream"] = 0
    a["retrying"] = 0
    a["refs"] = 1
    if spec["timeout"] >= 0:
        set_timer(w, CLIENT_RINGS + source, now + spec["timeout"], slot, minor)
    dispatch(w, source, slot)


@routine
def dispatch(w: World, source: int, a: int) -> None:
    """Find a connection for attempt *a*, or let it wait for one."""
    spec = w.sources[source]
    if spec["mode"] == PER_REQUEST:
        connect(w, a)
    elif spec["mode"] == FLOOD or spec["mode"] == WIRE:
        flood(w, source, a)
    elif spec["idle"] >= 0:
        c = spec["idle"]
        pool_remove(w, source, c)
        transmit(w, c, a)
    elif spec["open"] < spec["connections"]:
        connect(w, a)
    else:
        w.attempts[a]["refs"] += 1
        w.attempts[a]["next"] = -1
        if spec["waiting_head"] < 0:
            spec["waiting_head"] = a
        else:
            w.attempts[spec["waiting_tail"]]["next"] = a
        spec["waiting_tail"] = a


@subroutine
def flood(w: World, source: int, a: int) -> None:
    """A flood's requests go over its connections in turn, all messages of a wire over one of their own."""
    spec = w.sources[source]
    index = w.attempts[a]["index"]
    slot = index % spec["connections"]
    place = spec["flood_from"] + slot
    c = w.flood[place]
    fresh = spec["wire"] > 0 and index % spec["wire"] == 0
    if c >= 0 and not fresh and w.connections[c]["client_closed"] == 0:
        if w.connections[c]["established"] == 1:
            transmit(w, c, a)
        else:
            outbox_add(w, c, a)
        return
    if c >= 0:
        drop_connection(w, c)
    connect(w, a)
    c = w.attempts[a]["connection"]
    w.connections[c]["slot"] = slot
    w.connections[c]["refs"] += 1
    w.flood[place] = c


@subroutine
def finish(w: World, slot: int, outcome: int, status: int, answered: int) -> None:
    """An attempt has its outcome, by an answer that came at *answered* or -1; the client tries again, or the request has it too."""
    s = w.state[0]
    a = w.attempts[slot]
    request = a["request"]
    a["outcome"] = outcome
    write_attempt(w, slot, outcome, status, answered)
    r = w.requests[request]
    r["status"] = status
    r["server"] = a["server"]
    spec = w.sources[r["source"]]
    number = a["number"]
    drop_attempt(w, slot)
    if number <= spec["retries"] and retryable(outcome):
        wait = spec["backoff"]
        if wait > 0:
            wait = backoff(wait, spec["jitter"], number, draw(spec["stream"], r["index"], number, BACKOFF))
        schedule(
            w, s["now"] + wait, major_key(RETRY, r["source"]),
            minor_key(r["source"], r["index"], number + 1, 0), request,
        )  # fmt: skip
        return
    write_request(w, request, outcome)
    s["unfinished"] -= 1
    if spec["concurrency"] > 0:
        index = r["index"] + spec["concurrency"]
        think = 0
        if spec["think"] == 1:
            bits = draw(spec["stream"], index, 0, THINK)
            think = sample(spec["think_kind"], spec["think_a"], spec["think_b"], bits)
        time = max(s["now"] + think, r["time"] + SHORTEST_TURN)
        if time < spec["end"]:
            schedule_turn(w, r["source"], time, index)
    free_request(w, request)


@subroutine
def timed_out(w: World, slot: int, minor: int) -> None:
    """The client gives up: on the attempt, and on the connection with all that is under way on it."""
    if not awaited(w, slot, minor):
        return
    a = w.attempts[slot]
    c = a["connection"]
    if c >= 0:
        close(w, c)
        fail_pending(w, c, CLIENT_TIMEOUT)
    else:
        finish(w, slot, CLIENT_TIMEOUT, 0, -1)


@subroutine
def fail_pending(w: World, c: int, outcome: int) -> None:
    """All that waits for an answer on connection *c* has *outcome*."""
    connection = w.connections[c]
    connection["refs"] += 1
    w.state[0]["budget"] = 0
    while connection["pending_head"] >= 0:
        a = connection["pending_head"]
        pending_remove(w, c, a)
        finish(w, a, outcome, 0, -1)
    drop_connection(w, c)


@subroutine
def answered(w: World, slot: int) -> None:
    """An answer has arrived at the client (whether or not it is ever read)."""
    a = w.attempts[slot]
    if a["outcome"] != PENDING:
        return
    c = a["connection"]
    connection = w.connections[c]
    pending_remove(w, c, slot)
    if connection["mode"] == PER_REQUEST or closes(w, slot):
        connection["client_closed"] = 1
        drop_connection(w, c)
    elif connection["mode"] == POOL and connection["client_closed"] == 0:
        release(w, c)
    finish(w, slot, a["answer"], a["answer_status"], w.state[0]["now"])


@subroutine
def notice(w: World, c: int, cause: int) -> None:
    """The client learns that the proxy closed or refused the connection: what was under way on it fails."""
    connection = w.connections[c]
    if connection["client_closed"] == 1:
        return
    if connection["idle"] == 1:
        pool_remove(w, connection["source"], c)
    lost(w, c)
    fail_pending(w, c, cause)
