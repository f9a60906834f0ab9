"""A second of a fleet as it was observed: by the roles' own words, or by what the registry tells of a server that is no process of ours."""

from collections.abc import Iterable

from ...core.lifecycle import State
from ...core.model import SECOND, AppSpec
from ...core.ports import Sample
from .instances import Instance
from .process import Line


def second_of(sample: Sample, app: AppSpec) -> Line:
    """The ``second`` of a server by its last sample; it has the size that *app* says."""
    return {
        "requests": sample.requests,
        "in_flight": sample.in_flight,
        "memory": int(sample.memory * max(app.memory.total, 0)),
        "cpu_ns": int(sample.cpu * app.cores * SECOND),
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
