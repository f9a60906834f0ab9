"""The autoscaler in the rehearsal: core.scaling's driver on the timeline, with its deaths, pauses and returns."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..core.lifecycle import READY, State
from ..core.model import AutoscalerSpec
from ..core.order import Kind
from ..core.ports import CloudInstance, Registry, RegistryError
from ..core.records import rows_of
from ..core.scaling import ScalingDriver
from ..core.scaling_decision import NO_LEASE, Decision
from ..core.troubles import REGISTRY_TIMEOUT
from .control import ControlPlane, Process

OWNER = "autoscaler"


class _DiedLaunching(Exception):
    """The process died between a launch and its note of it."""


class Scaling:
    """Implements core.scaling_world.World.

    One beside the fleet's own has a *name* of its own, which its events bear, a *place* behind those before it, its way to the registry, and turns that come *offset* ns later. What it does not decide
    for want of the lease is not recorded, for the holder's decisions are.
    """

    def __init__(
        self, spec: AutoscalerSpec, control: ControlPlane, registry: Registry | None = None,
        name: str = OWNER, place: int = 0, offset: int = 0, alerts: bool = True,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.control = control
        self._registry = registry or control.registry
        self._name = name
        self._place = place
        self._offset = offset
        self._alerts = control.fleet.alerts if alerts else ()
        self._life = 0
        self._down = 0
        self._armed: list[str] = []
        self._pauses = 0
        self._deciding = False
        self._goes_on = control.timeline.env.event()
        self._driver = self._new_driver()

    def _new_driver(self) -> ScalingDriver:
        control = self.control
        return ScalingDriver(
            self.spec, self._registry, control.cloud, self,
            owner=f"{self._name}-{self._life}", launches=control.launches,
            seed=control.fleet.seed, alerts=self._alerts,
        )  # fmt: skip

    def crash(self) -> None:
        """The process dies, with all that it knew."""
        self._down += 1
        self._life += 1
        self._end_pauses()

    def crash_at_launch(self, cause: str) -> None:
        """The process dies at its next launch: the cloud has granted it, and nothing is noted."""
        self._armed.append(cause)

    def restart(self, cause: str = "") -> None:
        """A new process takes over; it has to wait for the old one's lease to run out. It never died of a *cause* that still waits for a launch."""
        if cause in self._armed:
            self._armed.remove(cause)
            return
        self._down -= 1
        if not self._down:
            self._driver = self._new_driver()

    def pause(self, deciding: bool) -> int:
        """The process hangs, *deciding*: in the middle of its next turn; a ticket for its return. Pauses count, and end with the process."""
        if self._down:
            return -1
        self._pauses += 1
        self._deciding = self._deciding or deciding
        return self._life

    def resume(self, ticket: int) -> None:
        """The pause with this ticket is over."""
        if ticket != self._life or self._down:
            return
        if self._pauses == 1:
            self._end_pauses()
        else:
            self._pauses -= 1

    def _end_pauses(self) -> None:
        self._pauses, self._deciding = 0, False
        self._goes_on.succeed()
        self._goes_on = self.control.timeline.env.event()

    def process(self) -> Process:
        """Decide at every interval. A turn counts as its own time, however much later it takes place by the spec's delay, unless the process hung by then."""
        timeline, interval = self.control.timeline, self.spec.interval
        first = self._offset + self.spec.delay
        turn = max((timeline.now() - first) // interval, 0)
        while True:
            turn += 1
            yield timeline.until(turn * interval + first, Kind.AUTOSCALER, self._place)
            late = self.control.troubles.registry_latency
            if 0 < late < REGISTRY_TIMEOUT:
                yield timeline.until(timeline.now() + late, Kind.AUTOSCALER, self._place)
            if self._pauses and not self._deciding:
                yield from self._hang()
            if not self._down:
                yield from self._turn()
            turn = max(turn, (timeline.now() - first) // interval)

    def _turn(self) -> Process:
        driver, control = self._driver, self.control
        now = control.troubles.clock(OWNER, self._time()) if self._name == OWNER else self._time()
        try:
            control.troubles.reach_registry(self._name)
        except RegistryError as error:
            driver.unreachable(now, str(error))
            return
        steps = driver.steps(now)
        next(steps)
        if self._pauses:
            life = self._life
            yield from self._hang()
            if life != self._life:
                return
        with suppress(_DiedLaunching):
            for _ in steps:
                pass

    def _time(self) -> int:
        return self.control.timeline.now() - self.spec.delay

    def _hang(self) -> Process:
        yield self._goes_on
        yield self.control.timeline.until(self.control.timeline.now(), Kind.AUTOSCALER, self._place)

    # The driver's world.

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """See core.scaling_world.World."""
        self.control.emit(name, fields if self._name == OWNER else {**fields, "by": self._name})

    def last_number(self) -> int:
        """See core.scaling_world.World."""
        return max(self.control.instances.by_number, default=0)

    def launched(self, instance: CloudInstance) -> None:
        """See core.scaling_world.World."""
        self.control.boot(self.control.granted(instance))
        if self._armed:
            causes, self._armed = self._armed, []
            for _ in causes:
                self.crash()
            raise _DiedLaunching

    def terminate(self, number: int, provider_id: str, reason: str) -> None:
        """See core.scaling_world.World."""
        self.control.terminate(number, provider_id, reason)

    def promoted(self, number: int) -> None:
        """See core.scaling_world.World."""
        if number == 0:
            return
        instance = self.control.instances.by_number[number]
        if instance.state == State.STANDBY:
            instance.become(State.SERVING)
        self.control.joined(instance)

    def draining(self, number: int) -> None:
        """See core.scaling_world.World."""
        instance = self.control.instances.by_number[number]
        if instance.state in READY:
            instance.become(State.DRAINING)

    def decided(self, now: int, decision: Decision) -> None:
        """See core.scaling_world.World."""
        if self._name == OWNER or decision.reason != NO_LEASE:
            # Whatever its clock shows, the record has the run's time.
            self.control.sink.decided(*rows_of(self._time(), decision, self.spec.dry_run))
