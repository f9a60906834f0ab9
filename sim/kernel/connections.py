"""The clients' connections: handshakes, messages, pools."""

from ...core import draws
from ...core.admission import SYN_GIVE_UP_S, syn_delay
from ...core.model import POOL, SECOND
from ...core.network import link_delay
from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from ...core.toxics import UPSTREAM, disturbance
from .agenda import RING_SHIFT, schedule
from .content import content
from .layout import World
from .links import opened, travel
from .routine import routine, subroutine
from .slots import drop_attempt, drop_connection, pending_add, pool_add, take_connection

PENDING = int(Outcome.PENDING)
CLIENT_TIMEOUT = int(Outcome.CLIENT_TIMEOUT)

SYN = int(Kind.SYN)
REQUEST = int(Kind.REQUEST)
CLIENT_CLOSE = int(Kind.CLIENT_CLOSE)
CLIENT_NOTICE = int(Kind.CLIENT_NOTICE)

SYN_LATENCY = draws.SYN_LATENCY
SYN_RETRY = draws.SYN_RETRY
REQUEST_LATENCY = draws.REQUEST_LATENCY
CLOSE_LATENCY = draws.CLOSE_LATENCY


@routine
def outbox_add(w: World, c: int, a: int) -> None:
    """Attempt *a* waits for connection *c* to be established."""
    connection, attempt = w.connections[c], w.attempts[a]
    attempt["connection"] = c
    attempt["next"] = -1
    if connection["outbox_head"] < 0:
        connection["outbox_head"] = a
    else:
        w.attempts[connection["outbox_tail"]]["next"] = a
    connection["outbox_tail"] = a
    pending_add(w, c, a)


@routine
def delay(w: World, slot: int, purpose: int) -> int:
    """The time of a message about an attempt between client and proxy."""
    a = w.attempts[slot]
    return client_delay(w, a["stream"], a["index"], a["number"], purpose)


@routine
def connection_delay(w: World, c: int, purpose: int) -> int:
    """The time of a connection's own message between client and proxy."""
    connection = w.connections[c]
    return client_delay(w, connection["stream"], connection["index"], connection["number"], purpose)


@routine
def client_delay(w: World, stream: int, index: int, number: int, purpose: int) -> int:
    """The time of a message between client and proxy, keyed so."""
    s, spec = w.state[0], w.config[0]
    time = link_delay(spec["client_latency"], spec["client_jitter"], stream, index, number, purpose)
    if s["toxics"] == 1:
        time += disturbance(w.toxics, 0, s["now"], stream, index, number, purpose)
    return time


@routine
def message_of(w: World, a: int) -> int:
    """The row of what attempt *a* is on the wire, or -1 if its source says no exact bytes."""
    attempt = w.attempts[a]
    spec = w.sources[attempt["source"]]
    if spec["wire"] == 0:
        return -1
    return int(spec["wire_from"] + attempt["index"] % spec["wire"])


@routine
def closes(w: World, a: int) -> bool:
    """Whether nothing follows attempt *a* on its connection, by what it is on the wire."""
    message = message_of(w, a)
    return message >= 0 and w.wires[message]["closes"] == 1


@routine
def half_sent(w: World, c: int) -> bool:
    """Whether part of a message is there that will become complete or be refused: then no keep-alive time runs."""
    first = w.connections[c]["pending_head"]
    if first < 0:
        return False
    message = message_of(w, first)
    return message >= 0 and w.wires[message]["upload"] >= 0


@subroutine
def connect(w: World, slot: int) -> None:
    """Attempt *slot* opens a connection."""
    s = w.state[0]
    a = w.attempts[slot]
    c = take_connection(w)
    s["connections_made"] += 1
    connection = w.connections[c]
    stream, index, number, minor, source = a["stream"], a["index"], a["number"], a["minor"], a["source"]
    spec = w.sources[source]
    mode, made, now = spec["mode"], s["connections_made"], s["now"]
    connection["id"] = made
    connection["stream"] = stream
    connection["index"] = index
    connection["number"] = number
    connection["minor"] = minor
    connection["source"] = source
    connection["mode"] = mode
    connection["syn_sent"] = now
    connection["refs"] = 1
    connection["outbox_head"] = -1
    connection["pending_head"] = -1
    connection["pending_tail"] = -1
    connection["slot"] = -1
    connection["busy"] = -1
    connection["inbox_head"] = -1
    connection["idle_since"] = -1
    connection["syn_tries"] = 0
    connection["established"] = 0
    connection["client_closed"] = 0
    connection["accepted"] = 0
    connection["unread"] = 0
    connection["stalled"] = 0
    connection["proxy_closed"] = 0
    connection["gone"] = 0
    connection["inbound_until"] = 0
    connection["outbound_until"] = 0
    connection["idle"] = 0
    outbox_add(w, c, slot)
    spec["open"] += 1
    syn(w, c, now + connection_delay(w, c, SYN_LATENCY))


