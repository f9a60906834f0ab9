"""The proxy's front (see sim.proxy): sockets, the accept queue, eviction, memory, the one event loop's CPU time."""

from ...core import draws
from ...core.admission import (
    ACCEPT,
    GO_DOWN,
    MAKE_ROOM,
    RESET,
    WAIT,
    admit_connection,
    fits_connection,
    fits_memory,
    fits_socket_buffer,
    idle_oldest,
    idle_push,
    idle_remove,
    queue_connection,
)
from ...core.appserver import slowed
from ...core.model import FLOOD, PER_REQUEST
from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from ...core.toxics import DOWNSTREAM
from .agenda import KEEPALIVE_RING, RING_SHIFT, WRITE_RING, schedule, set_timer
from .connections import closes, connection_delay, delay, half_sent, message_of, syn_dropped
from .forwarding import abandon, disown, forget
from .host import loop_compute, loop_end
from .layout import CRASHED, PROXY_DOWN, World
from .links import give_all_back, give_back_late, travel
from .log import note
from .routine import routine, subroutine
from .slots import drop_attempt, drop_connection, inbox_add, inbox_take

OK = int(Outcome.OK)
APP_ERROR = int(Outcome.APP_ERROR)
REFUSED = int(Outcome.REFUSED)
EVICTED = int(Outcome.EVICTED)
UNREAD = int(Outcome.UNREAD)

CONNECTED = int(Kind.CONNECTED)
CLIENT_ANSWER = int(Kind.CLIENT_ANSWER)
CLIENT_NOTICE = int(Kind.CLIENT_NOTICE)

SYNACK_LATENCY = draws.SYNACK_LATENCY
NOTICE_LATENCY = draws.NOTICE_LATENCY
RESPONSE_LATENCY = draws.RESPONSE_LATENCY


# Connections come.


@routine
def take_syn(w: World, c: int) -> None:
    """A SYN arrives: accepted at once, queued, dropped, or reset."""
    s = w.state[0]
    if w.connections[c]["client_closed"] == 1:
        return
    if s["down"] == 1:
        notify(w, c, REFUSED)
        return
    verdict = WAIT if s["queue_length"] > 0 else accept(w, c)
    if verdict == ACCEPT:
        complete_handshake(w, c)
    elif verdict == RESET:
        notify(w, c, REFUSED)
    elif verdict == GO_DOWN:
        crash(w, CRASHED)
        notify(w, c, REFUSED)
    elif queue_connection(s["queue_length"], w.config[0]["backlog"]):
        queue_add(w, c)
        complete_handshake(w, c)
    else:
        syn_dropped(w, c)


@subroutine
def queue_add(w: World, c: int) -> None:
    """Connection *c* joins the accept queue."""
    s = w.state[0]
    connection = w.connections[c]
    connection["refs"] += 1
    connection["queued"] = -1
    if s["queue_length"] == 0:
        s["queue_head"] = c
    else:
        w.connections[s["queue_tail"]]["queued"] = c
    s["queue_tail"] = c
    s["queue_length"] += 1


@routine
def complete_handshake(w: World, c: int) -> None:
    """The SYN is answered."""
    connection = w.connections[c]
    time = w.state[0]["now"] + connection_delay(w, c, SYNACK_LATENCY)
    connection["outbound_until"] = time
    connection["refs"] += 1
    schedule(w, time, major_key(CONNECTED, connection["id"]), connection["minor"], c)


@subroutine
def accept(w: World, c: int) -> int:
    """Take a descriptor and memory for connection *c*, closing idle ones if that is the rule."""
    s, spec = w.state[0], w.config[0]
    while True:
        oldest = idle_oldest(w.idle)
        verdict = admit_connection(
            fits_connection(s["descriptors"], s["connections"], spec["max_connections"], spec["overload"]),
            fits_memory(spec["memory_base"], spec["memory_each"], s["connections"], spec["memory_total"]),
            spec["overload"],
            spec["on_exhaustion"],
            oldest,
        )
        if verdict == MAKE_ROOM:
            close_connection(w, oldest - 1, EVICTED)
            continue
        if verdict == ACCEPT:
            connection = w.connections[c]
            connection["accepted"] = 1
            connection["refs"] += 1
            s["descriptors"] += 1
            s["connections"] += 1
            rest(w, c)
        return verdict


