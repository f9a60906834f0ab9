"""What bad links do to content and connections (see sim.links)."""

from ...core.closing import carried_since, closing_time, linger, over_limit, withheld
from ...core.draws import TRY
from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from ...core.toxics import UPSTREAM, carriage
from .agenda import schedule
from .layout import World
from .routine import subroutine
from .slots import drop_job

UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)

UPSTREAM_FAILURE = int(Kind.UPSTREAM_FAILURE)
LINK_CLOSE = int(Kind.LINK_CLOSE)
TRY_CLOSE = int(Kind.TRY_CLOSE)
LINGERED = int(Kind.LINGERED)

CLIENTS = 0
"""The number of the link between clients and proxy; a server's has the server's."""


@subroutine
def disturbed(w: World, number: int) -> None:
    """Link *number* has changed: what is open may have to be closed."""
    w.state[0]["budget"] = 0
    if number == CLIENTS:
        for c in range(len(w.connections)):
            connection = w.connections[c]
            if connection["id"] > 0 and connection["established"] == 1 and connection["client_closed"] == 0:
                watch(w, c)
    for a in range(len(w.attempts)):
        attempt = w.attempts[a]
        if attempt["minor"] >= 0 and attempt["upstream"] == 1 and attempt["server"] == number:
            watch_try(w, a)


# Between clients and proxy.


@subroutine
def opened(w: World, c: int) -> None:
    """Connection *c* has been established over a bad link. Elsewhere nobody asks since when it is open: whatever may close it later begins after that."""
    w.connections[c]["opened"] = w.state[0]["now"]
    watch(w, c)


@subroutine
def watch(w: World, c: int) -> None:
    """Connection *c* may have to be closed at some time."""
    connection = w.connections[c]
    time = closes(w, c)
    if time >= 0:
        schedule(
            w, max(time, w.state[0]["now"]), major_key(LINK_CLOSE, connection["id"]), connection["minor"], c
        )


@subroutine
def closes(w: World, c: int) -> int:
    """When the link closes connection *c*, or -1."""
    connection = w.connections[c]
    return closing_time(
        w.toxics, CLIENTS, connection["stream"], connection["index"], connection["number"], 0,
        connection["opened"],
    )  # fmt: skip


@subroutine
def close_is_due(w: World, c: int, id: int) -> bool:
    """Whether connection *c*, if it is still the one called *id* and its client has not closed it, is closed by its link now."""
    connection = w.connections[c]
    if connection["id"] != id or connection["client_closed"] == 1:
        return False
    now = w.state[0]["now"]
    if 0 <= closes(w, c) <= now:
        return True
    return bool(connection["counted"] == id and 0 <= connection["full"] <= now)


@subroutine
def travel(w: World, c: int, a: int, way: int, purpose: int, size: int, arrival: int) -> int:
    """When content that would arrive at *arrival* does so, in order, -1 if not at all; a connection that has carried too much is closed then."""
    connection, attempt = w.connections[c], w.attempts[a]
    stream, index, opener = connection["stream"], connection["index"], connection["number"]
    if withheld(w.toxics, way, stream, index, opener, 0):
        return -1
    arrival += carriage(
        w.toxics, way, w.state[0]["now"], size, attempt["stream"], attempt["index"], attempt["number"], purpose
    )  # fmt: skip
    if connection["counted"] != connection["id"]:
        connection["counted"] = connection["id"]
        connection["full"] = -1
        connection["carried_up"] = 0
        connection["carried_down"] = 0
        connection["limited_up"] = 0
        connection["limited_down"] = 0
    since = w.toxics[way]["limit_since"]
    if way == UPSTREAM:
        arrival = max(arrival, connection["inbound_until"])
        connection["inbound_until"] = arrival
        carried = carried_since(w.toxics, way, connection["carried_up"], connection["limited_up"]) + size
        connection["carried_up"] = carried
        connection["limited_up"] = since
    else:
        arrival = max(arrival, connection["outbound_until"])
        connection["outbound_until"] = arrival
        carried = carried_since(w.toxics, way, connection["carried_down"], connection["limited_down"]) + size
        connection["carried_down"] = carried
        connection["limited_down"] = since
    if over_limit(w.toxics, way, carried, stream, index, opener, 0):
        if connection["full"] < 0 or arrival < connection["full"]:
            connection["full"] = arrival
        schedule(w, arrival, major_key(LINK_CLOSE, connection["id"]), connection["minor"], c)
        return -1
    return int(arrival)


