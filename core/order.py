"""The order of simultaneous events: (time, kind, entity, request, attempt), unique and never by insertion.

The table below is the whole contract. Control kinds come first: a sample taken at second t counts what
happened in [t - 1 s, t). In the data plane whatever frees something comes before whatever takes it, answers
before the timeouts that would cut them off, and new requests last. A zero-length hop is an event too.
"""

from enum import IntEnum
from typing import Final

from .decision import decision


class Kind(IntEnum):
    """Kinds of events, in the order in which simultaneous ones happen."""

    END = 1
    # Control plane.
    FAULT = 2
    PROXY_RESTART = 3
    READY = 4
    MONITOR = 5
    HEALTH = 6
    UNEJECT = 7
    REFRESH = 8
    AUTOSCALER = 9
    DEPLOY = 10
    # Data plane: what frees something.
    HOST_DONE = 15
    CLIENT_ANSWER = 16
    CLIENT_NOTICE = 17
    ANSWER = 18
    UPSTREAM_FAILURE = 19
    DEPENDENCY_DONE = 20
    IO_DONE = 21
    CPU_DONE = 22
    CLIENT_CLOSE = 23
    # Timers.
    CLIENT_TIMEOUT = 24
    UPSTREAM_TIMEOUT = 25
    WRITE_TIMEOUT = 26
    KEEPALIVE = 27
    # What bad links do to connections.
    LINK_CLOSE = 28
    TRY_CLOSE = 29
    LINGERED = 30
    # What takes something, from the far end towards the client.
    DEPENDENCY_CALL = 32
    APP_ARRIVE = 33
    ROUTE = 34
    REQUEST = 35
    CONNECTED = 36
    SYN = 37
    RETRY = 38
    START = 39


SOURCE_BITS: Final = 11
INDEX_BITS: Final = 36
ENTITY_BITS: Final = 32
ATTEMPT_BITS: Final = 12
TRY_BITS: Final = 4

_LANE_BITS: Final = ATTEMPT_BITS + TRY_BITS
_ENTITY_SHIFT: Final = SOURCE_BITS + INDEX_BITS + _LANE_BITS
_KIND_SHIFT: Final = _ENTITY_SHIFT + ENTITY_BITS
assert _ENTITY_SHIFT == 63, "request, attempt and try fill one non-negative int64"


def request_number(source: int, index: int) -> int:
    """The number of request *index* of *source*: unique in a run."""
    return source << INDEX_BITS | index


def lane(attempt: int, tries: int = 0) -> int:
    """Attempt (from 1) and the proxy's upstream try (from 1; 0: not about a try) as one number."""
    assert attempt < 1 << ATTEMPT_BITS, f"attempt {attempt} does not fit into the order of events"
    assert tries < 1 << TRY_BITS, f"try {tries} does not fit into the order of events"
    return attempt << TRY_BITS | tries


def priority(kind: int, entity: int = 0, request: int = 0, attempt_lane: int = 0) -> int:
    """The key of an event among those at the same time, as one integer (smaller happens first).

    The smallest key is far above SimPy's own URGENT (0) and NORMAL (1), whose events (the start and the
    end of a process) therefore come first and must have no effect that depends on order.
    """
    return (kind << _KIND_SHIFT) | (entity << _ENTITY_SHIFT) | (request << _LANE_BITS) | attempt_lane


@decision
def major_key(kind: int, entity: int) -> int:
    """The first half of :func:`priority` for engines that have no integers beyond 63 bits."""
    return kind << ENTITY_BITS | entity


@decision
def minor_key(source: int, index: int, attempt: int, tries: int) -> int:
    """The second half: request *index* of *source*, attempt and try."""
    return ((source << INDEX_BITS | index) << ATTEMPT_BITS | attempt) << TRY_BITS | tries


@decision
def kind_of(major: int) -> int:
    """The kind in a major key."""
    return major >> ENTITY_BITS


@decision
def entity_of(major: int) -> int:
    """The entity in a major key."""
    return major & ((1 << ENTITY_BITS) - 1)


def major_of(key: int) -> int:
    """The major key in a :func:`priority`."""
    return key >> _ENTITY_SHIFT
