"""Who gets a connection, a descriptor, memory, and whose connection is closed to make room.

Theory of operation
-------------------
A client connection takes a descriptor, its upstream connection another. While all are in use, or memory is,
new connections wait in the kernel's accept queue (``backlog``); when that is full the SYN is dropped and the
client tries again after 1, 3, 7, ... seconds. A proxy with ``overload: evict`` admits half as many connections as it
has descriptors, so that none lacks its upstream one, and makes room: it closes the connection that has been
idle, or answered and unread, for the longest time.

Connections that may be closed are kept in a doubly linked list inside the connection table, oldest first:
:func:`idle_push` when a connection becomes idle, :func:`idle_remove` when it is used or closed. Row 0 is the list's
head; connections are rows 1 and up.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision

REFUSE = 0
EVICT = 1
CRASH = 2

OVERLOAD = {"refuse": REFUSE, "evict": EVICT}
EXHAUSTION = {"refuse": REFUSE, "evict": EVICT, "crash": CRASH}

CONNECTION = np.dtype([("older", np.int64), ("newer", np.int64), ("idle", np.int64)], align=True)
"""A row of the idle list: neighbours by row number and whether the connection is in the list."""

Connections = npt.NDArray[Any]

# What to do with a connection that asks to be accepted.
ACCEPT = 1
MAKE_ROOM = 2
WAIT = 3
RESET = 4
GO_DOWN = 5

SYN_TRIES = 7
"""A client sends the SYN once and repeats it six times (Linux: tcp_syn_retries)."""


def empty_connections(rows: int) -> Connections:
    """An idle list with room for connections 1 to *rows* - 1."""
    return np.zeros(rows, dtype=CONNECTION)


@decision
def idle_push(connections: Connections, row: int) -> None:
    """Append *row* as the most recently used idle connection."""
    newest = connections["older"][0]
    connections["newer"][newest] = row
    connections["older"][row] = newest
    connections["newer"][row] = 0
    connections["older"][0] = row
    connections["idle"][row] = 1


@decision
def idle_remove(connections: Connections, row: int) -> None:
    """Take *row* out of the idle list, if it is in it."""
    if connections["idle"][row] == 1:
        older = connections["older"][row]
        newer = connections["newer"][row]
        connections["newer"][older] = newer
        connections["older"][newer] = older
        connections["idle"][row] = 0


@decision
def idle_oldest(connections: Connections) -> int:
    """The least recently used idle connection's row, or 0 if none is idle."""
    return int(connections["newer"][0])


@decision
def fits_descriptors(used: int, limit: int) -> bool:
    """Whether one more descriptor is free (*limit* -1: unlimited)."""
    return limit < 0 or used < limit


@decision
def fits_connection(used: int, accepted: int, limit: int, overload: int) -> bool:
    """Whether a client connection finds a descriptor.

    The classic proxy (REFUSE) takes the last one for it, and then has none for the upstream connection; one that
    evicts keeps a second descriptor for each connection that it admits.
    """
    if limit >= 0 and overload == EVICT and accepted >= max(1, limit // 2):
        return False
    return fits_descriptors(used, limit)


@decision
def fits_memory(base: int, per_connection: int, accepted: int, total: int) -> bool:
    """Whether memory (bytes) holds one more connection (*total* -1: unlimited)."""
    return total < 0 or base + per_connection * (accepted + 1) <= total


@decision
def admit_connection(
    descriptor_free: bool, memory_free: bool, overload: int, exhaustion: int, idle: int
) -> int:
    """What the proxy does with a connection it could accept now.

    ACCEPT; MAKE_ROOM (close the oldest idle connection and ask again); WAIT in the accept queue for a
    descriptor; RESET it for want of memory; GO_DOWN, the process dies for want of memory. *idle* is the row of
    the oldest idle connection or 0.
    """
    if not memory_free:
        if exhaustion == CRASH:
            return GO_DOWN
        if exhaustion == EVICT and idle > 0:
            return MAKE_ROOM
        return RESET
    if descriptor_free:
        return ACCEPT
    if overload == EVICT and idle > 0:
        return MAKE_ROOM
    return WAIT


@decision
def queue_connection(waiting: int, backlog: int) -> bool:
    """Whether the accept queue takes one more (*backlog* -1: unlimited); if not, the SYN is dropped."""
    return backlog < 0 or waiting < backlog


@decision
def syn_delay(tries: int) -> int:
    """Seconds from the first SYN to its *tries*-th repetition: 1, 3, 7, 15, 31, 63; -1: give up.

    RFC 6298 (initial timeout 1 s, doubled) as Linux does it.
    """
    if tries >= SYN_TRIES:
        return -1
    return (1 << tries) - 1


SYN_GIVE_UP_S = (1 << SYN_TRIES) - 1
"""Seconds after the first SYN at which a client without a timeout of its own gives up (127 on Linux)."""


@decision
def fits_socket_buffer(unread: int, answer: int, buffer: int) -> bool:
    """Whether an answer fits behind the *unread* bytes into the kernel's buffers (*buffer* -1: unlimited)."""
    return buffer < 0 or unread + answer <= buffer
