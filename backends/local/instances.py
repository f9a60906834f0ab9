"""Instances of a flight: their lives, whatever cloud they are of."""

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.appserver import slowed
from ...core.draws import BOOT_FAILURE, BOOT_TIME, draw, key, uniform
from ...core.lifecycle import ALIVE, READY, State, move
from ...core.model import FleetSpec
from ...core.ports import CloudInstance
from ...core.troubles import Troubles
from ..aws.settings import AwsSettings
from ..live.addresses import Addresses
from ..live.clock import LiveClock
from .process import Line, RoleProcess
from .roles import END_SECONDS

_BEFORE_READY = 20_000_000
"""So long before its end (ns) it is decided whether a boot fails."""

STATES = {"serving": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}

Start = Callable[[int, str, int], Any]
"""Starts the process of instance (number, role, ready at): a coroutine that gives its RoleProcess."""

Emit = Callable[[int, str, Mapping[str, Any]], None]
"""Records an event at a time (ns, live clock)."""


@dataclass(slots=True)
class Instance:
    """An instance; times in ns on the live clock, -1: not yet. *first*: of the first fleet, which need not boot. *second* is what it said of its last second.

    *provider_id* is what the cloud calls it; empty until that is known. *version*: an index. *joins*: whether it registers itself. *up*: since when its process is, *heard*: when
    that spoke last. *life*: another number with each process, and when one is ended for an update. *entered*: whether it has been in a list. *boots_from*: when its boot
    began, if that is not when it was launched.
    """

    number: int
    role: str
    address: str
    launched: int
    first: bool = False
    provider_id: str = ""
    state: State = State.PENDING
    gone: int = -1
    process: RoleProcess | None = None
    second: Line | None = None
    version: int = 0
    joins: bool = True
    up: int = -1
    heard: int = -1
    life: int = 0
    entered: bool = False
    boots_from: int = -1

    def become(self, state: State) -> None:
        """Move to *state* by the table."""
        self.state = move(self.number, self.state, state)

    @property
    def in_flight(self) -> int:
        """Requests that it had when it last said so."""
        return int(self.second["in_flight"]) if self.second else 0

    def listed(self) -> CloudInstance:
        """As the cloud lists it."""
        return CloudInstance(
            self.number, self.provider_id, self.address, self.role, self.state.word, self.launched
        )


def _runs(instance: Instance) -> bool:
    """Whether its process is up, whatever list it is in."""
    return instance.state in ALIVE or instance.up >= 0