@subroutine
def admit_waiting(w: World) -> None:
    """Accept from the queue as long as there is room."""
    s = w.state[0]
    s["budget"] = 0
    while s["queue_length"] > 0 and s["down"] == 0:
        c = s["queue_head"]
        connection = w.connections[c]
        if connection["gone"] == 1:
            queue_drop(w)
            continue
        verdict = accept(w, c)
        if verdict == WAIT:
            return
        if verdict == GO_DOWN:
            crash(w, CRASHED)
            return
        if verdict == RESET:
            notify(w, c, REFUSED)
        elif connection["inbox_head"] >= 0:
            begin(w, c, inbox_take(w, c))
        queue_drop(w)


@routine
def queue_drop(w: World) -> None:
    """The first connection leaves the accept queue; what came over it is lost unless it was accepted."""
    s = w.state[0]
    c = s["queue_head"]
    connection = w.connections[c]
    s["queue_head"] = connection["queued"]
    s["queue_length"] -= 1
    while connection["accepted"] == 0 and connection["inbox_head"] >= 0:
        drop_attempt(w, inbox_take(w, c))
    drop_connection(w, c)


# Connections go.


@subroutine
def release(w: World, c: int) -> None:
    """Give back what connection *c* holds; the caller drops the proxy's reference to it."""
    s = w.state[0]
    connection = w.connections[c]
    idle_remove(w.idle, c + 1)
    if s["toxics"] == 1:
        give_back_late(w, c)
    else:
        s["descriptors"] -= 1
        s["connections"] -= 1
    if connection["stalled"] == 1:
        s["descriptors"] -= 1
        connection["stalled"] = 0
    connection["proxy_closed"] = 1
    if connection["busy"] >= 0:
        drop_attempt(w, connection["busy"])
        connection["busy"] = -1
    while connection["inbox_head"] >= 0:
        drop_attempt(w, inbox_take(w, c))


@subroutine
def notify(w: World, c: int, cause: int) -> None:
    """Tell the client that its connection is closed or refused."""
    connection = w.connections[c]
    connection["proxy_closed"] = 1
    time = w.state[0]["now"] + connection_delay(w, c, NOTICE_LATENCY)
    connection["refs"] += 1
    schedule(
        w, max(time, connection["outbound_until"]), major_key(CLIENT_NOTICE, connection["id"]),
        connection["minor"], c | cause << RING_SHIFT,
    )  # fmt: skip


@subroutine
def close_connection(w: World, c: int, cause: int) -> None:
    """The proxy closes an accepted connection, and its client will hear of it."""
    release(w, c)
    notify(w, c, cause)
    drop_connection(w, c)


@subroutine
def lingered(w: World, ref: int) -> None:
    """A connection that has ended long ago is closed, by the process that *ref* tells, if it still runs."""
    s, connections = w.state[0], ref & 1
    if ref >> 1 != s["process"]:
        return
    s["lingering"] -= 1
    s["lingering_connections"] -= connections
    s["descriptors"] -= 1
    s["connections"] -= connections
    if s["queue_length"] > 0:
        admit_waiting(w)


@subroutine
def client_close(w: World, c: int) -> None:
    """The client's close arrives: what it asked for is abandoned."""
    connection = w.connections[c]
    connection["gone"] = 1
    if connection["proxy_closed"] == 1 or connection["accepted"] == 0:
        return
    if connection["busy"] >= 0 and connection["stalled"] == 0:
        abandon(w, connection["busy"])
    release(w, c)
    drop_connection(w, c)
    if w.state[0]["queue_length"] > 0:
        admit_waiting(w)


@routine
def rest(w: World, c: int) -> None:
    """The connection has nothing to do: it may be evicted, and its keep-alive time runs."""
    now = w.state[0]["now"]
    connection = w.connections[c]
    idle_push(w.idle, c + 1)
    connection["idle_since"] = now
    timeout = w.config[0]["keepalive_timeout"]
    if timeout >= 0:
        set_timer(w, KEEPALIVE_RING, now + timeout, c, connection["id"])


@subroutine
def keepalive(w: World, c: int, id: int, time: int) -> None:
    """The keep-alive time of a connection is over."""
    connection = w.connections[c]
    if connection["id"] != id or connection["proxy_closed"] == 1 or connection["busy"] >= 0:
        return
    if connection["idle_since"] + w.config[0]["keepalive_timeout"] != time:
        return
    if half_sent(w, c):
        return
    close_connection(w, c, EVICTED)
    if w.state[0]["queue_length"] > 0:
        admit_waiting(w)


# Requests come, answers go.


