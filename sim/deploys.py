"""Deploys in the rehearsal: core.rollout's driver on the timeline, over the real registry and cloud."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..core.appserver import slowed
from ..core.model import SECOND
from ..core.order import Kind
from ..core.ports import RegistryError
from ..core.rollout.commands import Command, Component, RestartProxy, RestartRegistry
from ..core.rollout.driver import DeployDriver, Present
from ..core.rollout.spec import DeploySpec
from .control import ControlPlane, Process
from .scaling import Scaling
from .updates import Updates

BUILDER = "builder"
"""How the build server is called where it may be cut off."""


class Deploys:
    """The build server of a rehearsal: a process that turns each second. Implements core.rollout.driver.World."""

    def __init__(self, control: ControlPlane, scaling: Scaling | None) -> None:
        fleet = control.fleet
        self.control = control
        self._scaling = scaling
        self._updates = Updates(control)
        self._proxy = Component(fleet.version(0).name, 0)
        self._registry = Component(fleet.version(0).name, 0)
        self._driver = DeployDriver(fleet, control.registry, self)

    def process(self) -> Process:
        """A turn each second, from the first deploy's time on."""
        timeline = self.control.timeline
        turn = -(-min(deploy.at for deploy in self.control.fleet.deploys) // SECOND)
        while True:
            yield timeline.until(turn * SECOND, Kind.DEPLOY)
            # What was under way while it is away is observed, and asked for again, when it is back.
            with suppress(RegistryError):
                self._driver.turn(timeline.now())
            turn += 1

    @property
    def under_way(self) -> bool:
        """Whether a deploy has begun and not ended."""
        return self._driver.under_way

    # The driver's world.

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """See core.rollout.driver.World."""
        self.control.emit(name, fields)

    def present(self) -> Sequence[Present]:
        """See core.rollout.driver.World."""
        return [
            Present(
                one.number, one.address, one.cloud.role, one.state, one.version, one.life, one.up,
                self._updates.answers(one.number),
            )
            for one in self.control.instances.present()
        ]  # fmt: skip

    def release(self, home: str, version: int) -> None:
        """See core.rollout.driver.World."""
        self.control.releases[home] = version

    def reach(self) -> None:
        """See core.rollout.driver.World."""
        self.control.troubles.reach_registry(BUILDER)

    def proxy(self, now: int) -> Component:
        """See core.rollout.driver.World."""
        return self._proxy if not self.control.plane.down else Component(self._proxy.version, -1)

    def registry(self, now: int) -> Component:
        """See core.rollout.driver.World."""
        return self._registry

    def failed(self) -> frozenset[Command]:
        """See core.rollout.driver.World. Here nothing fails for good."""
        return frozenset()

    def drain(self, number: int) -> None:
        """See core.rollout.driver.World."""
        self._updates.drain(number)

    def install(self, number: int, version: int, length: int, boot: int) -> None:
        """See core.rollout.driver.World."""
        self._updates.update(number, version, length + slowed(boot, self.control.troubles.boot_factor))

    def register(self, number: int, role: str) -> None:
        """See core.rollout.driver.World."""
        self._updates.register(number, role)

    def launch(self, role: str, version: int) -> int:
        """See core.rollout.driver.World."""
        return self._updates.launch(role, version, joins=False).number

    def terminate(self, number: int) -> None:
        """See core.rollout.driver.World."""
        self._updates.terminate(number, "deploy")

    def restart_proxy(self, command: RestartProxy, spec: DeploySpec) -> None:
        """See core.rollout.driver.World."""
        now = self.control.timeline.now()
        if command.handover and not self.control.plane.down:
            self._proxy = Component(command.version, now)
            self.emit("proxy_handed_over", {"deploy": spec.name, "version": command.version})
            return
        self.control.replace_proxy(spec.name, spec.install)
        self._proxy = Component(command.version, now + spec.install)

    def restart_registry(self, command: RestartRegistry, spec: DeploySpec) -> None:
        """See core.rollout.driver.World."""
        now = self.control.timeline.now()
        self._registry = Component(command.version, now + spec.install)
        self.emit(
            "registry_restarted", {"deploy": spec.name, "version": command.version, "away": spec.install}
        )
        self.control.timeline.env.process(self._away(now + spec.install))

    def _away(self, until: int) -> Process:
        """The registry answers nobody, and the autoscaler is gone; a new one begins when the registry is back."""
        self.control.troubles.registry_down += 1
        if self._scaling is not None:
            self._scaling.crash()
        yield self.control.timeline.until(until, Kind.DEPLOY, 1)
        self.control.troubles.registry_down -= 1
        if self._scaling is not None:
            self._scaling.restart()