class Instances(ABC):
    """Knows instances, and what their processes and the autoscaler say of them. All its methods belong to the conductor's event loop.

    *aws* is for an autoscaler that launches on EC2 by itself; *numbers* of servers by addresses that do not tell them. *elsewhere*: no process of this machine.
    """

    aws: AwsSettings | None = None
    elsewhere = False

    def __init__(
        self, fleet: FleetSpec, clock: LiveClock, addresses: Addresses, start: Start, emit: Emit
    ) -> None:
        self.by_number: dict[int, Instance] = {}
        self.numbers: dict[str, int] = {}
        self.releases: dict[str, int] = dict.fromkeys(STATES, 0)
        """The version (index) of instances that are launched in a role from now on."""
        self._fleet = fleet
        self._clock = clock
        self._addresses = addresses
        self._start = start
        self._emit = emit
        self._stream = key(fleet.seed, "boot")
        types = {fault.type for fault in (*fleet.faults, *(one.fault for one in fleet.triggered))}
        self._slows_boots, self._fails_boots = "slow_boot" in types, "boot_failure" in types
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.troubles = Troubles()
        """Of boots, by faults of the cloud."""
        self.joined: Callable[[Instance], None] = lambda instance: None
        """Told of each instance that has come up, or has got another role."""

    async def begin(self, redis_url: str) -> None:
        """Before the first launch: the registry is at *redis_url*. Raises BackendFailure, CloudError."""
        return

    @abstractmethod
    async def begin_first(self, roles: Sequence[str]) -> None:
        """Launch the first fleet, instance 1 in the first of *roles* and so on, and wait until it is up. Raises BackendFailure, CloudError."""

    @abstractmethod
    def launch(self, number: int, role: str, token: str) -> Instance:
        """Begin an instance; the same *token* gives the same one. Raises CloudError."""

    @abstractmethod
    def terminate(self, provider_id: str, reason: str) -> None:
        """End an instance; one that is gone is no error. Raises CloudError."""

    def check(self) -> None:
        """Raises BackendFailure if there can be no instances any more."""
        return

    def at(self, provider_id: str) -> Instance | None:
        """The instance that the cloud calls so."""
        found = [one for one in self.by_number.values() if one.provider_id == provider_id]
        return found[0] if found else None

    def now(self) -> int:
        """The live clock (ns)."""
        return self._clock.now()

    def stuck(self, provider_id: str, reason: str) -> bool:
        """Whether nothing comes of it when this instance is to be ended for *reason*; which is logged."""
        instance = self.at(provider_id)
        if instance is None or not self.troubles.termination_sticks(instance.number):
            return False
        self._emit(self._clock.now(), "termination_stuck", {"server": instance.number, "reason": reason})
        return True

    def present(self) -> list[Instance]:
        """Those that are not gone, by number."""
        return sorted(
            (one for one in self.by_number.values() if one.state != State.GONE), key=lambda one: one.number
        )

    def addresses(self) -> list[str]:
        """Every address that one has or has had."""
        return [one.address for one in self.by_number.values() if one.address]

    # Their lives.

    def _gone(self, instance: Instance, time: int, reason: str) -> Mapping[str, Any]:
        """It ended at *time* (ns): the fields of that event. A process that runs is told to end, and ends what it has in flight."""
        lost = instance.in_flight if _runs(instance) else 0
        instance.become(State.GONE)
        instance.gone, instance.up = time, -1
        if instance.process is not None:
            self._spawn(instance.process.end(END_SECONDS))
        return {"server": instance.number, "reason": reason, "lost": lost}

    async def _live(self, instance: Instance) -> None:
        """The life of one that is a process of this machine."""
        number = instance.number
        ready_at = instance.launched
        if not instance.first:
            begun = instance.launched if instance.boots_from < 0 else instance.boots_from
            running = begun + self._fleet.pending
            if self._slows_boots:
                # How long a boot takes is known when it begins.
                await self._sleep_until(running)
            boot_time = self._fleet.app_of(instance.version).boot_time.sample(
                draw(self._stream, number, 0, BOOT_TIME)
            )
            ready_at = running + slowed(boot_time, self.troubles.boot_factor)
        fails = (
            not instance.first
            and uniform(draw(self._stream, number, 0, BOOT_FAILURE)) < self._fleet.app.boot_failure
        )
        if instance.state == State.GONE:
            return
        if not instance.first and self.troubles.launch_sticks(number):
            self._emit(self._clock.now(), "launch_stuck", {"server": number})
            return
        if not fails:
            instance.process = await self._start(number, instance.role, ready_at)
        if not instance.first:
            await self._sleep_until(running)
            self._booting(instance, max(running, instance.launched))
        if self._fails_boots and not instance.first:
            # Just before the process would serve.
            await self._sleep_until(ready_at - _BEFORE_READY)
            fails = fails or self.troubles.boot_fails(number)
        if fails:
            await self._boot_fails(instance, ready_at)
            return
        assert instance.process is not None
        await self._until_over(instance, instance.process)

    async def _boot_fails(self, instance: Instance, time: int) -> None:
        """The boot that would end at *time* (ns) ends without a server."""
        if instance.process is not None and instance.state in (State.PENDING, State.BOOTING):
            instance.process.signal(signal.SIGKILL)
        await self._sleep_until(time)
        if instance.state == State.BOOTING:
            instance.become(State.FAILED)
            self._emit(time, "boot_failed", {"server": instance.number})
        if instance.process is not None:
            await instance.process.end(0)

    async def _until_over(self, instance: Instance, process: RoleProcess) -> None:
        """Wait for the end of a process; of one that was exchanged nobody wants to know."""
        await process.wait()
        if instance.process is process:
            self._ended(instance)

    def _booting(self, instance: Instance, time: int) -> None:
        """The machine runs since *time* (ns)."""
        if instance.state == State.PENDING:
            instance.become(State.BOOTING)
            if not instance.first:
                self._emit(time, "booting", {"server": instance.number})

    def _ready(self, instance: Instance, time: int) -> None:
        """It serves since *time* (ns)."""
        self._booting(instance, instance.launched + self._fleet.pending)
        instance.become(STATES[instance.role])
        instance.entered = True
        self._emit(time, "ready", {"server": instance.number, "role": instance.role})
        self.joined(instance)

    def said(self, instance: Instance, line: Line) -> None:
        """An instance's process said something."""
        match line.get("status"):
            case "up":
                self._up(instance, line["t"])
            case "second":
                instance.second, instance.heard = line, line["t"]
        if line.get("event") in ("out_of_memory", "crashed") and _runs(instance):
            instance.become(State.FAILED)
            instance.up = -1

    def _up(self, instance: Instance, time: int) -> None:
        """Its process is up since *time* (ns)."""
        if instance.state not in (State.PENDING, State.BOOTING, State.UPDATING):
            return
        instance.up = instance.heard = time
        instance.life += 1
        if instance.state == State.UPDATING:
            self._emit(time, "updated", {"server": instance.number, **self._build(instance)})
        elif instance.joins:
            self._ready(instance, time)
        else:
            self._booting(instance, instance.launched + self._fleet.pending)

    def _build(self, instance: Instance) -> Mapping[str, str]:
        """For the log, where there are versions: the one that it runs."""
        return {"version": self._fleet.version(instance.version).name} if self._fleet.versions else {}

    def _ended(self, instance: Instance) -> None:
        """A process is over. Unless we knew, it failed: nobody tells the registry."""
        if self._closing:
            return
        if _runs(instance):
            lost = instance.in_flight
            instance.become(State.FAILED)
            instance.up = -1
            self._emit(self._clock.now(), "killed", {"server": instance.number, "lost": lost})
        elif instance.state in (State.PENDING, State.BOOTING, State.UPDATING):
            instance.become(State.FAILED)
            self._emit(self._clock.now(), "boot_failed", {"server": instance.number})

    def follow(self, time: int, event: str, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The autoscaler says an *event* of *time* (ns): its fields as they are to be recorded, None if it has been."""
        if event == "promoted":
            self.promoted(fields["server"])
        elif event == "draining":
            self.drained(fields["server"])
        return fields

    def promoted(self, number: int) -> None:
        """The autoscaler has put a standby server among the serving ones (one that is none of ours is not our concern)."""
        instance = self.by_number.get(number)
        if instance is not None and instance.state == State.STANDBY:
            instance.become(State.SERVING)
            self._tell(instance, "promote")
            self.joined(instance)

    def drained(self, number: int) -> None:
        """The autoscaler has taken a server out of the lists."""
        instance = self.by_number.get(number)
        if instance is not None and instance.state in READY:
            instance.become(State.DRAINING)
            self._tell(instance, "drain")

    def registered(self, number: int, role: str) -> None:
        """A deploy has put a server whose process is up into the list of *role*."""
        instance = self.by_number[number]
        self._tell(instance, "register", role=role)
        if instance.state == STATES[role]:
            return
        instance.become(STATES[role])
        event, instance.entered = ("registered" if instance.entered else "ready"), True
        self._emit(self._clock.now(), event, {"server": number, "role": role})
        self.joined(instance)

    def update(self, number: int, version: int, ready_at: int, grace: float) -> None:
        """End a server's process, if it has one, after *grace* seconds at most; one of *version* (an index) is up at *ready_at* (ns), out of the lists.

        Of an update that is still under way nothing more comes.
        """
        instance = self.by_number[number]
        lost = instance.in_flight if _runs(instance) else 0
        if instance.state != State.UPDATING:
            instance.become(State.UPDATING)
        process, instance.process, instance.second = instance.process, None, None
        instance.version, instance.joins, instance.up = version, False, -1
        instance.life += 1
        self._emit(self._clock.now(), "updating", {"server": number, **self._build(instance), "lost": lost})
        self._spawn(self._exchange(instance, instance.life, process, ready_at, grace))

    async def _exchange(
        self, instance: Instance, life: int, process: RoleProcess | None, ready_at: int, grace: float
    ) -> None:
        """The update of which *life* is the number."""
        if process is not None:
            await process.end(grace)
        if instance.life != life or instance.state != State.UPDATING or self._closing:
            return
        made = await self._start(instance.number, instance.role, ready_at)
        if instance.life != life or instance.state != State.UPDATING or self._closing:
            # It was exchanged again, or ended, while its process was being started.
            await made.end(0)
            return
        instance.process = made
        await self._until_over(instance, made)

    def _tell(self, instance: Instance, command: str, **fields: str) -> None:
        if instance.process is not None:
            instance.process.send({"command": command, **fields})

    def paid_ns(self, start: int, end: int) -> int:
        """Instance time from launch (not before *start*) to gone (or *end*), summed, in ns."""
        return sum(
            max(0, (one.gone if one.gone >= 0 else end) - max(one.launched, start))
            for one in self.by_number.values()
        )

    async def end(self) -> None:
        """End every process; what happens to them from now on is no event."""
        self._closing = True
        processes = [one.process for one in self.by_number.values() if one.process is not None]
        await asyncio.gather(*(process.end(END_SECONDS) for process in processes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sleep_until(self, time: int) -> None:
        await asyncio.sleep(max(0, time - self._clock.now()) / 1e9)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
