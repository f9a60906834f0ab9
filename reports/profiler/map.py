"""The map of a fleet in a window of time: who sent how much to whom, how much of it failed, how long it took, and how healthy that is. Times are ns."""

from dataclasses import dataclass

GOOD, WARNING, BAD, IDLE, DOWN, UNKNOWN = "good", "warning", "bad", "idle", "down", "unknown"
HEALTHS = (GOOD, WARNING, BAD, IDLE, DOWN, UNKNOWN)
"""Health of a node or edge. *warning*: beyond 80% of what an objective allows; *bad*: it breaks one; *idle*: nothing went through; *down*: it answers nobody;
*unknown*: what it does is not recorded."""

CLIENTS, PROXY, APP, DEPENDENCY, REGISTRY, AUTOSCALER, CLOUD = (
    "clients",
    "proxy",
    "app",
    "dependency",
    "registry",
    "autoscaler",
    "cloud",
)
KINDS = (CLIENTS, PROXY, APP, DEPENDENCY, REGISTRY, AUTOSCALER, CLOUD)
"""Kinds of nodes, in the order in which a request meets them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the fleet. *id* (``clients``, ``proxy``, ``server-3``, ``dependency-db``, ``registry``, ``autoscaler``, ``cloud``) is what edges name and stays the same from window to
    window. *state* is a server's phase (docs/run-format.md), else ``up`` or ``down``. *rate* is requests (of the control plane: events) a second and is what its size stands for; *errors* the share
    of them that failed, *p95_ns* of those answered as planned: None where nothing is recorded of it. *why* says what *health* comes from. *faults*: those in force on it."""

    id: str
    kind: str
    name: str
    state: str
    rate: float
    errors: float | None
    p95_ns: int | None
    health: str
    why: str = ""
    in_flight: int | None = None
    queued: int | None = None
    version: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """What went from one node (by id) to another. *rate* is attempts a second (of the control plane: exchanges, None if they are not recorded)."""

    source: str
    target: str
    rate: float | None
    errors: float | None
    p95_ns: int | None
    health: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Map:
    """The fleet from *start* to *end* (ns)."""

    start: int
    end: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def node(self, id_: str) -> Node | None:
        """The node called so."""
        return next((node for node in self.nodes if node.id == id_), None)
