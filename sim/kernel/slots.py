"""Slots taken and given back, and the lists that run through rows."""

from typing import Any

from .layout import World
from .routine import routine, subroutine


@routine
def take_request(w: World) -> int:
    """A free request."""
    s = w.state[0]
    slot = int(s["request_free"])
    s["request_free"] = w.requests[slot]["next"]
    s["request_left"] -= 1
    return slot


@routine
def free_request(w: World, slot: int) -> None:
    """A request has its outcome."""
    s = w.state[0]
    r = w.requests[slot]
    r["live"] = 0
    r["next"] = s["request_free"]
    s["request_free"] = slot
    s["request_left"] += 1


@routine
def take_attempt(w: World) -> int:
    """A free attempt."""
    s = w.state[0]
    slot = int(s["attempt_free"])
    s["attempt_free"] = w.attempts[slot]["next"]
    s["attempt_left"] -= 1
    return slot


@routine
def drop_attempt(w: World, slot: int) -> None:
    """One thing less refers to an attempt."""
    a = w.attempts[slot]
    a["refs"] -= 1
    if a["refs"] == 0:
        s = w.state[0]
        a["minor"] = -1
        a["next"] = s["attempt_free"]
        s["attempt_free"] = slot
        s["attempt_left"] += 1


@routine
def take_connection(w: World) -> int:
    """A free connection."""
    s = w.state[0]
    slot = int(s["connection_free"])
    s["connection_free"] = w.connections[slot]["next"]
    s["connection_left"] -= 1
    return slot


@routine
def drop_connection(w: World, slot: int) -> None:
    """One thing less refers to a connection."""
    c = w.connections[slot]
    c["refs"] -= 1
    if c["refs"] == 0:
        s = w.state[0]
        c["id"] = -1
        c["next"] = s["connection_free"]
        s["connection_free"] = slot
        s["connection_left"] += 1


@routine
def take_job(w: World) -> int:
    """A free job."""
    s = w.state[0]
    slot = int(s["job_free"])
    s["job_free"] = w.jobs[slot]["next"]
    s["job_left"] -= 1
    return slot


@routine
def drop_job(w: World, slot: int) -> None:
    """One thing less refers to a job."""
    j = w.jobs[slot]
    j["refs"] -= 1
    if j["refs"] == 0:
        s = w.state[0]
        j["next"] = s["job_free"]
        s["job_free"] = slot
        s["job_left"] += 1


@routine
def pending_add(w: World, c: int, a: int) -> None:
    """Attempt *a* waits for an answer on connection *c*."""
    connection, attempt = w.connections[c], w.attempts[a]
    last = connection["pending_tail"]
    attempt["older"] = last
    attempt["newer"] = -1
    if last < 0:
        connection["pending_head"] = a
    else:
        w.attempts[last]["newer"] = a
    connection["pending_tail"] = a


@routine
def pending_remove(w: World, c: int, a: int) -> None:
    """Attempt *a* waits on connection *c* no more."""
    connection, attempt = w.connections[c], w.attempts[a]
    older, newer = attempt["older"], attempt["newer"]
    if older < 0:
        connection["pending_head"] = newer
    else:
        w.attempts[older]["newer"] = newer
    if newer < 0:
        connection["pending_tail"] = older
    else:
        w.attempts[newer]["older"] = older


@routine
def inbox_add(w: World, c: int, a: int) -> None:
    """Attempt *a* waits behind others at the proxy."""
    connection = w.connections[c]
    w.attempts[a]["next"] = -1
    if connection["inbox_head"] < 0:
        connection["inbox_head"] = a
    else:
        w.attempts[connection["inbox_tail"]]["next"] = a
    connection["inbox_tail"] = a


@routine
def inbox_take(w: World, c: int) -> int:
    """The attempt that waits first."""
    connection = w.connections[c]
    a = int(connection["inbox_head"])
    connection["inbox_head"] = w.attempts[a]["next"]
    return a


@subroutine
def pool_add(w: World, source: int, c: int) -> None:
    """Connection *c* is the most recently used idle one of its pool."""
    pool, connection = w.sources[source], w.connections[c]
    newest = pool["idle"]
    connection["older"] = newest
    connection["newer"] = -1
    connection["idle"] = 1
    if newest >= 0:
        w.connections[newest]["newer"] = c
    pool["idle"] = c


@subroutine
def pool_remove(w: World, source: int, c: int) -> None:
    """Connection *c* is idle in its pool no more."""
    pool, connection = w.sources[source], w.connections[c]
    older, newer = connection["older"], connection["newer"]
    if newer < 0:
        pool["idle"] = older
    else:
        w.connections[newer]["older"] = older
    if older >= 0:
        w.connections[older]["newer"] = newer
    connection["idle"] = 0


@routine
def queue_job(w: World, station: Any, slot: int) -> None:
    """Job *slot* waits last at *station*, the row of an app server or a dependency."""
    w.jobs[slot]["next"] = -1
    if station["queue_length"] == 0:
        station["queue_head"] = slot
    else:
        w.jobs[station["queue_tail"]]["next"] = slot
    station["queue_tail"] = slot
    station["queue_length"] += 1


@routine
def next_job(w: World, station: Any) -> int:
    """The job that waits first at *station*, which has one, waits no more."""
    slot = int(station["queue_head"])
    station["queue_head"] = w.jobs[slot]["next"]
    station["queue_length"] -= 1
    return slot