# Between proxy and servers: each try has a connection of its own.


@subroutine
def watch_try(w: World, a: int) -> None:
    """The upstream connection of attempt *a* may have to be closed at some time."""
    attempt = w.attempts[a]
    time = try_closes(w, a)
    if time >= 0:
        minor = attempt["minor"] | attempt["tries"]
        schedule(w, max(time, w.state[0]["now"]), major_key(TRY_CLOSE, attempt["server"]), minor, a)


@subroutine
def try_closes(w: World, a: int) -> int:
    """When the link closes the upstream connection of attempt *a*, or -1."""
    attempt = w.attempts[a]
    return closing_time(
        w.toxics, attempt["server"], attempt["stream"], attempt["index"], attempt["number"], attempt["tries"],
        attempt["sent_upstream"],
    )  # fmt: skip


@subroutine
def carry_job(w: World, slot: int, way: int, kind: int, purpose: int, size: int, arrival: int) -> None:
    """Content of job *slot*, which would arrive at *arrival* as an event of *kind*, does so, or it never does, or its connection is closed, for it carries too much."""
    j = w.jobs[slot]
    stream, index, number, tries = j["stream"], j["index"], j["number"], j["tries"]
    line = 2 * j["server"] + way
    if withheld(w.toxics, line, stream, index, number, tries):
        drop_job(w, slot)
        return
    arrival += carriage(w.toxics, line, w.state[0]["now"], size, stream, index, number, purpose + TRY * tries)
    if over_limit(w.toxics, line, size, stream, index, number, tries):
        j["outcome"] = UPSTREAM_RESET
        j["status"] = 502
        schedule(w, arrival, major_key(UPSTREAM_FAILURE, j["server"]), j["minor"], slot)
    elif way == UPSTREAM and 0 <= try_closes(w, j["attempt"]) <= arrival:
        drop_job(w, slot)
    else:
        schedule(w, arrival, major_key(kind, j["server"]), j["minor"], slot)


# Descriptors.


@subroutine
def give_back_late(w: World, c: int) -> None:
    """The proxy gives back what connection *c* takes, over a bad link."""
    connection = w.connections[c]
    later = linger(w.toxics, CLIENTS, connection["stream"], connection["index"], connection["number"], 0)
    give_back(w, later, connection["id"], connection["minor"], 1)


@subroutine
def end_upstream_late(w: World, a: int) -> None:
    """The proxy closes the upstream connection of attempt *a*, over a bad link."""
    attempt = w.attempts[a]
    server, tries = attempt["server"], attempt["tries"]
    later = linger(w.toxics, server, attempt["stream"], attempt["index"], attempt["number"], tries)
    give_back(w, later, server, attempt["minor"] | tries, 0)


@subroutine
def give_back(w: World, later: int, entity: int, minor: int, connections: int) -> None:
    """A descriptor, and so many *connections*, are free, *later*; a process that dies keeps nothing."""
    s = w.state[0]
    if later > 0 and s["down"] == 0:
        s["lingering"] += 1
        s["lingering_connections"] += connections
        schedule(w, s["now"] + later, major_key(LINGERED, entity), minor, s["process"] << 1 | connections)
        return
    s["descriptors"] -= 1
    s["connections"] -= connections


@subroutine
def give_all_back(w: World) -> None:
    """The process dies, and keeps nothing."""
    s = w.state[0]
    s["process"] += 1
    s["descriptors"] -= s["lingering"]
    s["connections"] -= s["lingering_connections"]
    s["lingering"] = 0
    s["lingering_connections"] = 0
