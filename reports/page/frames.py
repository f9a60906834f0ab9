"""Frames of rows and events: what the page shows of some consecutive seconds. Live and recorded runs call the same function.

Rows are of the run format (core.columns): structured arrays, or columns by name; states and outcomes are numbers. A request or attempt counts in the second in which it
ended, so that a second is complete as soon as it is over; one that was in flight when the run ended counts in none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.lifecycle import State
from ...core.model import SECOND, FleetSpec
from ...core.outcomes import GOOD, Outcome
from ...core.records import PROXY_MEASURES
from .marks import bounded, marks
from .model import CLASSES, EDGE, FLEET, NONE, OWN, SERVER, Columns, Frame, server_node

MICRO = 1000
KIB = 1024
MOST = 2.0**53
"""What a page can still count."""

_ROOM = 40
"""Bits for a value (us) beside its group in one sortable number: 12 days."""


@dataclass(frozen=True)
class Seconds:
    """What is recorded of some seconds, and perhaps of others. *measured*: measurements (core.records) by name, as times, servers, values."""

    metrics: Any
    requests: Any
    attempts: Any
    events: Sequence[Mapping[str, Any]] = ()
    measured: Mapping[str, tuple[Any, Any, Any]] = field(default_factory=dict)


def frame(fleet: FleetSpec, rows: Seconds, first: int, points: int) -> Frame:
    """The *points* seconds from *first* on. Rows of other seconds are left out; events are all taken, for whoever has them knows which are new."""
    servers, columns = _sampled(fleet, rows.metrics, first, points)
    columns.update(_ended(fleet, rows.requests, first, points))
    columns.update(_measured(rows.measured, servers, first, points))
    names = [spec.name for spec in fleet.dependencies]
    return Frame(
        first=first, width=1, points=points, fleet={name: columns[name] for name in FLEET}, servers=servers,
        edges={"clients>proxy": _clients(columns), **_servers(rows.attempts, first, points)}, marks=bounded(marks(rows.events, names)),
    )  # fmt: skip


def as_json(one: Frame) -> dict[str, Any]:
    """A frame with lists in place of arrays: what is sent to a page that is open."""
    found: dict[str, Any] = {**one, "fleet": _lists(one["fleet"])}
    for name in ("servers", "edges"):
        found[name] = {key: _lists(columns) for key, columns in found[name].items()}
    return found


def _lists(columns: Columns) -> dict[str, list[int]]:
    return {name: np.asarray(values).tolist() for name, values in columns.items()}


def _sampled(
    fleet: FleetSpec, metrics: Any, first: int, points: int
) -> tuple[dict[str, Columns], dict[str, Any]]:
    """Servers by number, and the fleet's columns that are sampled. The second n is sampled at its end."""
    second = metrics["time_ns"] // SECOND - 1 - first
    inside = (second >= 0) & (second < points)
    second, server = second[inside], metrics["server"][inside]
    known = {name: metrics[name][inside] for name in ("state", "requests", "in_flight", "queued", "memory")}
    known["memory"] = _memory(fleet, known["memory"])
    known["cpu"] = metrics["cpu_ns"][inside] * 1000 // (SECOND * max(fleet.app.cores, 1))
    proxy = server == 0
    found = {}
    for name, values in (
        ("arrived", known["requests"]),
        ("in_flight", known["in_flight"]),
        ("queued", known["queued"]),
        ("connections", metrics["connections"][inside]),
    ):
        found[name] = np.full(points, NONE, dtype=np.int64)
        found[name][second[proxy]] = values[proxy]
    for name, states in (
        ("serving", (State.SERVING, State.CANARY)),
        ("booting", (State.PENDING, State.BOOTING)),
    ):
        there = np.isin(known["state"], states) & ~proxy
        found[name] = np.bincount(second[there], minlength=points)
    numbers, place = np.unique(server[~proxy], return_inverse=True)
    shaped = {}
    for name in SERVER:
        shaped[name] = np.full((len(numbers), points), NONE, dtype=np.int64)
        shaped[name][place, second[~proxy]] = known[name][~proxy]
    each = {
        str(number): {name: shaped[name][row] for name in SERVER}
        for row, number in enumerate(numbers.tolist())
    }
    return each, found


def by_name(rows: Sequence[Sequence[Any]]) -> dict[str, tuple[Any, Any, Any]]:
    """Rows of measurements as *measured* of Seconds."""
    names = sorted({row[2] for row in rows})
    chosen = {name: [(row[0], row[1], row[3]) for row in rows if row[2] == name] for name in names}
    return {
        name: (np.array(times), np.array(servers), np.array(values, dtype=np.float64))
        for name, (times, servers, values) in (
            (name, zip(*found, strict=True)) for name, found in chosen.items()
        )
    }


