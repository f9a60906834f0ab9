"""Drives the deploys of a fleet, turn by turn, in rehearsal and flight alike.

A turn is what a build server does each second: it looks at the lists, the samples and the instances, lets every deploy under way have its turn, names in the registry
whom they have in hand, and has carried out what they ask for. It lives as long as its world; one that may die and be followed by another keeps its books in the registry (backends/deploy). While it cannot reach the registry it does nothing. What differs between the worlds is a :class:`World`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..draws import BOOT_TIME, draw, key
from ..lifecycle import READY, State
from ..model import FleetSpec
from ..ports import CloudError, Registry, Sample, Servers
from .board import Board
from .commands import (
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
from .rollout import Rollout
from .spec import DeploySpec


@dataclass(frozen=True, slots=True)
class Present:
    """An instance that is not gone. *role*: what it was launched for; *version*: an index; *life*: another number with each process;
    *up*: since when it is (ns, -1: it is not); *answers*: whether it is healthy."""

    number: int
    address: str
    role: str
    state: State
    version: int
    life: int
    up: int
    answers: bool


class World(Protocol):
    """The fleet: what is there, and who carries out what deploys ask for. Versions are indices. Each call may be repeated; all but the first three may raise RegistryError."""

    def emit(self, name: str, fields: Mapping[str, Any]) -> None:
        """Log an event now."""
        ...

    def present(self) -> Sequence[Present]:
        """Instances that are not gone, by number."""
        ...

    def release(self, home: str, version: int) -> None:
        """What others launch for the list *home* gets *version* from now on."""
        ...

    def reach(self) -> None:
        """Raises RegistryError while the build server cannot reach the registry."""
        ...

    def proxy(self, now: int) -> Component:
        """The proxy as it is at the turn of *now* (ns)."""
        ...

    def registry(self, now: int) -> Component:
        """Registry and autoscaler, likewise."""
        ...

    def failed(self) -> frozenset[Command]:
        """What was tried and failed for good since it was asked last."""
        ...

    def drain(self, number: int) -> None:
        """Take a server out of the lists; it ends what it has in flight."""
        ...

    def install(self, number: int, version: int, length: int, boot: int) -> None:
        """End its process, and *length* + *boot* ns after this turn's time have one of *version* up, out of the lists."""
        ...

    def register(self, number: int, role: str) -> None:
        """Put a server that answers into the list of *role*."""
        ...

    def launch(self, role: str, version: int) -> int:
        """Launch an instance that stays out of the lists; its number. Raises CloudError."""
        ...

    def terminate(self, number: int) -> None:
        """End an instance, and take it out of the registry. Raises CloudError."""
        ...

    def restart_proxy(self, command: RestartProxy, spec: DeploySpec) -> None:
        """Start the proxy in another version."""
        ...

    def restart_registry(self, command: RestartRegistry, spec: DeploySpec) -> None:
        """Start registry and autoscaler in another version."""
        ...


