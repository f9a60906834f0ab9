"""The simulated world: a plan goes in, events and columns come out."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.events import FORMAT
from ..core.model import FleetSpec
from ..core.ports import Cloud, Sink
from ..core.troubles import Troubles
from ..scenarios.plan import BLOCK, Plan
from ..scenarios.scenario import Scenario
from .control import ControlPlane
from .dataplane import DataPlane
from .deploys import Deploys
from .embedded_cloud import MemoryCloud, Overlay, moto_cloud
from .embedded_redis import virtual_redis
from .faults.schedule import Faults
from .memory_redis import MemoryRedis
from .plane import Plane
from .registry_store import AUTOSCALER, PROXY, RegistryStore, Store
from .scaling import Scaling
from .timeline import Timeline

ENGINES = ("kernel", "simpy")
REGISTRIES = ("fakeredis", "memory")
CLOUDS = ("moto", "memory")

Progress = Callable[[int, int], None]
"""Called each simulated second with (now, end of arrivals) in ns."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a rehearsal ended: its last moment (ns) and the instance time that it cost (ns)."""

    end: int
    instance_ns: int
    generator: Mapping[str, float] = field(default_factory=dict)
    """How late requests were sent: in a rehearsal they never are."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """The backend ``sim``. None of its options changes any result. Raises UsageError for an unknown one."""

    engine: str = "kernel"
    registry: str = "fakeredis"
    cloud: str = "moto"
    flight: Any = None
    """Options of flights; a rehearsal has none of them."""

    def __post_init__(self) -> None:
        for what, value, known in (
            ("an engine", self.engine, ENGINES),
            ("a registry", self.registry, REGISTRIES),
            ("a cloud", self.cloud, CLOUDS),
        ):
            if value not in known:
                raise UsageError(f"expected {what} among {', '.join(known)}, got {value!r}")

    @property
    def prepared(self) -> bool:
        """Whether :meth:`prepare` will take no time."""
        if self.engine != "kernel":
            return True
        from .kernel.compiled import is_compiled

        return is_compiled()

    def prepare(self) -> None:
        """Compile the engine, if it is one that is compiled; plans are drawn faster from then on too."""
        if self.engine == "kernel":
            from .kernel.compiled import prepare

            prepare()

    def check(self, plan: Plan, scenario: Scenario) -> None:
        """Whatever can be planned can be rehearsed."""

    def run(
        self,
        plan: Plan,
        sink: Sink,
        *,
        scenario: Scenario | None = None,
        directory: Path | None = None,
        block: int = BLOCK,
        progress: Progress | None = None,
    ) -> Ended:
        """Run *plan* in virtual time, handing everything that happens to *sink*. *block*: rows of the plan read at once."""
        timeline = Timeline()
        fleet = plan.fleet
        with ExitStack() as stack:
            redis = stack.enter_context(_redis(self.registry, timeline))
            provider = stack.enter_context(_cloud(self.cloud, fleet, timeline))
            stack.enter_context(_few_collections())

            plane = self._plane(plan, timeline, sink, block)
            troubles = Troubles()
            store = RegistryStore(redis, fleet, timeline.now, troubles)
            return conduct(plan, timeline, plane, store, provider, sink, troubles, progress=progress)

    def _plane(self, plan: Plan, timeline: Timeline, sink: Sink, block: int) -> Plane:
        if self.engine == "simpy":
            return DataPlane(plan, timeline, sink, sink.event, block)
        from .kernel.plane import KernelPlane

        return KernelPlane(plan, sink, sink.event, timeline.set_now, block)


def conduct(
    plan: Plan, timeline: Timeline, plane: Plane, store: Store, cloud: Cloud, sink: Sink,
    troubles: Troubles, *, scaling: type[Scaling] = Scaling, progress: Progress | None = None,
) -> Ended:  # fmt: skip
    """Let everything that *plan* says happen to *plane* and what surrounds it. *store*: the registry's; *troubles*: what is out of order, as whoever is handed over here knows it."""
    fleet = plan.fleet
    sink.event(0, "run", {"scenario": fleet.name, "scenario_hash": plan.fingerprint, "seed": fleet.seed,
                          "duration": fleet.duration, "format": FORMAT})  # fmt: skip
    control = ControlPlane(fleet, timeline, plane, store.primary(), cloud, sink, troubles)
    control.lists = store.registry(PROXY)
    if progress is not None:
        control.each_second = lambda now: progress(now, fleet.duration)
    reader = store.registry(AUTOSCALER)
    scaler = None if fleet.autoscaler is None else scaling(fleet.autoscaler, control, reader)
    deploys = Deploys(control, scaler) if fleet.deploys else None
    faults = Faults(control, scaler, store)
    control.begin()
    faults.begin()
    if scaler is not None:
        timeline.env.process(scaler.process())
    if deploys is not None:
        control.deploying = lambda: deploys.under_way
        timeline.env.process(deploys.process())
    plane.begin()
    timeline.run(control.finished, plane.advance)
    plane.end()
    end = timeline.now()
    return Ended(end, control.instances.paid_ns(end))


@contextmanager
def _redis(kind: str, timeline: Timeline) -> Iterator[Any]:
    if kind == "memory":
        yield MemoryRedis(timeline.now)
    else:
        with virtual_redis(timeline.now) as client:
            yield client


@contextmanager
def _cloud(kind: str, fleet: FleetSpec, timeline: Timeline) -> Iterator[Cloud]:
    if kind == "memory":
        yield Overlay(MemoryCloud(timeline.now), timeline.now, fleet.pending)
    else:
        with moto_cloud(fleet.name, timeline.now, fleet.pending) as cloud:
            yield cloud


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage rarely, and only what is made inside, while millions of short-lived objects come and go."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
