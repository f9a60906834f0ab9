"""The faults' timeline in a flight: each strikes at its time, at its targets, and is over at its end, or when all of them are ended before."""

import asyncio
from collections.abc import Awaitable, Callable

from ....core.fault_family import Family, Targets
from ....core.fault_targets import hits_later, targets_of
from ....core.faults import FAULTS
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


class FlightFaults:
    """Drives the families; hears of instances that come up, for faults that hit all of a role."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._families: dict[str, Family] = {name: family(parts) for name, family in FAMILIES.items()}
        self._lasting: dict[str, tuple[FaultSpec, Targets]] = {}
        self._stopped = asyncio.Event()
        self._begun = [asyncio.Event() for _ in parts.fleet.faults]
        parts.instances.joined = self._joined

    async def run(self, seconds_until: Callable[[int], float]) -> None:
        """Carry out the whole timeline; *seconds_until* tells how long it is to a time of the scenario (ns). However it ends, nothing is in force afterwards
        but what a schedule that was carried out to its end leaves.
        """
        try:
            faults = self._parts.fleet.faults
            await asyncio.gather(
                *(self._occur(place, fault, seconds_until) for place, fault in enumerate(faults))
            )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every fault that is in force; no other begins."""
        self._stopped.set()
        for begun in self._begun:
            begun.set()
        for fault, targets in [*self._lasting.values()]:
            self._over(fault, targets)
        # What strikes at once may have left them away for some time.
        self._parts.proxy.recall()
        lives = self._families["lives"]
        assert isinstance(lives, LifeFaults)
        lives.stop()

    async def _occur(self, place: int, fault: FaultSpec, seconds_until: Callable[[int], float]) -> None:
        async def until(time: int) -> bool:
            """Wait; False if all faults were ended before."""
            try:
                await asyncio.wait_for(self._stopped.wait(), max(0.0, seconds_until(time)))
            except TimeoutError:
                return not self._stopped.is_set()
            return False

        if not await until(fault.at):
            return
        if place and self._parts.fleet.faults[place - 1].at == fault.at:
            # Timers for one moment come in any order; faults strike in the scenario's, which says what several make together.
            await self._begun[place - 1].wait()
        if self._stopped.is_set():
            return
        targets = targets_of(fault, self._parts.fleet, self._parts.instances.present())
        length = {} if fault.until < 0 else {"until": self._parts.start + fault.until}
        self._parts.emit("fault", {"name": fault.name, "type": fault.type, "targets": [*targets], **length})
        if FAULTS[fault.type].lasts:
            self._lasting[fault.name] = (fault, targets)
        self._family(fault).begin(fault, targets)
        self._begun[place].set()
        if fault.type == "registry_flush":
            registry = self._families["registry"]
            assert isinstance(registry, RegistryFaults)
            await registry.flushed()
        if fault.type == "memory_leak":
            await self._leak(fault, targets, until)
        if fault.until >= 0 and await until(fault.until):
            self._over(fault, targets)

    async def _leak(
        self, fault: FaultSpec, targets: Targets, until: Callable[[int], Awaitable[bool]]
    ) -> None:
        """Memory is lost once a second, and at the end the rest."""
        servers = self._families["servers"]
        assert isinstance(servers, ServerFaults)
        time = fault.at
        while fault.until < 0 or time < fault.until:
            length = SECOND if fault.until < 0 else min(SECOND, fault.until - time)
            time += length
            if not await until(time):
                return
            servers.leak(fault, targets, length)

    def _over(self, fault: FaultSpec, targets: Targets) -> None:
        del self._lasting[fault.name]
        self._family(fault).end(fault, targets)
        self._parts.emit("fault_over", {"name": fault.name, "type": fault.type})

    def _family(self, fault: FaultSpec) -> Family:
        return next(self._families[name] for name, family in FAMILIES.items() if fault.type in family.types)

    def _joined(self, instance: Instance) -> None:
        for fault, hit in self._lasting.values():
            if hits_later(fault, instance, hit):
                hit.append(instance.number)
                self._family(fault).begin(fault, [instance.number])
