"""An experiment: a plan rehearsed for its trace alone, as fast as it goes.

The same control plane and the same data plane as in any rehearsal, around a registry of plain objects and the twin of the cloud; events stay what they are,
rows stay arrays, and nobody writes down why the autoscaler decided what it did. With a sink that keeps everything the digest is that of a replay (a test).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.columns import ATTEMPT_ROW, METRIC_ROW, REQUEST_ROW, Rows
from ..core.invariants import Trace
from ..core.ports import Sink
from ..core.scaling_decision import Decision
from ..core.troubles import Troubles
from ..scenarios.plan import Plan
from .direct_registry import DirectStore
from .embedded_cloud import MemoryCloud, Overlay
from .kernel.plane import KernelPlane
from .memory_redis import MemoryRedis
from .registry_store import RegistryStore, Store, troubled
from .scaling import Scaling
from .timeline import Timeline
from .world import Ended, conduct

_WINDOW = 8192
"""Rows between the first request that is not finished and the next one: most experiments are short, and memory that is only cleared costs time."""


class TraceSink:
    """Implements core.ports.Sink: keeps events and rows as they come, and no records of decisions."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._requests: list[Rows] = []
        self._attempts: list[Rows] = []
        self._metrics: list[tuple[int, ...]] = []

    def event(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        """See core.ports.Sink. Lists in an event may be added to later."""
        told = {key: list(value) if isinstance(value, list) else value for key, value in fields.items()}
        self._events.append({"t": time, "event": name, **told})

    def rows(self, requests: Rows, attempts: Rows) -> None:
        """See core.ports.Sink."""
        self._requests.append(requests)
        self._attempts.append(attempts)

    def due(self) -> bool:
        """See core.ports.Sink."""
        return False

    def metrics(self, rows: Sequence[tuple[int, ...]]) -> None:
        """See core.ports.Sink."""
        self._metrics.extend(rows)

    def decided(self, decision: Sequence[Any], observations: Sequence[Sequence[Any]]) -> None:
        """See core.ports.Sink."""

    def trace(self, plan: Plan, end: int) -> Trace:
        """What was kept; the sink is empty afterwards."""
        made = Trace(
            plan.fleet,
            self._events,
            _whole(self._requests, REQUEST_ROW),
            _whole(self._attempts, ATTEMPT_ROW),
            np.array(self._metrics, dtype=METRIC_ROW),
            end,
        )
        # The planes of a process lie in cycles, which would keep all of it until the next collection.
        self._events, self._requests, self._attempts, self._metrics = [], [], [], []
        return made


def _whole(parts: list[Rows], dtype: Any) -> Rows:
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    return np.concatenate(filled) if filled else np.zeros(0, dtype)


class _Silent(Scaling):
    """The autoscaler, of whose decisions no record is made."""

    def decided(self, now: int, decision: Decision) -> None:
        """See core.scaling_world.World."""


def rehearse(plan: Plan, sink: Sink) -> Ended:
    """Rehearse *plan* into *sink*, without records of decisions. The kernel must be prepared."""
    timeline = Timeline()
    now = timeline.now
    troubles = Troubles()
    store: Store = DirectStore(now)
    if troubled(plan.fleet):
        store = RegistryStore(MemoryRedis(now), plan.fleet, now, troubles)
    plane = KernelPlane(plan, sink, sink.event, timeline.set_now, window=_WINDOW)
    cloud = Overlay(MemoryCloud(timeline.now), timeline.now, plan.fleet.pending)
    return conduct(plan, timeline, plane, store, cloud, sink, troubles, scaling=_Silent)


def tried(plan: Plan) -> Trace:
    """The trace of *plan*."""
    sink = TraceSink()
    return sink.trace(plan, rehearse(plan, sink).end)