class DeployDriver:
    """The deploys of *fleet*, whose scenario began at *zero* (ns of the clock that turns, ups and samples are on)."""

    def __init__(self, fleet: FleetSpec, registry: Registry, world: World, zero: int = 0) -> None:
        self._fleet = fleet
        self._registry = registry
        self._world = world
        self._zero = zero
        self._indices = {version.name: index for index, version in enumerate(fleet.versions)}
        self._board = Board(fleet.version(0).name)
        self._due = list(fleet.deploys)
        self._stream = key(fleet.seed, "install")
        self._homes: dict[int, str] = {}
        self._keys: dict[str, int] = {}
        self._healthy: dict[int, int] = {}
        self._settled = True
        self._there: dict[str, Present] = {}
        self._carriers: dict[type, Callable[[Any, DeploySpec], None]] = {
            Drain: lambda command, spec: world.drain(self._number(command.address)),
            Install: self._install,
            Register: self._register,
            Launch: self._launch,
            Terminate: self._terminate,
            SetWeight: lambda command, spec: registry.set_canary_share(command.share),
            RestartProxy: world.restart_proxy,
            RestartRegistry: world.restart_registry,
        }

    @property
    def under_way(self) -> bool:
        """Whether a deploy has begun and not ended."""
        return bool(self._board.running())

    def turn(self, now: int) -> None:
        """A turn at *now* (ns). Raises RegistryError: what was under way is observed, and asked for again, at a later one."""
        self._world.reach()
        while self._due and self._due[0].at + self._zero <= now:
            spec = self._due.pop(0)
            _, superseded = self._board.push(spec, now)
            for name in superseded:
                self._world.emit("deploy_superseded", {"deploy": name, "by": spec.name})
        running = self._board.running()
        if not running and self._settled:
            return
        self._settled = False
        updating: set[str] = set()
        asked: list[tuple[DeploySpec, Command]] = []
        if running:
            observed = self._observe(now)
            for rollout in running:
                answer = rollout.turn(now, observed)
                self._board.turned(rollout)
                updating.update(answer.updating)
                self._note(rollout, answer)
                asked += [(rollout.spec, command) for command in answer.commands]
        if tuple(sorted(updating)) != self._registry.updating():
            self._registry.set_updating(sorted(updating))
        for spec, command in asked:
            self._world.reach()
            self._carriers[type(command)](command, spec)
        # Only now: a registry that was away has to hear it at a later turn.
        self._settled = not self._board.running()

    def _note(self, rollout: Rollout, answer: Turn) -> None:
        """What comes of a turn but for its commands: its events, and what others launch from now on."""
        for name, fields in answer.events:
            self._world.emit(name, fields)
        for home, version in answer.launches.items():
            self._world.release(home, self._indices[version])

    # Looking.

    def _observe(self, now: int) -> Observed:
        registry, present = self._registry, self._world.present()
        self._there = {one.address: one for one in present}
        listed = _by_address(registry.servers())
        samples = registry.read_samples([one.address for one in present])
        keys = {number: name for name, number in self._keys.items()}
        servers = tuple(
            self._server(
                now, one, listed.get(one.address, ""), samples.get(one.address), keys.get(one.number, "")
            )
            for one in present
        )
        memory = {
            address: (sample.time, sample.memory)
            for address, sample in samples.items()
            if sample.time is not None
        }
        return Observed(
            servers, registry.canary_share(), registry.read_tallies(), memory, self._world.proxy(now),
            self._world.registry(now), self._world.failed(),
        )  # fmt: skip

    def _server(self, now: int, one: Present, listed: str, sample: Sample | None, name: str) -> Server:
        number = one.number
        if one.state in READY:
            self._homes[number] = one.state.word
        home = self._homes.get(number, one.role)
        if one.up < 0 or not one.answers:
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
        version = self._fleet.version(one.version).name
        since = self._healthy.get(number, -1)
        return Server(one.address, home, listed, version, phase, in_flight, since, name, number)

    # Carrying out.

    def _number(self, address: str) -> int:
        return self._there[address].number

    def _install(self, command: Install, spec: DeploySpec) -> None:
        one, version = self._there[command.address], self._indices[command.version]
        boot = self._fleet.app_of(version).boot_time.sample(
            draw(self._stream, one.number, one.life, BOOT_TIME)
        )
        self._world.install(one.number, version, spec.install, boot)

    def _register(self, command: Register, spec: DeploySpec) -> None:
        if self._there[command.address].answers:
            self._world.register(self._number(command.address), command.role)

    def _launch(self, command: Launch, spec: DeploySpec) -> None:
        if command.key in self._keys:
            return
        try:
            self._keys[command.key] = self._world.launch(command.role, self._indices[command.version])
        except CloudError as error:
            self._world.emit("launch_refused", {"code": error.code})

    def _terminate(self, command: Terminate, spec: DeploySpec) -> None:
        number = self._number(command.address)
        try:
            self._world.terminate(number)
        except CloudError as error:
            self._world.emit("terminate_refused", {"server": number, "code": error.code})


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
