"""A second of a fleet as it was observed: by the roles' own words, or by what the registry tells of a server that is no process of ours."""

from collections.abc import Iterable
from typing import Any

from ...core.lifecycle import State
from ...core.model import SECOND, AppSpec
from ...core.ports import Sample
from ...core.records import EVENT_LOOP_LAG, REGISTRY_LATENCY
from .instances import Instance
from .process import Line


def second_of(sample: Sample, app: AppSpec) -> Line:
    """The ``second`` of a server by its last sample; it has the size that *app* says."""
    return {
        "requests": sample.requests,
        "in_flight": sample.in_flight,
        "memory": int(sample.memory * max(app.memory.total, 0)),
        "cpu_ns": int(sample.cpu * app.cores * SECOND),
        "custom": dict(sample.custom),
    }


def metric_rows(time: int, proxy: Line, down: bool, present: Iterable[Instance]) -> list[tuple[int, ...]]:
    """The rows of the second that ends at *time* (ns of the scenario), as core.columns has them: what the *proxy* said of it, and the instances that are *present*."""
    state = State.GONE if down else State.SERVING
    figures = ("requests", "in_flight", "queued", "memory", "cpu_ns")
    rows: list[tuple[int, ...]] = [
        (time, 0, int(state), *(proxy.get(name, 0) for name in (*figures, "connections", "descriptors")))
    ]
    for one in present:
        second = one.second or {}
        rows.append((time, one.number, int(one.state), *(second.get(name, 0) for name in figures), 0, 0))
    return rows


def measurements(time: int, proxy: Line, present: Iterable[Instance]) -> list[tuple[Any, ...]]:
    """What the *proxy* measured of itself in the second that ends at *time* (ns of the scenario), and the custom metrics of the instances that are *present*, as core.records has them."""
    names = ((EVENT_LOOP_LAG, "lag_ns"), (REGISTRY_LATENCY, "registry_ns"))
    rows: list[tuple[Any, ...]] = [
        (time, 0, name, proxy[field] / SECOND) for name, field in names if field in proxy
    ]
    for one in present:
        rows += custom_rows(time, one.number, one.second or {})
    return rows


def custom_rows(time: int, number: int, second: Line) -> list[tuple[Any, ...]]:
    """The custom metrics that server *number* said of a second."""
    return [(time, number, name, float(value)) for name, value in sorted(second.get("custom", {}).items())]
