"""Rows of requests and attempts, written when they have their outcome."""

from ...core.outcomes import Outcome
from .layout import World
from .routine import routine, subroutine
from .slots import free_request

PENDING = int(Outcome.PENDING)
UNFINISHED = int(Outcome.UNFINISHED)


@routine
def write_attempt(w: World, slot: int, outcome: int, status: int) -> None:
    """The row of an attempt, as it is when it has its outcome."""
    s = w.state[0]
    a = w.attempts[slot]
    row = w.out_attempts[s["out_attempts"]]
    s["out_attempts"] += 1
    row["request"] = w.requests[a["request"]]["row"]
    row["attempt"] = a["number"]
    row["start_ns"] = a["start"]
    row["proxy_ns"] = a["proxy"]
    row["routed_ns"] = a["routed"]
    row["arrived_ns"] = a["arrived"]
    row["started_ns"] = a["started"]
    row["cpu_done_ns"] = a["cpu_done"]
    row["served_ns"] = a["served"]
    row["answered_ns"] = a["answered"]
    row["end_ns"] = s["now"]
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
    s = w.state[0]
    r = w.requests[slot]
    row = w.out_requests[s["out_requests"]]
    s["out_requests"] += 1
    row["request"] = r["row"]
    row["source"] = r["source"]
    row["index"] = r["index"]
    row["endpoint"] = r["endpoint"]
    row["time_ns"] = r["time"]
    row["latency_ns"] = s["now"] - r["time"]
    row["outcome"] = outcome
    row["status"] = r["status"]
    row["attempts"] = r["attempts"]
    row["server"] = r["server"]


@subroutine
def end_requests(w: World) -> None:
    """The run is over: whatever has no outcome is unfinished."""
    for slot in range(len(w.attempts)):
        a = w.attempts[slot]
        if a["serial"] >= 0 and a["outcome"] == PENDING:
            write_attempt(w, slot, UNFINISHED, 0)
            a["outcome"] = UNFINISHED
            r = w.requests[a["request"]]
            r["status"] = 0
            r["server"] = a["server"]
    for slot in range(len(w.requests)):
        if w.requests[slot]["live"] == 1:
            write_request(w, slot, UNFINISHED)
            free_request(w, slot)
