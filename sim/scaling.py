"""The autoscaler in the rehearsal: core.scaling's driver on the timeline, with its deaths and returns."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..core.lifecycle import READY, State
from ..core.model import AutoscalerSpec
from ..core.order import Kind
from ..core.ports import CloudInstance, RegistryError
from ..core.records import rows_of
from ..core.scaling import ScalingDriver
from ..core.scaling_decision import Decision
from .control import ControlPlane, Process
from .troubles import REGISTRY_TIMEOUT

OWNER = "autoscaler"


class _DiedLaunching(Exception):
    """The process died between a launch and its note of it."""


class Scaling:
    """Implements core.scaling_world.World."""

    def __init__(self, spec: AutoscalerSpec, control: ControlPlane) -> None:
        self.spec = spec
        self.control = control
        self._crashes = 0
        self._down = 0
        self._armed: list[str] = []
        self._driver = self._new_driver()

    def _new_driver(self) -> ScalingDriver:
        control = self.control
        return ScalingDriver(
            self.spec, control.registry, control.cloud, self,
            owner=f"{OWNER}-{self._crashes}", launches=control.launches,
            seed=control.fleet.seed, alerts=control.fleet.alerts,
        )  # fmt: skip

    def crash(self) -> None:
        """The process dies, with all that it knew."""
        self._down += 1

    def crash_at_launch(self, cause: str) -> None:
        """The process dies at its next launch: the cloud has granted it, and nothing is noted."""
        self._armed.append(cause)

    def restart(self, cause: str = "") -> None:
        """A new process takes over; it has to wait for the old one's lease to run out. It never died of a *cause* that still waits for a launch."""
        if cause in self._armed:
            self._armed.remove(cause)
            return
        self._down -= 1
        if self._down:
            return
        self._crashes += 1
        self._driver = self._new_driver()

    def process(self) -> Process:
        """Decide at every interval. A turn counts as its own time, however much later it takes place by the spec's delay."""
        timeline, interval, delay = self.control.timeline, self.spec.interval, self.spec.delay
        turn = 0
        while True:
            turn += 1
            yield timeline.until(turn * interval + delay, Kind.AUTOSCALER)
            late = self.control.troubles.registry_latency
            if 0 < late < REGISTRY_TIMEOUT:
                yield timeline.until(timeline.now() + late, Kind.AUTOSCALER)
                turn = (timeline.now() - delay) // interval
            if self._down:
                continue
            now = timeline.now() - delay
            try:
                self.control.troubles.reach_registry(OWNER)
            except RegistryError as error:
                self._driver.unreachable(now, str(error))
            else:
                with suppress(_DiedLaunching):
                    self._driver.turn(now)

    # The driver's world.

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """See core.scaling_world.World."""
        self.control.emit(name, fields)

    def last_number(self) -> int:
        """See core.scaling_world.World."""
        return max(self.control.instances.by_number, default=0)

    def launched(self, instance: CloudInstance) -> None:
        """See core.scaling_world.World."""
        self.control.boot(self.control.granted(instance))
        if self._armed:
            self._down += len(self._armed)
            self._armed = []
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
        self.control.sink.decided(*rows_of(now, decision, self.spec.dry_run))
