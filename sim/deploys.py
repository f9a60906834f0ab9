"""Deploys in the rehearsal: core.rollout's engine on the timeline, over the real registry and cloud.

Each second it does what a build server does: it looks at the lists, the samples and the instances, lets every deploy under way have its turn, keeps their state in the
registry, and carries out what they ask for. While it cannot reach the registry it does nothing.
"""

from collections.abc import Callable
from typing import Any

from ..core.appserver import slowed
from ..core.draws import BOOT_TIME, draw, key
from ..core.lifecycle import READY, State
from ..core.model import SECOND
from ..core.order import Kind
from ..core.ports import CloudError, RegistryError, Sample, Servers
from ..core.rollout.board import Board
from ..core.rollout.commands import (
    BOOTING,
    FAILED,
    UP,
    UPDATING,
    Command,
    Component,
    Drain,
    Install,
    Launch,
    Observed,
    Register,
    RestartProxy,
    RestartRegistry,
    Server,
    SetWeight,
    Terminate,
    Turn,
)
from ..core.rollout.rollout import Rollout
from ..core.rollout.spec import DeploySpec
from .control import ControlPlane, Process
from .instances import Instance
from .scaling import Scaling
from .updates import Updates

BUILDER = "builder"
"""How the build server is called where it may be cut off."""


