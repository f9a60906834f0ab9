"""What a bad link does to connections: data that stops, resets, limits of what they carry, closes that come late.

Each strikes a share of the connections. Whether it strikes one is drawn from the fault's own stream and what names the connection: the attempt that opened it, and
for one between proxy and server the try, of which each has its own. So it is the same for all that goes over it, and nobody else's draw moves.
A connection that is closed by a link is gone for both ends at the same moment.
"""

from .decision import decision
from .draws import ANSWER_LATENCY, CHECK, CONNECTION, TRY, draw, uniform
from .model import SECOND
from .toxics import DOWNSTREAM, FOREVER, UPSTREAM, Toxics, disturbance

_MILLISECOND = SECOND // 1000


@decision
def strikes(fault_stream: int, share: float, stream: int, index: int, attempt: int, tries: int) -> bool:
    """Whether what strikes *share* of the connections strikes this one."""
    if share <= 0.0:
        return False
    return uniform(draw(stream ^ fault_stream, index, attempt, CONNECTION + TRY * tries)) < share


@decision
def withheld(toxics: Toxics, line: int, stream: int, index: int, attempt: int, tries: int) -> bool:
    """Whether content that leaves now over row *line* never arrives (timeout)."""
    if line >= len(toxics) or toxics[line]["active"] == 0:
        return False
    row = toxics[line]
    return strikes(row["hold_stream"], row["hold_share"], stream, index, attempt, tries)


@decision
def closing_time(
    toxics: Toxics, place: int, stream: int, index: int, attempt: int, tries: int, opened: int
) -> int:
    """When (ns) link *place* closes the connection that was opened at *opened* (reset, timeout), or -1. A time that is past means: now."""
    found = -1
    for line in range(2 * place, min(2 * place + 2, len(toxics))):
        row = toxics[line]
        if row["active"] == 0:
            continue
        if row["hold_after"] > 0 and strikes(
            row["hold_stream"], row["hold_share"], stream, index, attempt, tries
        ):
            time = max(opened, row["hold_since"]) + row["hold_after"]
            found = time if found < 0 else min(found, time)
        if strikes(row["reset_stream"], row["reset_share"], stream, index, attempt, tries):
            time = max(opened, row["reset_since"]) + row["reset_after"]
            found = time if found < 0 else min(found, time)
    return int(found)


@decision
def carried_since(toxics: Toxics, line: int, carried: int, since: int) -> int:
    """The bytes that count for the limit of row *line*, of *carried* ones that were counted for a limit that began at *since*."""
    if line >= len(toxics) or toxics[line]["limit_since"] != since:
        return 0
    return carried


@decision
def over_limit(
    toxics: Toxics, line: int, carried: int, stream: int, index: int, attempt: int, tries: int
) -> bool:
    """Whether a connection over which *carried* bytes go in the direction of row *line* does not carry the last of them (limit_data)."""
    if line >= len(toxics) or toxics[line]["active"] == 0 or carried <= toxics[line]["limit"]:
        return False
    row = toxics[line]
    return strikes(row["limit_stream"], row["limit_share"], stream, index, attempt, tries)


@decision
def linger(toxics: Toxics, place: int, stream: int, index: int, attempt: int, tries: int) -> int:
    """How long (ns) a connection over link *place* keeps its descriptor after its end (slow_close)."""
    line = 2 * place + UPSTREAM
    if line >= len(toxics) or toxics[line]["active"] == 0:
        return 0
    row = toxics[line]
    if strikes(row["linger_stream"], row["linger_share"], stream, index, attempt, tries):
        return int(row["linger"])
    return 0


@decision
def check_time(latency: int, toxics: Toxics, server: int, now: int) -> int:
    """How long (ns) a health check of *server*, over a connection of its own, takes there and back; FOREVER if it has no answer."""
    moment = now // _MILLISECOND
    there = latency + disturbance(toxics, server, now, server, moment, 0, CHECK)
    if there >= FOREVER - now:
        return FOREVER
    back = disturbance(toxics, server, now + there, server, moment, 0, ANSWER_LATENCY)
    for line in range(2 * server + UPSTREAM, 2 * server + DOWNSTREAM + 1):
        if withheld(toxics, line, server, moment, 0, 0):
            return FOREVER
    time = there + latency + back
    closed = closing_time(toxics, server, server, moment, 0, 0, now)
    if 0 <= closed <= now + time:
        return FOREVER
    return time
