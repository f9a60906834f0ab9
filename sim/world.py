"""The simulated world: a plan goes in, events and columns come out."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ..backends.registry import RedisRegistry
from ..core.events import FORMAT
from ..core.ports import Cloud, Sink
from ..scenarios.plan import BLOCK, Plan
from .control import ControlPlane
from .dataplane import DataPlane
from .embedded_cloud import MemoryCloud, moto_cloud
from .embedded_redis import virtual_redis
from .memory_redis import MemoryRedis
from .scaling import Scaling
from .timeline import Timeline

ENGINES = ("simpy",)

Progress = Callable[[int, int], None]
"""Called each simulated second with (now, end of arrivals) in ns."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a rehearsal ended: its last moment (ns) and the instance time that it cost (ns)."""

    end: int
    instance_ns: int


def rehearse(
    plan: Plan,
    sink: Sink,
    *,
    engine: str = "simpy",
    registry: str = "fakeredis",
    cloud: str = "moto",
    block: int = BLOCK,
    progress: Progress | None = None,
) -> Ended:
    """Run *plan* in virtual time, handing everything that happens to *sink*.

    *registry* is ``fakeredis`` or ``memory``, *cloud* ``moto`` or ``memory``; neither they nor *block* (rows of the plan read at
    once) nor *engine* change any result.
    """
    if engine not in ENGINES:
        raise ValueError(f"expected an engine among {', '.join(ENGINES)}, got {engine!r}")
    timeline = Timeline()
    fleet = plan.fleet
    with ExitStack() as stack:
        redis = stack.enter_context(_redis(registry, timeline))
        provider = stack.enter_context(_cloud(cloud, fleet.name, timeline))
        stack.enter_context(_few_collections())

        def emit(name: str, fields: Mapping[str, Any]) -> None:
            sink.event(timeline.now(), name, fields)

        emit("run", {"scenario": fleet.name, "scenario_hash": plan.fingerprint, "seed": fleet.seed,
                     "duration": fleet.duration, "format": FORMAT})  # fmt: skip
        plane = DataPlane(plan, timeline, sink, emit, block)
        control = ControlPlane(fleet, timeline, plane, RedisRegistry(redis, fleet.key_prefix), provider, sink)
        if progress is not None:
            control.each_second = lambda now: progress(now, fleet.duration)
        control.begin()
        if fleet.autoscaler is not None:
            timeline.env.process(Scaling(fleet.autoscaler, control).process())
        plane.begin()
        timeline.env.run(until=control.finished)
        plane.end()
        end = timeline.now()
        return Ended(end, control.instances.paid_ns(end))


@contextmanager
def _redis(kind: str, timeline: Timeline) -> Iterator[Any]:
    if kind == "memory":
        yield MemoryRedis(timeline.now)
    elif kind == "fakeredis":
        with virtual_redis(timeline.now) as client:
            yield client
    else:
        raise ValueError(f"expected fakeredis or memory, got {kind!r}")


@contextmanager
def _cloud(kind: str, fleet: str, timeline: Timeline) -> Iterator[Cloud]:
    if kind == "memory":
        yield MemoryCloud(timeline.now)
    elif kind == "moto":
        with moto_cloud(fleet, timeline.now) as cloud:
            yield cloud
    else:
        raise ValueError(f"expected moto or memory, got {kind!r}")


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage rarely while millions of short-lived objects come and go."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
