"""The fleet's parts and who talks to whom, as nodes and edges of the map, with the figures of the whole run where they are known."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...core.model import FleetSpec
from ..profiler.map import Map
from .model import NONE, Edge, Frame, Node, server_node

Ends = tuple[str, str]

UNKNOWN = "unknown"


def nodes(fleet: FleetSpec, servers: Iterable[int], versions: Mapping[int, str]) -> list[Node]:
    """All parts, without figures. *servers* are those known so far."""
    found = [_node("clients", "clients", "clients"), _node("proxy", "proxy", "proxy")]
    for number in servers:
        found.append(_node(server_node(number), "app", f"server {number}", versions.get(number, "")))
    found += [_node(f"dependency-{one.name}", "dependency", one.name) for one in fleet.dependencies]
    found.append(_node("registry", "registry", "registry"))
    if fleet.autoscaler is not None:
        found += [_node("autoscaler", "autoscaler", "autoscaler"), _node("cloud", "cloud", "cloud")]
    return found


def edges(fleet: FleetSpec, servers: Sequence[int]) -> list[Edge]:
    """Who talks to whom, without figures."""
    called = sorted({call for endpoint in fleet.endpoints for call in endpoint.calls})
    ends: list[Ends] = [("clients", "proxy"), ("proxy", "registry")]
    for number in servers:
        own = server_node(number)
        ends += [("proxy", own), (own, "registry")]
        ends += [(own, f"dependency-{fleet.dependencies[call].name}") for call in called]
    if fleet.autoscaler is not None:
        ends += [("autoscaler", "registry"), ("autoscaler", "cloud")]
    return [Edge(source=a, target=b, rate=None, errors=None, p95_ns=None, health=UNKNOWN, why="") for a, b in ends]  # fmt: skip


def with_totals(found: Sequence[Edge], one: Frame) -> list[Edge]:
    """Edges with rate and share of errors over the whole frame, where it has columns for them. A percentile of all is not to be had from those of seconds."""
    seconds = max(one["points"] * one["width"], 1)
    told = []
    for edge in found:
        columns = one["edges"].get(f"{edge['source']}>{edge['target']}")
        if columns is None:
            told.append(edge)
            continue
        ended, errors = (_sum(columns[name]) for name in ("ended", "errors"))
        share = errors / ended if ended else None
        told.append(Edge(**{**edge, "rate": ended / seconds, "errors": share}))
    return told


def drawn(chart: Map) -> tuple[list[Node], list[Edge]]:
    """The profiler's map of the whole run; from the clients to the proxy it says what the clients got, not each of their attempts, as frames do."""
    found = [
        Node(id=one.id, kind=one.kind, name=one.name, version=one.version, rate=one.rate, errors=one.errors, p95_ns=one.p95_ns, health=one.health, why=one.why)
        for one in chart.nodes
    ]  # fmt: skip
    known = {one.id: one for one in chart.nodes}
    joined = []
    for edge in chart.edges:
        told = known["clients"] if (edge.source, edge.target) == ("clients", "proxy") else edge
        joined.append(
            Edge(source=edge.source, target=edge.target, rate=told.rate, errors=told.errors, p95_ns=told.p95_ns, health=told.health, why=told.why)
        )  # fmt: skip
    return found, joined


def _sum(values: Any) -> int:
    return int(np.where(values == NONE, 0, values).sum())


def _node(id_: str, kind: str, name: str, version: str = "") -> Node:
    return Node(
        id=id_, kind=kind, name=name, version=version, rate=None, errors=None, p95_ns=None, health=UNKNOWN, why=""
    )  # fmt: skip
