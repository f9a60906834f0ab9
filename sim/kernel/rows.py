"""Rows of requests and attempts, written when they have their outcome.

A request and its first attempt have their places in a window over the rows, so that they leave it in order; further attempts, and
what began before the window, are late and written one behind another.
"""

from ...core.columns import Rows
from ...core.outcomes import Outcome
from .layout import World
from .routine import routine, subroutine
from .slots import free_request

PENDING = int(Outcome.PENDING)
UNFINISHED = int(Outcome.UNFINISHED)


@routine
def write_attempt(w: World, slot: int, outcome: int, status: int, answered: int) -> None:
    """The row of an attempt, as it is when it has its outcome."""
    a = w.attempts[slot]
    place = w.requests[a["request"]]["row"] - w.state[0]["window_from"]
    if place >= 0 and a["number"] == 1:
        fill_attempt(w, w.window_attempts, place, slot, outcome, status, answered)
    else:
        late = w.state[0]["late_attempts"]
        w.state[0]["late_attempts"] = late + 1
        fill_attempt(w, w.late_attempts, late, slot, outcome, status, answered)


@subroutine
def fill_attempt(
    w: World, rows: Rows, place: int, slot: int, outcome: int, status: int, answered: int
) -> None:
    """Write the row to *rows*."""
    a = w.attempts[slot]
    row = rows[place]
    row["request"] = w.requests[a["request"]]["row"]
    row["attempt"] = a["number"]
    row["start_ns"] = a["start"]
    row["proxy_ns"] = a["proxy"]
    row["routed_ns"] = a["routed"]
    row["arrived_ns"] = a["arrived"]
    row["started_ns"] = a["started"]
    row["cpu_done_ns"] = a["cpu_done"]
    row["served_ns"] = a["served"]
    row["answered_ns"] = answered
    row["end_ns"] = w.state[0]["now"]
    row["outcome"] = outcome
    row["status"] = status
    row["server"] = a["server"]
    row["tries"] = a["tries"]
    row["connection"] = -1
    if a["connection"] >= 0:
        row["connection"] = w.connections[a["connection"]]["id"]


@routine
def write_request(w: World, slot: int, outcome: int) -> None:
    """The row of a request."""
    place = w.requests[slot]["row"] - w.state[0]["window_from"]
    if place >= 0:
        fill_request(w, w.window_requests, place, slot, outcome)
    else:
        late = w.state[0]["late_requests"]
        w.state[0]["late_requests"] = late + 1
        fill_request(w, w.late_requests, late, slot, outcome)


@subroutine
def fill_request(w: World, rows: Rows, place: int, slot: int, outcome: int) -> None:
    """Write the row to *rows*."""
    r = w.requests[slot]
    row = rows[place]
    row["request"] = r["row"]
    row["source"] = r["source"]
    row["index"] = r["index"]
    row["endpoint"] = r["endpoint"]
    row["time_ns"] = r["time"]
    row["latency_ns"] = w.state[0]["now"] - r["time"]
    row["outcome"] = outcome
    row["status"] = r["status"]
    row["attempts"] = r["attempts"]
    row["server"] = r["server"]


@subroutine
def end_requests(w: World) -> None:
    """The run is over: whatever has no outcome is unfinished."""
    for slot in range(len(w.attempts)):
        a = w.attempts[slot]
        if a["minor"] >= 0 and a["outcome"] == PENDING:
            write_attempt(w, slot, UNFINISHED, 0, -1)
            a["outcome"] = UNFINISHED
            r = w.requests[a["request"]]
            r["status"] = 0
            r["server"] = a["server"]
    for slot in range(len(w.requests)):
        if w.requests[slot]["live"] == 1:
            write_request(w, slot, UNFINISHED)
            free_request(w, slot)
