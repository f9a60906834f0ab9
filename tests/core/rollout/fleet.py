"""A fleet in memory for tests of the rollout engine: servers that boot, drain, fail; a driver that may die after any command."""

from dataclasses import dataclass, field

from windtunnel.core.rollout.books import read_books
from windtunnel.core.rollout.commands import (
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
)
from windtunnel.core.rollout.rollout import Rollout
from windtunnel.core.rollout.spec import SECOND, DeploySpec

INSTALL, BOOT = 3, 4
"""Seconds."""


@dataclass
class Build:
    """What a version does: *fails* to come up, never gets *healthy*, or *crashes* so many seconds after it was up."""

    fails: bool = False
    healthy: bool = True
    crashes: int = -1


@dataclass
class Box:
    """A server."""

    number: int
    home: str
    listed: str
    version: str
    phase: str = UP
    ready: int = 0
    in_flight: int = 0
    since: int = 0
    key: str = ""
    ever_bad: bool = False

    @property
    def address(self) -> str:
        return f"http://10.0.0.{self.number}"


@dataclass
class Fleet:
    """Servers, and what was seen of them: the most unavailable of those that serve, the most at a time."""

    builds: dict[str, Build]
    boxes: dict[str, Box] = field(default_factory=dict)
    second: int = 0
    share: tuple[int, int] | None = None
    proxy: Component = field(default_factory=lambda: Component("v1", 0))
    registry: Component = field(default_factory=lambda: Component("v1", 0))
    launches: int = 0

    @classmethod
    def of(cls, serving: int, builds: dict[str, Build], canaries: int = 0, standby: int = 0) -> "Fleet":
        fleet = cls(builds)
        for home, count in (("serving", serving), ("canary", canaries), ("standby", standby)):
            for _ in range(count):
                fleet.add(home, "v1", listed=home)
        return fleet

    def add(self, home: str, version: str, listed: str = "", phase: str = UP, key: str = "") -> Box:
        self.launches += 1
        box = Box(self.launches, home, listed, version, phase, since=self.second, ready=self.second, key=key)
        self.boxes[box.address] = box
        return box

    def healthy(self, box: Box) -> bool:
        return box.phase == UP and self.builds[box.version].healthy

    def tick(self) -> None:
        """A second passes."""
        self.second += 1
        for box in self.boxes.values():
            build, age = self.builds[box.version], self.second - box.since
            if box.phase in (UPDATING, BOOTING) and age >= (INSTALL if box.phase == UPDATING else BOOT):
                box.phase, box.since, box.ready = (FAILED if build.fails else UP), self.second, self.second
            elif box.phase == UP and 0 <= build.crashes <= age:
                box.phase = FAILED
            box.in_flight = 2 if box.listed else max(box.in_flight - 1, 0)

    def observe(self) -> Observed:
        servers = tuple(
            Server(
                box.address, box.home, box.listed, box.version, box.phase, box.in_flight,
                box.ready * SECOND if self.healthy(box) else -1, box.key, box.number,
            )
            for box in self.boxes.values()
        )  # fmt: skip
        return Observed(servers, self.share, proxy=self.proxy, registry=self.registry)

    def carry_out(self, command: Command) -> None:
        match command:
            case Drain(address):
                self.boxes[address].listed = ""
            case Install(address, version):
                box = self.boxes[address]
                assert not box.listed, f"{box} is exchanged while it is listed"
                if (box.version, box.phase) != (version, UPDATING):
                    box.version, box.phase, box.since = version, UPDATING, self.second
            case Register(address, role):
                box = self.boxes[address]
                assert self.healthy(box), f"{box} goes into rotation and is not healthy"
                box.listed = role
            case Launch(version, role, key):
                if all(box.key != key for box in self.boxes.values()):
                    self.add(role, version, phase=BOOTING, key=key)
            case Terminate(address):
                assert not self.boxes[address].listed, f"{address} is ended while it is listed"
                del self.boxes[address]
            case SetWeight(share):
                self.share = share
            case RestartProxy(version, _):
                self.proxy = Component(version, self._started(version))
            case RestartRegistry(version):
                self.registry = Component(version, self._started(version))

    def _started(self, version: str) -> int:
        return self.second * SECOND if self.builds[version].healthy else -1

    def standing(self, home: str = "serving") -> list[Box]:
        return [box for box in self.boxes.values() if box.listed == home]

    def available(self, home: str = "serving") -> int:
        return sum(self.healthy(box) for box in self.standing(home))

    def versions(self, home: str = "serving") -> list[str]:
        return [box.version for box in self.standing(home)]


@dataclass
class Driver:
    """Turns a rollout each second. *dies*: (turn, after so many of its commands, whether before its state was saved)."""

    fleet: Fleet
    spec: DeploySpec
    rollout: Rollout
    dies: dict[int, tuple[int, bool]] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    least: int = 1 << 30
    most: int = 0
    events: list[tuple[str, object]] = field(default_factory=list)

    def step(self, turn: int) -> None:
        before = self.rollout.save()
        answer = self.rollout.turn(self.fleet.second * SECOND, self.fleet.observe())
        self.states.append(answer.state)
        commands = list(answer.commands)
        after, unsaved = self.dies.get(turn, (len(commands), False))
        if unsaved:
            self.rollout = Rollout(self.spec, read_books(before))
            return
        self.events.extend(answer.events)
        text = self.rollout.save()
        for command in commands[:after]:
            self.fleet.carry_out(command)
            self.watch()
        # Whoever goes on knows what was saved, and nothing else.
        self.rollout = Rollout(self.spec, read_books(text))

    def watch(self) -> None:
        self.least = min(self.least, self.fleet.available())
        self.most = max(self.most, sum(box.home == "serving" for box in self.fleet.boxes.values()))

    def run(self, seconds: int = 2000) -> str:
        for turn in range(seconds):
            self.step(turn)
            if self.rollout.ended:
                return self.rollout.state
            self.fleet.tick()
            self.watch()
        raise AssertionError(f"still {self.rollout.state} after {seconds} turns: {self.rollout.save()}")


def deploy(fleet: Fleet, spec: DeploySpec, **options: object) -> Driver:
    """A driver for *spec*, from v1."""
    return Driver(fleet, spec, Rollout.begin(spec, "v1"), **options)  # type: ignore[arg-type]