@routine
def take_request_bytes(w: World, a: int) -> None:
    """A request's bytes arrive."""
    attempt = w.attempts[a]
    c = attempt["connection"]
    connection = w.connections[c]
    if connection["proxy_closed"] == 1:
        drop_attempt(w, a)
        return
    attempt["proxy"] = w.state[0]["now"]
    if connection["accepted"] == 1 and connection["busy"] < 0:
        begin(w, c, a)
    else:
        inbox_add(w, c, a)


@subroutine
def begin(w: World, c: int, a: int) -> None:
    """The proxy turns to attempt *a*."""
    s = w.state[0]
    connection, attempt = w.connections[c], w.attempts[a]
    connection["busy"] = a
    idle_remove(w.idle, c + 1)
    s["requests"] += 1
    s["active"] += 1
    spec = w.config[0]
    connection["refs"] += 1
    attempt["refs"] += 1
    loop_compute(w, slowed(spec["cpu_per_request"], spec["cpu_factor"]), a)


@subroutine
def respond(w: World, a: int, outcome: int, status: int) -> None:
    """Write the answer; the connection is closed, rests, or turns to its next request."""
    attempt = w.attempts[a]
    c = attempt["connection"]
    connection = w.connections[c]
    assert connection["busy"] == a, "an answer for a request that its connection is not busy with"
    message = message_of(w, a)
    if message >= 0 and outcome == OK and w.wires[message]["outcome"] > 0:
        outcome = w.wires[message]["outcome"]
    size = 0
    if outcome in (OK, APP_ERROR):
        size = w.endpoints[attempt["endpoint"]]["size"]
    unread = connection["mode"] == FLOOD
    if unread and outcome == OK:
        outcome = UNREAD
    s = w.state[0]
    time = s["now"] + delay(w, a, RESPONSE_LATENCY)
    if s["toxics"] == 1:
        time = travel(w, c, a, DOWNSTREAM, RESPONSE_LATENCY, size, time)
    else:
        time = max(time, connection["outbound_until"])
        connection["outbound_until"] = time
    attempt["answer"] = outcome
    attempt["answer_status"] = status
    if time >= 0:
        connection["refs"] += 1
        attempt["refs"] += 1
        schedule(w, time, major_key(CLIENT_ANSWER, connection["id"]), attempt["minor"], a)
    if unread and not fits_socket_buffer(connection["unread"], size, w.config[0]["socket_buffer"]):
        stall(w, c)
    else:
        if unread:
            connection["unread"] += size
        connection["busy"] = -1
        drop_attempt(w, a)
        if connection["mode"] == PER_REQUEST or closes(w, a):
            release(w, c)
            drop_connection(w, c)
        elif connection["inbox_head"] >= 0:
            begin(w, c, inbox_take(w, c))
        else:
            rest(w, c)
    if w.state[0]["queue_length"] > 0:
        admit_waiting(w)


@subroutine
def stall(w: World, c: int) -> None:
    """The answer does not fit into the kernel's buffers: the connection and its upstream one stay taken."""
    s, connection = w.state[0], w.connections[c]
    connection["stalled"] = 1
    s["descriptors"] += 1
    timeout = w.config[0]["write_timeout"]
    if timeout >= 0:
        set_timer(w, WRITE_RING, s["now"] + timeout, c, connection["id"])


@subroutine
def write_timed_out(w: World, c: int, id: int) -> None:
    """A stalled connection is given up."""
    connection = w.connections[c]
    if connection["id"] == id and connection["stalled"] == 1:
        close_connection(w, c, EVICTED)
        if w.state[0]["queue_length"] > 0:
            admit_waiting(w)


# Death and return.


@subroutine
def crash(w: World, cause: int) -> None:
    """The process dies: every connection is reset, everything in flight is lost."""
    s = w.state[0]
    assert s["down"] == 0, "a proxy that is down cannot crash"
    s["down"] = 1
    s["budget"] = 0
    note(w, cause, 0, s["connections"], 0)
    forget(w)
    for c in range(len(w.connections)):
        connection = w.connections[c]
        if connection["id"] >= 0 and connection["accepted"] == 1 and connection["proxy_closed"] == 0:
            if connection["busy"] >= 0 and connection["stalled"] == 0:
                disown(w, connection["busy"])
            close_connection(w, c, REFUSED)
    while s["queue_length"] > 0:
        c = s["queue_head"]
        if w.connections[c]["gone"] == 0:
            notify(w, c, REFUSED)
        queue_drop(w)
    s["active"] = 0
    s["retrying"] = 0
    give_all_back(w)
    loop_end(w)
    s["signal"] = PROXY_DOWN
