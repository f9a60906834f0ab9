"""Documents for the page's scripts: of a recorded run, and of a live one that has only begun."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.columns import ATTEMPT_ROW, METRIC_ROW, REQUEST_ROW
from ...core.model import SECOND, FleetSpec
from ...core.outcomes import NAMES
from ..evidence import Evidence
from ..profiler.mapping import Maps
from ..tables import codes
from .frames import Seconds, frame
from .merging import columns_of, merged, width_for
from .model import FORMAT, STATES, Document, Frame, Objective
from .topology import drawn, edges, nodes, with_totals


def recorded(evidence: Evidence) -> Document:
    """That of a run which has ended, also of one that was cut off: all its seconds, fewer points if they are many."""
    fleet, whole = evidence.fleet, whole_frame(evidence)
    base = _document(fleet, evidence.seconds, False)
    base["nodes"], base["edges"] = drawn(Maps(evidence).at(0, evidence.end))
    base["frame"] = whole
    return base


def begun(fleet: FleetSpec) -> Document:
    """That of a live run before its first second: frames follow."""
    empty = Seconds(np.zeros(0, METRIC_ROW), np.zeros(0, REQUEST_ROW), np.zeros(0, ATTEMPT_ROW))
    base = _document(fleet, -(-(fleet.duration + fleet.drain) // SECOND), True)
    base["frame"] = frame(fleet, empty, 0, 0)
    return base


def so_far(evidence: Evidence, seconds: int) -> Document:
    """That of a live run whose first *seconds* are known, or a few less, so that all of its points are of as many: frames follow. The run needs no summary."""
    fleet = evidence.fleet
    events = [event for event in evidence.events if event["t"] < seconds * SECOND]
    rows = Seconds(evidence.metrics, evidence.requests, _attempts(evidence), events, evidence.measured)
    known = frame(fleet, rows, 0, seconds)
    width = width_for(seconds, columns_of(known))
    if width > 1:
        seconds -= seconds % width
        known = merged(frame(fleet, rows, 0, seconds), width)
    servers = sorted(int(number) for number in known["servers"])
    base = begun(fleet)
    base["nodes"] = nodes(fleet, servers, {})
    base["edges"] = with_totals(edges(fleet, servers), known)
    base["frame"] = known
    return base


def whole_frame(evidence: Evidence) -> Frame:
    """All seconds of a run."""
    rows = Seconds(
        evidence.metrics, evidence.requests, _attempts(evidence), evidence.events, evidence.measured
    )
    found = frame(evidence.fleet, rows, 0, evidence.seconds)
    width = width_for(found["points"], columns_of(found))
    return found if width == 1 else merged(found, width)


def _attempts(evidence: Evidence) -> dict[str, Any]:
    found = {name: evidence.attempts(name) for name in ("arrived_ns", "served_ns", "end_ns", "server")}
    found["outcome"] = codes(evidence.run.table("attempts", ("outcome",)), "outcome", NAMES)
    return found


def _document(fleet: FleetSpec, end: int, live: bool) -> Document:
    return Document(
        format=FORMAT, name=fleet.name, seed=fleet.seed, live=live, end=end, objectives=_objectives(fleet),
        limits={
            "workers": fleet.app.workers, "cores": fleet.app.cores, "memory": fleet.app.memory.total,
            "max_connections": fleet.proxy.max_connections,
        },
        states=STATES, nodes=nodes(fleet, (), {}), edges=edges(fleet, ()), frame=_nothing(),
    )  # fmt: skip


def _nothing() -> Frame:
    return Frame(first=0, width=1, points=0, fleet={}, servers={}, edges={}, marks=[])


def _objectives(fleet: FleetSpec) -> Sequence[Objective]:
    return [
        Objective(name=one.name, indicator=one.indicator, below=one.below, bound=one.bound, text=one.text)
        for one in fleet.slos
    ]
