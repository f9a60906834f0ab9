"""The cloud of a local fleet: an instance is an app server's process on a loopback address of its own."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.draws import BOOT_FAILURE, BOOT_TIME, draw, key, uniform
from ...core.lifecycle import ALIVE, READY, State, move
from ...core.model import FleetSpec
from ...core.ports import CloudError, CloudInstance
from ..live.addresses import Addresses
from ..live.clock import LiveClock
from .process import Line, RoleProcess

STATES = {"serving": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}
_END_SECONDS = 5.0

Start = Callable[[int, str, int], Any]
"""Starts the process of instance (number, role, ready at): a coroutine that gives its RoleProcess."""

Emit = Callable[[int, str, Mapping[str, Any]], None]
"""Records an event at a time (ns, live clock)."""


@dataclass(slots=True)
class Instance:
    """An instance; times in ns on the live clock, -1: not yet. *first*: of the first fleet, which need not boot. *second* is what it said of its last second."""

    number: int
    role: str
    address: str
    launched: int
    first: bool = False
    state: State = State.PENDING
    gone: int = -1
    process: RoleProcess | None = None
    second: Line | None = None

    @property
    def provider_id(self) -> str:
        """What the cloud calls it."""
        return f"local-{self.number}"

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


class LocalInstances:
    """Launches, ends, kills, and knows instances. All its methods belong to the conductor's event loop."""

    def __init__(
        self, fleet: FleetSpec, clock: LiveClock, addresses: Addresses, start: Start, emit: Emit
    ) -> None:
        self.by_number: dict[int, Instance] = {}
        self._fleet = fleet
        self._clock = clock
        self._addresses = addresses
        self._start = start
        self._emit = emit
        self._tokens: dict[str, int] = {}
        self._stream = key(fleet.seed, "boot")
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    # The cloud's three words.

    def launch(self, number: int, role: str, token: str, first: bool = False) -> Instance:
        """Begin an instance; the same *token* gives the same one. *first*: part of the first fleet, which need not boot. Raises CloudError."""
        if token in self._tokens:
            return self.by_number[self._tokens[token]]
        if role not in STATES:
            raise CloudError(
                "InvalidParameterValue", f"expected a role among {', '.join(STATES)}, got {role!r}"
            )
        if number in self.by_number:
            raise CloudError(
                "IdempotentParameterMismatch", f"instance {number} was launched with another token"
            )
        try:
            address = self._addresses.address(number)
        except ValueError as error:
            raise CloudError("InvalidParameterValue", str(error)) from None
        now = self._clock.now()
        instance = Instance(number, role, address, now, first)
        self.by_number[number] = instance
        self._tokens[token] = number
        self._emit(now, "launched", {"server": number, "role": role})
        self._spawn(self._live(instance))
        return instance

    def terminate(self, provider_id: str, reason: str) -> None:
        """End an instance; one that is gone is no error. A process that runs is told to end, and ends what it has in flight."""
        instance = self.at(provider_id)
        if instance is None or instance.state == State.GONE:
            return
        lost = instance.in_flight if instance.state in ALIVE else 0
        instance.become(State.GONE)
        instance.gone = self._clock.now()
        self._emit(instance.gone, "terminated", {"server": instance.number, "reason": reason, "lost": lost})
        if instance.process is not None:
            self._spawn(instance.process.end(_END_SECONDS))

    def at(self, provider_id: str) -> Instance | None:
        """The instance that the cloud calls so."""
        found = [one for one in self.by_number.values() if one.provider_id == provider_id]
        return found[0] if found else None

    def present(self) -> list[Instance]:
        """Those that are not gone, by number."""
        return sorted(
            (one for one in self.by_number.values() if one.state != State.GONE), key=lambda one: one.number
        )

    # Their lives.

    async def _live(self, instance: Instance) -> None:
        number = instance.number
        ready_at = instance.launched
        if not instance.first:
            running = instance.launched + self._fleet.pending
            ready_at = running + self._fleet.app.boot_time.sample(draw(self._stream, number, 0, BOOT_TIME))
        fails = (
            not instance.first
            and uniform(draw(self._stream, number, 0, BOOT_FAILURE)) < self._fleet.app.boot_failure
        )
        if not fails:
            instance.process = await self._start(number, instance.role, ready_at)
        if not instance.first:
            await self._sleep_until(running)
            self._booting(instance)
        if fails:
            await self._sleep_until(ready_at)
            if instance.state == State.BOOTING:
                instance.become(State.FAILED)
                self._emit(ready_at, "boot_failed", {"server": number})
            return
        assert instance.process is not None
        await instance.process.wait()
        self._ended(instance)

    def _booting(self, instance: Instance) -> None:
        if instance.state == State.PENDING:
            instance.become(State.BOOTING)
            if not instance.first:
                running = instance.launched + self._fleet.pending
                self._emit(running, "booting", {"server": instance.number})

    def said(self, instance: Instance, line: Line) -> None:
        """An instance's process said something."""
        match line.get("status"):
            case "up" if instance.state in (State.PENDING, State.BOOTING):
                self._booting(instance)
                instance.become(STATES[instance.role])
                self._emit(line["t"], "ready", {"server": instance.number, "role": instance.role})
            case "second":
                instance.second = line
        if line.get("event") == "out_of_memory" and instance.state in ALIVE:
            instance.become(State.FAILED)

    def _ended(self, instance: Instance) -> None:
        """A process is over. Unless we knew, it failed: nobody tells the registry."""
        if self._closing:
            return
        if instance.state in ALIVE:
            lost = instance.in_flight
            instance.become(State.FAILED)
            self._emit(self._clock.now(), "killed", {"server": instance.number, "lost": lost})
        elif instance.state in (State.PENDING, State.BOOTING):
            instance.become(State.FAILED)
            self._emit(self._clock.now(), "boot_failed", {"server": instance.number})

    def promoted(self, number: int) -> None:
        """The autoscaler has put a standby server among the serving ones (one that is none of ours is not our concern)."""
        instance = self.by_number.get(number)
        if instance is not None and instance.state == State.STANDBY:
            instance.become(State.SERVING)
            self._tell(instance, "promote")

    def drained(self, number: int) -> None:
        """The autoscaler has taken a server out of the lists."""
        instance = self.by_number.get(number)
        if instance is not None and instance.state in READY:
            instance.become(State.DRAINING)
            self._tell(instance, "drain")

    def _tell(self, instance: Instance, command: str) -> None:
        if instance.process is not None:
            instance.process.send({"command": command})

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
        await asyncio.gather(*(process.end(_END_SECONDS) for process in processes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sleep_until(self, time: int) -> None:
        await asyncio.sleep(max(0, time - self._clock.now()) / 1e9)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
