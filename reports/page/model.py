"""What the page's scripts are given: a document, once, and frames, as seconds go by. All of it is plain data that JSON holds.

A frame says what happened in some consecutive seconds, in columns. A recorded run has one frame of all its seconds; a live one appends a frame of a second at a time, made by
the same function (``frames``). Values are whole numbers, so that they are small on the page; NONE where there is nothing to tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from ...core.lifecycle import State

FORMAT = 1
"""Of documents and frames: the scripts refuse another one."""

NONE = -1
"""No value: nobody was answered in that second, the server was not there."""

CLASSES = ("2xx", "3xx", "4xx", "5xx", "none")
"""Classes of statuses; ``none``: the client got no answer."""

FLEET: dict[str, str] = {
    "arrived": "requests that reached the proxy",
    **{f"status_{name}": f"requests that ended with {name}" for name in CLASSES},
    "errors": "requests that ended with an outcome other than ok and unread",
    "p50": "of those answered as planned, in us",
    "p95": "likewise",
    "p99": "likewise",
    "connections": "client connections of the proxy",
    "in_flight": "requests at the proxy and not answered",
    "queued": "connections in its accept queue",
    "serving": "servers that serve, canaries included",
    "booting": "servers that are pending or boot",
    "event_loop_lag": "how late the proxy's event loop was at worst, in us",
    "registry_latency": "the proxy's longest exchange with the registry, in us",
}
"""Columns of the fleet. Requests count in the second in which they ended. NONE in all but serving and booting: not recorded."""

SERVER: dict[str, str] = {
    "state": "its state, by number (core.lifecycle.State)",
    "requests": "requests in that second",
    "in_flight": "requests accepted and not answered",
    "queued": "of these, waiting for a worker",
    "memory": "its memory load: thousandths of its limit, or KiB if it has none",
    "cpu": "thousandths of its cores",
}
"""Columns of a server. NONE in all of them: it is not there. Its custom metrics are beside them, if it has any: OWN and the name, in thousandths."""

OWN = "own:"

EDGE: dict[str, str] = {
    "ended": "what ended on it: requests of the clients, attempts at a server",
    "errors": "of these, those that failed",
    "p95": "of those answered as planned, in us",
}
"""Columns of an edge of the map."""

LOW, HIGH = ".low", ".high"
"""Where a point stands for several seconds its columns hold sums of what is counted and means of the rest (``merging``), and columns with these suffixes the least and the
greatest second."""

STATES = tuple(state.word for state in State)

Columns = dict[str, Any]
"""Columns by name: lists of integers, or arrays of them."""


class Mark(TypedDict):
    """Something of the event log. *kind* is the row of the timeline: ``fault``, ``deploy``, ``scaling``, ``alert``, ``server``, ``proxy``, ``registry``, ``cloud``. *phase*:
    ``at``, ``begins`` or ``ends``; what begins ends with the next mark of its kind and name, or at *until* (ns; NONE: not known). *t* is ns; *tone* is
    ``bad``, ``good`` or ``note``; *nodes* are the ids of those that it is about.
    """

    t: int
    kind: str
    phase: str
    name: str
    text: str
    tone: str
    until: int
    nodes: Sequence[str]


class Frame(TypedDict):
    """Seconds *first* to *first* + *width* * *points* (second n is from n to n + 1 s after the start), *width* seconds a point. *servers* are by number, *edges* by the
    ids of the nodes that they join: ``proxy>server-3``."""

    first: int
    width: int
    points: int
    fleet: Columns
    servers: dict[str, Columns]
    edges: dict[str, Columns]
    marks: Sequence[Mark]


class Node(TypedDict):
    """A part of the fleet. *kind*: ``clients``, ``proxy``, ``app``, ``dependency``, ``registry``, ``autoscaler``, ``cloud``. *rate* (a second), *errors* (a share), *p95_ns* and
    *health* are those of the whole run; None: not known, or not yet. Servers that come later in a live run are added by the scripts.
    """

    id: str
    kind: str
    name: str
    version: str
    rate: float | None
    errors: float | None
    p95_ns: int | None
    health: str
    why: str


class Edge(TypedDict):
    """What goes from one node to another, over the whole run."""

    source: str
    target: str
    rate: float | None
    errors: float | None
    p95_ns: int | None
    health: str
    why: str


class Objective(TypedDict):
    """What health is judged by: *indicator* is one of ``latency_p50``, ``error_rate``, ..., *bound* in ns or a share."""

    name: str
    indicator: str
    below: bool
    bound: float
    text: str


class Document(TypedDict):
    """What ``windtunnelPage.load`` takes. *end*: seconds of the run, of a live one those that are planned. *live*: frames will come. *limits*: what fleet and server have
    at most (``workers``, ``cores``, ``memory`` in bytes, ``max_connections``; NONE: no limit)."""

    format: int
    name: str
    seed: int
    live: bool
    end: int
    objectives: Sequence[Objective]
    limits: dict[str, int]
    states: Sequence[str]
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    frame: Frame


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page: its anchor, its title, and its contents as HTML."""

    anchor: str
    title: str
    inside: str


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page. *verdict* in words, *tone* ``good``, ``bad`` or ``note``; *sections* in their order; *document* for the scripts."""

    title: str
    verdict: str
    tone: str
    sections: tuple[Section, ...]
    document: Document


def server_node(number: int) -> str:
    """The id of a server's node."""
    return f"server-{number}"
