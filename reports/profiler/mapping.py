"""Maps of a recorded run, for any window of its time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...core.lifecycle import State
from ...core.model import SECOND, SloSpec
from ...core.outcomes import GOOD as GOOD_OUTCOMES
from ...core.outcomes import NAMES, Outcome
from ..evidence import Evidence
from ..tables import STATES, codes
from ..trace.control import opened
from ..trace.traces import Versions
from .health import health, objectives, p95
from .map import (
    APP,
    AUTOSCALER,
    BAD,
    CLIENTS,
    CLOUD,
    DEPENDENCY,
    DOWN,
    GOOD,
    IDLE,
    PROXY,
    REGISTRY,
    UNKNOWN,
    WARNING,
    Edge,
    Map,
    Node,
)
from .suspects import CLIENT_SIDE, SERVER_SIDE, Suspect, suspects

UP, GONE = "up", STATES[State.GONE]
_AT_SERVER = (Outcome.APP_ERROR, Outcome.QUEUE_FULL, Outcome.CONNECT_FAILED, Outcome.UPSTREAM_RESET, Outcome.UPSTREAM_TIMEOUT)  # fmt: skip
"""Outcomes that are errors of the server, or of the way to it."""
_CLOUD_EVENTS = ("launched", "terminated", "launch_refused", "terminate_refused", "list_refused", "promoted")


@dataclass(frozen=True)
class _Slice:
    """Columns of the attempts that ended in a window, and its length in s."""

    columns: Mapping[str, Any]
    seconds: float

    def of(self, chosen: Any) -> "_Slice":
        """Some of them."""
        return _Slice({name: column[chosen] for name, column in self.columns.items()}, self.seconds)

    def at_server(self, server: int) -> "_Slice":
        """Those that were last sent to this server."""
        order, numbers = self._by_server
        low, high = np.searchsorted(numbers, np.array((server, server + 1), dtype=numbers.dtype))
        return self.of(order[low:high])

    @cached_property
    def _by_server(self) -> tuple[Any, Any]:
        """The rows in order of their servers, and these: a fleet of hundreds is not looked through for each of them."""
        order = np.argsort(self["server"], kind="stable")
        return order, self["server"][order]

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    @property
    def rate(self) -> float:
        """How many a second."""
        return len(self["outcome"]) / self.seconds


class Maps:
    """Draws the maps of one run; what is needed of it is read once. Attempts count where they ended."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._fleet = evidence.fleet
        self._suspects = suspects(evidence.fleet, evidence.events, evidence.end)
        self._versions = Versions(evidence.events)
        self._spans = list(opened(evidence.events, evidence.end))

    @cached_property
    def _attempts(self) -> dict[str, Any]:
        """Columns of all attempts by the time at which they ended."""
        evidence = self._evidence
        end = evidence.attempts("end_ns").astype(np.int64)
        names = ("start_ns", "proxy_ns", "arrived_ns", "cpu_done_ns", "served_ns", "server", "request")
        found = {name.removesuffix("_ns"): evidence.attempts(name) for name in names}
        outcome = self._outcomes()
        end = np.where(end < 0, evidence.end, end)
        order = np.argsort(end, kind="stable")
        requests = evidence.requests
        place = np.searchsorted(requests["request"], found.pop("request"))
        endpoint = requests["endpoint"][place.clip(max=max(len(requests["endpoint"]) - 1, 0))]
        return {name: column[order] for name, column in {**found, "end": end, "outcome": outcome, "endpoint": endpoint}.items()}  # fmt: skip

    def _outcomes(self) -> Any:
        return codes(self._evidence.run.table("attempts", ("outcome",)), "outcome", NAMES)

    def at(self, start: int, end: int) -> Map:
        """The map of [start, end) ns."""
        end = max(end, start + 1)
        whole = self._attempts
        low, high = np.searchsorted(whole["end"], (start, end), "left")
        seen = _Slice({name: column[low:high] for name, column in whole.items()}, (end - start) / SECOND)
        slos = objectives(self._fleet, start, end)
        nodes: list[Node] = []
        edges: list[Edge] = []
        for node, edge in self._parts(seen, slos, start, end):
            nodes += [node] if node else []
            edges += [edge] if edge else []
        known = {node.id for node in nodes}
        return Map(
            start, end, tuple(nodes), tuple(edge for edge in edges if {edge.source, edge.target} <= known)
        )

    def seconds(self, width: int = SECOND) -> Iterator[Map]:
        """The maps of the run, *width* ns each."""
        for start in range(0, max(self._evidence.end, 1), width):
            yield self.at(start, start + width)

    def _parts(
        self, seen: _Slice, slos: list[SloSpec], start: int, end: int
    ) -> Iterator[tuple[Node | None, Edge | None]]:
        yield self._clients(slos, start, end), self._to_proxy(seen, slos)
        yield self._proxy(seen, slos, start, end), None
        for server, state in self._servers(seen, start, end):
            yield from self._server(seen, slos, server, state, start, end)
        for number in range(len(self._fleet.dependencies)):
            yield from self._dependency(seen, number, start, end)
        yield from self._control(start, end)

    def _faults(self, start: int, end: int, about: str, server: int = 0) -> tuple[str, ...]:
        """Names of the faults in force in the window on a kind of node, or on this server."""
        return tuple(
            one.name
            for one in self._suspects
            if one.origin.kind == "fault"
            and one.start < end
            and one.end >= start
            and (one.on(server) if server else _about(one, about))
        )

    # Clients and proxy.

    def _clients(self, slos: list[SloSpec], start: int, end: int) -> Node:
        requests = self._evidence.requests
        done = self._done
        low, high = np.searchsorted(done[0], (start, end), "left")
        rows = done[1][low:high]
        outcome, latency = requests["outcome"][rows], requests["latency_ns"][rows]
        bad = ~np.isin(outcome, list(GOOD_OUTCOMES))
        grade, why = health(slos, latency, outcome, bad)
        rate = len(rows) / ((end - start) / SECOND)
        return Node(CLIENTS, CLIENTS, CLIENTS, UP, rate, _share(bad), p95(latency[~bad]), grade, why)

    @cached_property
    def _done(self) -> tuple[Any, Any]:
        """When each request had its outcome, in order, and its row."""
        requests = self._evidence.requests
        ended = requests["time_ns"] + requests["latency_ns"]
        order = np.argsort(ended, kind="stable")
        return ended[order], order

    def _to_proxy(self, seen: _Slice, slos: list[SloSpec]) -> Edge:
        bad = ~np.isin(seen["outcome"], list(GOOD_OUTCOMES))
        took = seen["end"] - seen["start"]
        grade, why = health(slos, took, seen["outcome"], bad)
        return Edge(CLIENTS, PROXY, seen.rate, _share(bad), p95(took[~bad]), grade, why)

    def _proxy(self, seen: _Slice, slos: list[SloSpec], start: int, end: int) -> Node:
        came = seen.of(seen["proxy"] >= 0)
        bad = ~np.isin(came["outcome"], list(GOOD_OUTCOMES))
        took = came["end"] - came["proxy"]
        grade, why = health(slos, took, came["outcome"], bad)
        sample = self._sample(0, end)
        state = UP
        for span in self._open("proxy_down", start, end):
            state, grade, why = DOWN, DOWN, f"it was down ({span.get('cause')})"
        faults = self._faults(start, end, PROXY)
        return Node(PROXY, PROXY, PROXY, state, came.rate, _share(bad), p95(took[~bad]), grade, why, sample.get("in_flight"), sample.get("queued"), "", faults)  # fmt: skip

    def _sample(self, server: int, end: int) -> dict[str, int]:
        """The last row of the metrics of a server before *end*."""
        metrics = self._evidence.metrics
        high = int(np.searchsorted(metrics["time_ns"], end + SECOND - 1, "right"))
        low = int(np.searchsorted(metrics["time_ns"], end - SECOND, "left"))
        rows = low + np.flatnonzero(metrics["server"][low:high] == server)
        if not len(rows):
            return {}
        return {name: int(metrics[name][rows[-1]]) for name in ("in_flight", "queued", "state")}

    def _open(self, event: str, start: int, end: int) -> Iterator[Mapping[str, Any]]:
        """Events of this kind whose span touches the window."""
        for pair, begun, stop, _ in self._spans:
            if pair.opens == event and begun["t"] < end and stop > start:
                yield begun

    # Servers and what they call.

    def _servers(self, seen: _Slice, start: int, end: int) -> Iterator[tuple[int, str]]:
        """(number, state at the end of the window) of every server that there was in it, or that was still asked."""
        asked = set(np.unique(seen["server"][seen["server"] > 0]).tolist())
        for life in self._evidence.lives:
            phases = [name for name, begun, over in life.phases if begun < end and over > start]
            if phases:
                yield life.server, GONE if start < life.gone < end else phases[-1]
            elif life.server in asked:
                yield life.server, GONE if 0 <= life.gone <= start else UNKNOWN
            asked.discard(life.server)
        for server in sorted(asked):
            yield server, UNKNOWN

    def _server(
        self, seen: _Slice, slos: list[SloSpec], server: int, state: str, start: int, end: int
    ) -> Iterator[tuple[Node | None, Edge | None]]:
        name = f"server-{server}"
        sent = seen.at_server(server)
        lost = np.isin(sent["outcome"], _AT_SERVER)
        there = sent.of(sent["arrived"] >= 0)
        bad = np.isin(there["outcome"], _AT_SERVER)
        took = np.where(there["served"] >= 0, there["served"], there["end"]) - there["arrived"]
        grade, why = health(slos, took, there["outcome"], bad)
        if state in ("failed", "updating") or (state in (GONE, UNKNOWN) and lost.any() and not len(there["outcome"])):  # fmt: skip
            grade, why = DOWN, f"it is {state}" if state != UNKNOWN else "nobody answers there"
        elif state in ("pending", "booting", "standby") and grade == IDLE:
            why = f"it is {state}"
        sample = self._sample(server, end)
        faults = self._faults(start, end, APP, server)
        version = self._versions(server, end)
        good = ~bad
        yield Node(name, APP, f"server {server}", state, there.rate, _share(bad), p95(took[good]), grade, why, sample.get("in_flight"), sample.get("queued"), version, faults), None  # fmt: skip
        way = np.where(sent["served"] >= 0, sent["served"], sent["end"]) - sent["proxy"]
        edge_grade, edge_why = health(slos, way, sent["outcome"], lost)
        yield None, Edge(PROXY, name, sent.rate, _share(lost), p95(way[~lost]), edge_grade, edge_why)
        if state not in ("pending", GONE):
            yield None, Edge(name, REGISTRY, None, None, None, self._registry_health(start, end)[0])
        for number, dependency in enumerate(self._fleet.dependencies):
            calls = self._calls(there, number)
            if calls.rate > 0:
                failed = calls["outcome"] == Outcome.APP_ERROR
                yield None, Edge(name, f"dependency-{dependency.name}", calls.rate, _share(failed), self._waited(calls, number), _plain(failed))  # fmt: skip

    def _calls(self, seen: _Slice, number: int) -> _Slice:
        """What got as far as to call the dependency."""
        calling = [n for n, endpoint in enumerate(self._fleet.endpoints) if number in endpoint.calls]
        return seen.of(np.isin(seen["endpoint"], calling) & (seen["cpu_done"] >= 0))

    def _waited(self, calls: _Slice, number: int) -> int | None:
        """p95 of the calls, where io of the endpoint's own or another call is not in it: calls are not recorded singly."""
        alone = [n for n, one in enumerate(self._fleet.endpoints) if one.calls == (number,) and one.io is None]  # fmt: skip
        chosen = np.isin(calls["endpoint"], alone) & (calls["served"] >= 0)
        return p95((calls["served"] - calls["cpu_done"])[chosen])

    def _dependency(
        self, seen: _Slice, number: int, start: int, end: int
    ) -> Iterator[tuple[Node | None, Edge | None]]:
        spec = self._fleet.dependencies[number]
        calls = self._calls(seen, number)
        failed = calls["outcome"] == Outcome.APP_ERROR
        faults = tuple(
            one.name for one in self._suspects if one.role == "dependency" and one.start < end and one.end >= start
            and (one.spec is None or one.spec.dependency in (-1, number))
        )  # fmt: skip
        down = [one.name for one in self._suspects if one.name in faults and one.type == "dependency_down"]
        grade = DOWN if down else _plain(failed) if calls.rate else IDLE
        why = f"fault {down[0]}" if down else ""
        yield Node(f"dependency-{spec.name}", DEPENDENCY, spec.name, DOWN if down else UP, calls.rate, _share(failed), self._waited(calls, number), grade, why, faults=faults), None  # fmt: skip

    # The control plane.

    def _registry_health(self, start: int, end: int) -> tuple[str, str]:
        for span in self._open("registry_unreachable", start, end):
            return DOWN, f"unreachable ({span.get('error')})"
        return GOOD, ""

    def _control(self, start: int, end: int) -> Iterator[tuple[Node | None, Edge | None]]:
        grade, why = self._registry_health(start, end)
        faults = self._faults(start, end, REGISTRY)
        state = DOWN if grade == DOWN else UP
        yield Node(REGISTRY, REGISTRY, "registry", state, 0.0, None, None, grade, why, faults=faults), None
        yield None, Edge(PROXY, REGISTRY, None, None, None, grade, why)
        if self._fleet.autoscaler is None:
            return
        seconds = (end - start) / SECOND
        turns = self._turns
        low, high = np.searchsorted(turns[0], (start, end), "left")
        failed = turns[1][low:high]
        interval = self._fleet.autoscaler.interval
        missing = end - start >= 2 * interval and not len(failed) and len(turns[0])
        health_ = DOWN if missing else BAD if failed.any() else GOOD
        said = "no turn took place" if missing else f"{int(failed.sum())} of {len(failed)} turns could not decide" if failed.any() else ""  # fmt: skip
        yield Node(AUTOSCALER, AUTOSCALER, "autoscaler", DOWN if missing else UP, len(failed) / seconds, _share(failed), None, health_, said, faults=self._faults(start, end, AUTOSCALER)), None  # fmt: skip
        yield None, Edge(AUTOSCALER, REGISTRY, len(failed) / seconds, _share(failed), None, grade, why)
        asked = [e for e in self._evidence.events if e["event"] in _CLOUD_EVENTS and start <= e["t"] < end]
        refused = np.array([e["event"].endswith("_refused") for e in asked], dtype=bool)
        cloud = BAD if refused.any() else GOOD if len(asked) else IDLE
        codes_ = sorted({str(e.get("code")) for e in asked if e["event"].endswith("_refused")})
        rate = len(asked) / seconds
        yield Node(CLOUD, CLOUD, "cloud", UP, rate, _share(refused), None, cloud, ", ".join(codes_), faults=self._faults(start, end, CLOUD)), None  # fmt: skip
        yield None, Edge(AUTOSCALER, CLOUD, rate, _share(refused), None, cloud, ", ".join(codes_))

    @cached_property
    def _turns(self) -> tuple[Any, Any]:
        """When turns took place, and which could not decide."""
        try:
            table = self._evidence.run.table("decisions", ("time_ns", "desired"))
        except FileNotFoundError:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
        return table.column("time_ns").to_numpy(), table.column("desired").to_numpy() < 0


def _about(one: Suspect, kind: str) -> bool:
    if kind == PROXY:
        return one.role == "proxy" or one.link == CLIENT_SIDE
    return one.role == kind and one.link != SERVER_SIDE


def _share(bad: Any) -> float | None:
    return float(np.mean(bad)) if len(bad) else None


def _plain(failed: Any) -> str:
    """Health of what no objective is about."""
    errors = _share(failed)
    return IDLE if errors is None else GOOD if errors == 0 else WARNING if errors < 0.01 else BAD