@routine
def syn(w: World, c: int, arrival: int) -> None:
    """A SYN is on its way."""
    connection = w.connections[c]
    connection["inbound_until"] = max(connection["inbound_until"], arrival)
    connection["refs"] += 1
    schedule(w, arrival, major_key(SYN, connection["id"]), connection["minor"], c)


@subroutine
def syn_dropped(w: World, c: int) -> None:
    """The SYN found no room: the client repeats it, or gives up in the end."""
    connection = w.connections[c]
    connection["syn_tries"] += 1
    tries = connection["syn_tries"]
    wait = syn_delay(tries)
    if wait < 0:
        connection["refs"] += 1
        schedule(
            w, connection["syn_sent"] + SYN_GIVE_UP_S * SECOND, major_key(CLIENT_NOTICE, connection["id"]),
            connection["minor"], c | CLIENT_TIMEOUT << RING_SHIFT,
        )  # fmt: skip
        return
    arrival = connection["syn_sent"] + wait * SECOND + connection_delay(w, c, SYN_RETRY + tries)
    syn(w, c, max(arrival, w.state[0]["now"]))


@subroutine
def connected(w: World, c: int) -> None:
    """The handshake is complete at the client's end."""
    connection = w.connections[c]
    connection["established"] = 1
    if connection["client_closed"] == 1:
        return
    if w.state[0]["toxics"] == 1:
        opened(w, c)
    a = connection["outbox_head"]
    connection["outbox_head"] = -1
    while a >= 0:
        following = w.attempts[a]["next"]
        send_request(w, c, a)
        a = following


@routine
def transmit(w: World, c: int, a: int) -> None:
    """Attempt *a* goes over the established connection *c*."""
    w.attempts[a]["connection"] = c
    pending_add(w, c, a)
    send_request(w, c, a)


@subroutine
def send_request(w: World, c: int, a: int) -> None:
    """The request's bytes are on their way."""
    connection, attempt = w.connections[c], w.attempts[a]
    s = w.state[0]
    sent = s["now"]
    message = message_of(w, a)
    if message >= 0:
        upload = w.wires[message]["upload"]
        if upload < 0:
            return
        sent = max(sent, attempt["start"] + upload)
    arrival = sent + delay(w, a, REQUEST_LATENCY)
    if s["toxics"] == 1:
        arrival = travel(w, c, a, UPSTREAM, REQUEST_LATENCY, content(w, a), arrival)
        if arrival < 0:
            return
    else:
        arrival = max(arrival, connection["inbound_until"])
        connection["inbound_until"] = arrival
    connection["refs"] += 1
    attempt["refs"] += 1
    schedule(w, arrival, major_key(REQUEST, connection["id"]), attempt["minor"], a)


@routine
def next_waiting(w: World, source: int) -> int:
    """The first attempt that still waits for a connection, or -1. The caller drops its reference."""
    spec = w.sources[source]
    while spec["waiting_head"] >= 0:
        a = spec["waiting_head"]
        spec["waiting_head"] = w.attempts[a]["next"]
        if w.attempts[a]["outcome"] == PENDING:
            return int(a)
        drop_attempt(w, a)
    return -1


@subroutine
def release(w: World, c: int) -> None:
    """A pooled connection is free: the first attempt that still waits takes it."""
    source = w.connections[c]["source"]
    a = next_waiting(w, source)
    if a >= 0:
        transmit(w, c, a)
        drop_attempt(w, a)
    else:
        pool_add(w, source, c)


@subroutine
def close(w: World, c: int) -> None:
    """The client closes; the proxy learns of it one message later."""
    connection = w.connections[c]
    arrival = w.state[0]["now"] + connection_delay(w, c, CLOSE_LATENCY)
    arrival = max(arrival, connection["inbound_until"])
    connection["inbound_until"] = arrival
    connection["refs"] += 1
    schedule(w, arrival, major_key(CLIENT_CLOSE, connection["id"]), connection["minor"], c)
    lost(w, c)


@subroutine
def lost(w: World, c: int) -> None:
    """A connection less: who waited for one may open another."""
    connection = w.connections[c]
    connection["client_closed"] = 1
    source = connection["source"]
    w.sources[source]["open"] -= 1
    if connection["mode"] == POOL:
        a = next_waiting(w, source)
        if a >= 0:
            connect(w, a)
            drop_attempt(w, a)
    drop_connection(w, c)
