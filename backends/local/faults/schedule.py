"""The faults of a flight: those of the timeline strike at their times, others when they are asked for; each at its targets, until its end, or until it or all of them are ended before."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ....core.errors import UsageError
from ....core.fault_family import Family, Targets, drawn
from ....core.faults import ALL, FAULTS, SERVERS
from ....core.lifecycle import ALIVE, State
from ....core.model import SECOND, FaultSpec
from ..instances import Instance
from .cloud import CloudFaults
from .control import ControlFaults
from .dependencies import DependencyFaults
from .family import FlightFamily
from .links import LinkFaults
from .lives import LifeFaults
from .machines import MachineFaults
from .parts import Parts
from .proxy import ProxyFaults
from .registry import RegistryFaults
from .servers import ServerFaults

FAMILIES: dict[str, type[FlightFamily]] = {
    "servers": ServerFaults,
    "lives": LifeFaults,
    "machines": MachineFaults,
    "links": LinkFaults,
    "registry": RegistryFaults,
    "cloud": CloudFaults,
    "control": ControlFaults,
    "proxy": ProxyFaults,
    "dependencies": DependencyFaults,
}
"""The classes that carry out their ``types`` in a flight: one for each family of core.faults, and one for servers that end, or should have."""

BY_HAND = "hand"
"""What the event of a fault says in ``by`` that no schedule had."""

_STATES = {"app": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}


class FlightFaults:
    """Drives the families; hears of instances that come up, for faults that hit all of a role."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._families: dict[str, Family] = {name: family(parts) for name, family in FAMILIES.items()}
        self._lasting: dict[str, tuple[FaultSpec, Targets]] = {}
        self._stopped = asyncio.Event()
        self._ended: dict[str, asyncio.Event] = {}
        self._asked: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None
        self._begun = [asyncio.Event() for _ in parts.fleet.faults]
        parts.instances.joined = self._joined

    @property
    def parts(self) -> Parts:
        """What they act upon."""
        return self._parts

    async def run(self, seconds_until: Callable[[int], float], by_hand: bool = False) -> None:
        """Carry out the whole timeline; *seconds_until* tells how long it is to a time of the scenario (ns). However it ends, nothing is in force afterwards
        but what a schedule that was carried out to its end leaves. *by_hand*: others may be asked for, so that it never ends by itself.
        """
        self._seconds_until = seconds_until
        try:
            faults = self._parts.fleet.faults
            work: list[Awaitable[None]] = [self._occur(place, fault) for place, fault in enumerate(faults)]
            if by_hand:
                self._failed = asyncio.get_running_loop().create_future()
                work.append(self._failed)
            await asyncio.gather(*work)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every fault that is in force; no other begins."""
        self._stopped.set()
        for begun in self._begun:
            begun.set()
        for name in [*self._lasting]:
            self.lift(name)
        # What strikes at once may have left them away for some time.
        self._parts.proxy.recall()
        lives = self._families["lives"]
        assert isinstance(lives, LifeFaults)
        lives.stop()

    def strike(self, fault: FaultSpec) -> Targets:
        """*fault*, which was asked for by hand, strikes now; its targets. Raises UsageError if that cannot be any more."""
        if self._failed is None or self._failed.done() or self._stopped.is_set():
            raise UsageError(f"fault {fault.name}: expected a flight whose faults have not been ended")
        targets = self._begin(fault, {"by": BY_HAND})
        task = asyncio.ensure_future(self._last(fault, targets))
        self._asked.add(task)
        task.add_done_callback(self._answered)
        return targets

    def lift(self, name: str) -> None:
        """The fault of this name is over now, before its time. Raises UsageError if none is in force."""
        if name not in self._lasting:
            known = ", ".join(self._lasting) or "none"
            raise UsageError(f"expected the name of a fault that is in force ({known}), got {name!r}")
        self._ended[name].set()
        self._over(*self._lasting[name])

    def in_force(self) -> list[tuple[FaultSpec, Targets]]:
        """The faults that last now, in the order in which they struck, and whom they hit."""
        return [*self._lasting.values()]

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._asked.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failed is not None and not self._failed.done():
            # The flight ends as it would by one of the schedule.
            self._failed.set_exception(error)

    async def _occur(self, place: int, fault: FaultSpec) -> None:
        if not await self._until(fault.at, self._stopped):
            return
        if place and self._parts.fleet.faults[place - 1].at == fault.at:
            # Timers for one moment come in any order; faults strike in the scenario's, which says what several make together.
            await self._begun[place - 1].wait()
        if self._stopped.is_set():
            return
        targets = self._begin(fault, {})
        self._begun[place].set()
        await self._last(fault, targets)

    async def _until(self, time: int, ended: asyncio.Event) -> bool:
        """Wait until *time* (ns of the scenario); False if it is *ended* before."""
        try:
            await asyncio.wait_for(ended.wait(), max(0.0, self._seconds_until(time)))
        except TimeoutError:
            return not ended.is_set()
        return False

    def _begin(self, fault: FaultSpec, more: Mapping[str, str]) -> Targets:
        targets = self._targets(fault)
        length = {} if fault.until < 0 else {"until": self._parts.start + fault.until}
        self._parts.emit(
            "fault", {"name": fault.name, "type": fault.type, "targets": [*targets], **length, **more}
        )
        self._ended[fault.name] = asyncio.Event()
        if FAULTS[fault.type].lasts:
            self._lasting[fault.name] = (fault, targets)
        self._family(fault).begin(fault, targets)
        return targets

    async def _last(self, fault: FaultSpec, targets: Targets) -> None:
        """What is left to be done when *fault* has struck, until it is over."""
        ended = self._ended[fault.name]
        if fault.type == "registry_flush":
            registry = self._families["registry"]
            assert isinstance(registry, RegistryFaults)
            await registry.flushed()
        if fault.type == "memory_leak":
            await self._leak(fault, targets, ended)
        if fault.until >= 0 and await self._until(fault.until, ended) and fault.name in self._lasting:
            self._over(fault, targets)

    async def _leak(self, fault: FaultSpec, targets: Targets, ended: asyncio.Event) -> None:
        """Memory is lost once a second, and at the end the rest."""
        servers = self._families["servers"]
        assert isinstance(servers, ServerFaults)
        time = fault.at
        while fault.until < 0 or time < fault.until:
            length = SECOND if fault.until < 0 else min(SECOND, fault.until - time)
            time += length
            if not await self._until(time, ended):
                return
            servers.leak(fault, targets, length)

    def _over(self, fault: FaultSpec, targets: Targets) -> None:
        del self._lasting[fault.name]
        self._family(fault).end(fault, targets)
        self._parts.emit("fault_over", {"name": fault.name, "type": fault.type})

    def _family(self, fault: FaultSpec) -> Family:
        return next(self._families[name] for name, family in FAMILIES.items() if fault.type in family.types)

    def _targets(self, fault: FaultSpec) -> Targets:
        """As the rehearsal finds them: the server at its address, or some of its role, drawn by its own stream; or who else it hits."""
        if fault.role == "dependency":
            return [self._parts.fleet.dependencies[fault.dependency].name]
        if fault.role not in SERVERS:
            return [fault.role]
        present = self._parts.instances.present()
        if fault.address:
            return [one.number for one in present if one.address == fault.address and one.state in ALIVE]
        return [*drawn(fault, (one.number for one in present if one.state == _STATES[fault.role]))]

    def _joined(self, instance: Instance) -> None:
        for fault, targets in self._lasting.values():
            hits_all = fault.count == ALL and not fault.address
            if hits_all and _STATES.get(fault.role) == instance.state and instance.number not in targets:
                targets.append(instance.number)
                self._family(fault).begin(fault, [instance.number])