def _measured(
    measured: Mapping[str, tuple[Any, Any, Any]], servers: dict[str, Columns], first: int, points: int
) -> dict[str, Any]:
    """The fleet's columns that the proxy measures; those of servers are added to *servers*."""
    found = {name: np.full(points, NONE, dtype=np.int64) for name in PROXY_MEASURES}
    for name, (times, numbers, values) in measured.items():
        second = times // SECOND - 1 - first
        inside = (second >= 0) & (second < points) & np.isfinite(values)
        scale = 1e6 if name in PROXY_MEASURES else 1e3
        whole = np.rint(np.clip(values[inside] * scale, -MOST, MOST)).astype(np.int64)
        # The least that can be told below nothing is nothing: NONE says that there is no value.
        whole[whole == NONE] = 0
        if name in PROXY_MEASURES:
            found[name][second[inside]] = whole
            continue
        for number in np.unique(numbers[inside]).tolist():
            own = numbers[inside] == number
            column = servers.setdefault(str(number), {}).setdefault(
                OWN + name, np.full(points, NONE, dtype=np.int64)
            )
            column[second[inside][own]] = whole[own]
    return found


def _memory(fleet: FleetSpec, memory: Any) -> Any:
    total = fleet.app.memory.total
    return memory * 1000 // total if total > 0 else memory // KIB


def _ended(fleet: FleetSpec, requests: Any, first: int, points: int) -> dict[str, Any]:
    """The fleet's columns that come from requests."""
    ended = requests["time_ns"] + requests["latency_ns"]
    second = ended // SECOND - first
    outcome = requests["outcome"]
    inside = (second >= 0) & (second < points) & (outcome != Outcome.UNFINISHED)
    second, outcome, status = second[inside], outcome[inside], requests["status"][inside]
    found = {}
    class_ = status // 100
    for number, name in enumerate(CLASSES, 2):
        chosen = class_ == number if name != "none" else (class_ < 2) | (class_ > 5)
        found[f"status_{name}"] = np.bincount(second[chosen], minlength=points)
    found["errors"] = np.bincount(second[~np.isin(outcome, list(GOOD))], minlength=points)
    ordinary = [number for number, source in enumerate(fleet.sources) if source.ordinary]
    answered = (outcome == Outcome.OK) & np.isin(requests["source"][inside], ordinary)
    latency = requests["latency_ns"][inside][answered] // MICRO
    values = grouped_percentiles(second[answered], latency, points, (0.5, 0.95, 0.99))
    return {**found, **dict(zip(("p50", "p95", "p99"), values, strict=True))}


def _clients(columns: Mapping[str, Any]) -> Columns:
    """Clients to proxy: whole requests, so that what a retry mended has not failed."""
    ended = sum(columns[f"status_{name}"] for name in CLASSES)
    return {"ended": ended, "errors": columns["errors"], "p95": columns["p95"]}


def _servers(attempts: Any, first: int, points: int) -> dict[str, Columns]:
    """Proxy to each server: attempts that were last sent there, and the time from the arrival to the leaving of the answer."""
    second = attempts["end_ns"] // SECOND - first
    inside = (second >= 0) & (second < points) & (attempts["outcome"] != Outcome.UNFINISHED)
    inside &= attempts["server"] > 0
    second, outcome, server = second[inside], attempts["outcome"][inside], attempts["server"][inside]
    arrived, served = attempts["arrived_ns"][inside], attempts["served_ns"][inside]
    numbers, place = np.unique(server, return_inverse=True)
    wrong, took = ~np.isin(outcome, list(GOOD)), (served - arrived) // MICRO
    there = (outcome == Outcome.OK) & (arrived >= 0) & (served >= arrived)
    told = _edge(place, second, wrong, there, took, len(numbers), points)
    return {
        f"proxy>{server_node(number)}": {name: values[row] for name, values in told.items()}
        for row, number in enumerate(numbers.tolist())
    }


def _edge(
    row: Any, second: Any, wrong: Any, answered: Any, took: Any, rows: int, points: int
) -> dict[str, Any]:
    """The columns of EDGE, each of (rows, points)."""
    group, groups = row * points + second, rows * points
    values = (
        np.bincount(group, minlength=groups), np.bincount(group[wrong], minlength=groups),
        grouped_percentiles(group[answered], took[answered], groups, (0.95,))[0],
    )  # fmt: skip
    return {name: value.reshape(rows, points) for name, value in zip(EDGE, values, strict=True)}


def grouped_percentiles(group: Any, value: Any, groups: int, shares: Sequence[float]) -> list[Any]:
    """Nearest-rank percentiles of non-negative *value* within each group (0 to *groups* - 1): an array for each of *shares*; NONE where a group is empty."""
    key = (group.astype(np.int64) << _ROOM) | np.clip(value, 0, (1 << _ROOM) - 1)
    key.sort()
    starts = np.searchsorted(key, np.arange(groups + 1, dtype=np.int64) << _ROOM)
    many = np.diff(starts)
    some = many > 0
    found = []
    for share in shares:
        rank = np.maximum(np.ceil(many * share - 1e-9).astype(np.int64), 1)
        values = np.full(groups, NONE, dtype=np.int64)
        values[some] = key[(starts[:-1] + rank - 1)[some]] & ((1 << _ROOM) - 1)
        found.append(values)
    return found