class Deploys:
    """The build server of a rehearsal: a process that turns each second."""

    def __init__(self, control: ControlPlane, scaling: Scaling | None) -> None:
        fleet = control.fleet
        self.control = control
        self._scaling = scaling
        self._updates = Updates(control)
        self._indices = {version.name: index for index, version in enumerate(fleet.versions)}
        self._board = Board(fleet.version(0).name)
        self._due = list(fleet.deploys)
        self._stream = key(fleet.seed, "install")
        self._homes: dict[int, str] = {}
        self._keys: dict[str, int] = {}
        self._healthy: dict[int, int] = {}
        self._saved: dict[str, str] = {}
        self._proxy = Component(fleet.version(0).name, 0)
        self._registry = Component(fleet.version(0).name, 0)
        self._carriers: dict[type, Callable[[Any, DeploySpec], None]] = {
            Drain: self._drain,
            Install: self._install,
            Register: self._register,
            Launch: self._launch,
            Terminate: self._terminate,
            SetWeight: self._set_weight,
            RestartProxy: self._restart_proxy,
            RestartRegistry: self._restart_registry,
        }

    def process(self) -> Process:
        """A turn each second, from the first deploy's time on."""
        timeline = self.control.timeline
        turn = -(-min(deploy.at for deploy in self._due) // SECOND)
        while True:
            yield timeline.until(turn * SECOND, Kind.DEPLOY)
            try:
                self.control.troubles.reach_registry(BUILDER)
                self._turn(timeline.now())
            except RegistryError:
                # What was under way is observed, and asked for again, when it is back.
                pass
            turn += 1

    def _turn(self, now: int) -> None:
        while self._due and self._due[0].at <= now:
            spec = self._due.pop(0)
            _, superseded = self._board.push(spec, now)
            for name in superseded:
                self.control.emit("deploy_superseded", {"deploy": name, "by": spec.name})
        running = self._board.running()
        if not running and not self._saved:
            return
        updating: set[str] = set()
        asked: list[tuple[DeploySpec, Command]] = []
        for rollout in running:
            answer = rollout.turn(now, self._observe(now))
            self._board.turned(rollout)
            updating.update(answer.updating)
            self._note(rollout, answer)
            asked += [(rollout.spec, command) for command in answer.commands]
        if tuple(sorted(updating)) != self.control.registry.updating():
            self.control.registry.set_updating(sorted(updating))
        for spec, command in asked:
            self.control.troubles.reach_registry(BUILDER)
            self._carriers[type(command)](command, spec)
        if not self._board.running():
            self._saved.clear()

    def _note(self, rollout: Rollout, answer: Turn) -> None:
        """What is known before anything is carried out: the deploy's state, its events, and what others launch from now on."""
        text, role = rollout.save(), rollout.spec.role
        if self._saved.get(role) != text:
            self.control.registry.save_rollout(role, text)
            self._saved[role] = text
        for name, fields in answer.events:
            self.control.emit(name, fields)
        for home, version in answer.launches.items():
            self.control.releases[home] = self._indices[version]

    # Looking.

    def _observe(self, now: int) -> Observed:
        registry, instances = self.control.registry, self.control.instances.present()
        listed = _by_address(registry.servers())
        samples = registry.read_samples([one.address for one in instances])
        keys = {number: name for name, number in self._keys.items()}
        servers = tuple(
            self._server(
                now, one, listed.get(one.address, ""), samples.get(one.address), keys.get(one.number, "")
            )
            for one in instances
        )
        memory = {
            address: (sample.time, sample.memory)
            for address, sample in samples.items()
            if sample.time is not None
        }
        down = self.control.plane.down
        proxy = self._proxy if not down else Component(self._proxy.version, -1)
        return Observed(
            servers, registry.canary_share(), registry.read_tallies(), memory, proxy, self._registry
        )

    def _server(self, now: int, one: Instance, listed: str, sample: Sample | None, name: str) -> Server:
        number = one.number
        if one.state in READY:
            self._homes[number] = one.state.word
        home = self._homes.get(number, one.cloud.role)
        if one.up < 0 or not self._updates.answers(number):
            self._healthy.pop(number, None)
        else:
            # A process that was exchanged between two looks is another one.
            self._healthy[number] = max(self._healthy.get(number, now), one.up)
        phase = UP if one.up >= 0 else BOOTING
        if one.state == State.FAILED:
            phase = FAILED
        elif one.state == State.UPDATING and one.up < 0:
            phase = UPDATING
        in_flight = -1 if sample is None else sample.in_flight
        version = self.control.fleet.version(one.version).name
        since = self._healthy.get(number, -1)
        return Server(one.address, home, listed, version, phase, in_flight, since, name, number)

    # Carrying out.

    def _number(self, address: str) -> int:
        return self.control.instances.at(address).number

    def _drain(self, command: Drain, spec: DeploySpec) -> None:
        self._updates.drain(self._number(command.address))

    def _install(self, command: Install, spec: DeploySpec) -> None:
        instance = self.control.instances.at(command.address)
        version = self._indices[command.version]
        bits = draw(self._stream, instance.number, instance.life, BOOT_TIME)
        boot = self.control.fleet.app_of(version).boot_time.sample(bits)
        length = spec.install + slowed(boot, self.control.troubles.boot_factor)
        self._updates.update(instance.number, version, length)

    def _register(self, command: Register, spec: DeploySpec) -> None:
        number = self._number(command.address)
        if self._updates.answers(number):
            self._updates.register(number, command.role)

    def _launch(self, command: Launch, spec: DeploySpec) -> None:
        if command.key in self._keys:
            return
        try:
            made = self._updates.launch(command.role, self._indices[command.version], joins=False)
        except CloudError as error:
            self.control.emit("launch_refused", {"code": error.code})
            return
        self._keys[command.key] = made.number

    def _terminate(self, command: Terminate, spec: DeploySpec) -> None:
        number = self._number(command.address)
        try:
            self._updates.terminate(number, "deploy")
        except CloudError as error:
            self.control.emit("terminate_refused", {"server": number, "code": error.code})

    def _set_weight(self, command: SetWeight, spec: DeploySpec) -> None:
        self.control.registry.set_canary_share(command.share)

    def _restart_proxy(self, command: RestartProxy, spec: DeploySpec) -> None:
        now = self.control.timeline.now()
        if command.handover and not self.control.plane.down:
            self._proxy = Component(command.version, now)
            self.control.emit("proxy_handed_over", {"deploy": spec.name, "version": command.version})
            return
        self.control.replace_proxy(spec.name, spec.install)
        self._proxy = Component(command.version, now + spec.install)

    def _restart_registry(self, command: RestartRegistry, spec: DeploySpec) -> None:
        now = self.control.timeline.now()
        self._registry = Component(command.version, now + spec.install)
        self.control.emit(
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


def _by_address(servers: Servers) -> dict[str, str]:
    """The list in which each address stands."""
    return {
        address: role
        for role, found in (
            ("serving", servers.serving),
            ("canary", servers.canary),
            ("standby", servers.standby),
        )
        for address in found
    }
