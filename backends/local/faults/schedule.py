"""The faults' timeline in a flight: each strikes at its time, or when what it waits for happens, at its targets, and is over at its end, or when all of them are ended before.

Theory of operation
-------------------
All that is to happen stands in an agenda and is carried out one after another, in the order in which the rehearsal does (``sim.faults.schedule``): by time, then in the scenario's
order, those that wait behind those with a time of their own, and at whole seconds a look at the conditions (core.fault_waiting) behind them all. What comes late
keeps its place.
"""

import asyncio
import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from ....core.fault_family import Family, Targets
from ....core.fault_targets import hits_later, targets_of
from ....core.fault_waiting import Change, Seen, Waiting
from ....core.faults import FAULTS
from ....core.model import SECOND, FaultSpec
from ..instances import Instance
from ..process import Line, RoleProcess
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

_LOOK = 1 << 31
"""The place of a look at the conditions: behind every fault that is due by then."""


class FlightFaults:
    """Drives the families; hears of instances that come up, for faults that hit all of a role."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._families: dict[str, Family] = {name: family(parts) for name, family in FAMILIES.items()}
        self._lasting: dict[str, tuple[FaultSpec, Targets]] = {}
        self._leaked: dict[str, int] = {}
        self._waiting = Waiting(parts.fleet)
        self._end = parts.fleet.duration + parts.fleet.drain
        self._agenda: list[tuple[int, int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._time = 0
        self._stopped = asyncio.Event()
        self._flushes: set[asyncio.Future[None]] = set()
        parts.instances.joined = self._joined

    async def run(self, seconds_until: Callable[[int], float]) -> None:
        """Carry out the whole timeline; *seconds_until* tells how long it is to a time of the scenario (ns). However it ends, nothing is in force afterwards
        but what a schedule that was carried out to its end leaves. Raises RegistryError.
        """
        for place, fault in enumerate(self._parts.fleet.faults):
            self._plan(fault.at, 2 * place, partial(self._strike, 2 * place, fault, ""))
        if self._waiting.looks:
            self._plan(0, _LOOK, self._look)
        try:
            while self._agenda and await self._come(self._agenda[0][0], seconds_until):
                self._time, _, _, happen = heapq.heappop(self._agenda)
                happen()
            await asyncio.gather(*self._flushes)
        except BaseException:
            self.stop()
            raise

    async def _come(self, time: int, seconds_until: Callable[[int], float]) -> bool:
        """Wait for a *time*; False if all faults were ended before."""
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while not self._stopped.is_set() and (left := seconds_until(time)) > 0:
                watched: set[asyncio.Future[Any]] = {stopped, *self._flushes}
                done, _ = await asyncio.wait(watched, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for flush in done & self._flushes:
                    self._flushes.discard(flush)
                    flush.result()
        finally:
            stopped.cancel()
        return not self._stopped.is_set()

    def _plan(self, time: int, place: int, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time, place, next(self._numbers), happen))

    def stop(self) -> None:
        """End every fault that is in force; no other begins."""
        self._stopped.set()
        self._agenda.clear()
        for fault, _ in [*self._lasting.values()]:
            self._over(fault)
        # What strikes at once may have left them away for some time.
        self._parts.proxy.recall()
        lives = self._families["lives"]
        assert isinstance(lives, LifeFaults)
        lives.stop()

    def heard(self, process: RoleProcess, line: Line) -> None:
        """An autoscaler waits for our word in the middle of a turn."""
        control = self._families["control"]
        assert isinstance(control, ControlFaults)
        control.halted(process, line["at"], line["halt"])

    def _strike(self, place: int, fault: FaultSpec, family: str) -> None:
        """*fault* begins. *family*: the one that it is an occurrence of, if others may wait for it. Ends have odd places, beginnings and what happens in between even ones."""
        targets = targets_of(fault, self._parts.fleet, self._parts.instances.present())
        length = {} if fault.until < 0 else {"until": self._parts.start + fault.until}
        self._parts.emit("fault", {"name": fault.name, "type": fault.type, "targets": [*targets], **length})
        if FAULTS[fault.type].lasts:
            self._lasting[fault.name] = (fault, targets)
        self._family(fault).begin(fault, targets)
        if fault.type == "registry_flush":
            registry = self._families["registry"]
            assert isinstance(registry, RegistryFaults)
            self._flushes.add(asyncio.ensure_future(registry.flushed()))
        if fault.type == "memory_leak":
            self._leaked[fault.name] = fault.at
            self._plan(fault.at + SECOND, place, partial(self._leak, place, fault))
        if not FAULTS[fault.type].lasts:
            self._follow(family)
        elif fault.until >= 0:
            self._plan(fault.until, place + 1, partial(self._over, fault, family))

    def _leak(self, place: int, fault: FaultSpec) -> None:
        """Memory is lost once a second, and at the end the rest."""
        if fault.name in self._lasting:
            self._lose(fault, self._lasting[fault.name][1])
            self._plan(self._time + SECOND, place, partial(self._leak, place, fault))

    def _lose(self, fault: FaultSpec, targets: Targets) -> None:
        servers = self._families["servers"]
        assert isinstance(servers, ServerFaults)
        servers.leak(fault, targets, self._time - self._leaked[fault.name])
        self._leaked[fault.name] = self._time

    def _over(self, fault: FaultSpec, family: str = "") -> None:
        """The fault is over, unless what it waited for has ended it before."""
        if fault.name not in self._lasting:
            return
        _, targets = self._lasting.pop(fault.name)
        if fault.type == "memory_leak":
            self._lose(fault, targets)
        self._family(fault).end(fault, targets)
        self._parts.emit("fault_over", {"name": fault.name, "type": fault.type})
        self._follow(family)

    # Faults that wait for something.

    def _look(self) -> None:
        """What waits for a condition that begins to hold strikes, and is over when it holds no more."""
        for change in self._waiting.look(self._time, self._seen, self._lasting):
            if change.begins:
                self._trigger(change)
            else:
                self._over(change.fault, change.family)
        if self._time < self._end:
            self._plan(self._time + SECOND, _LOOK, self._look)

    def _seen(self) -> Seen:
        """How the fleet is, as far as the conductor knows."""
        parts = self._parts
        present = ((one.state, one.role) for one in parts.instances.present())
        return Seen.of(present, parts.deploying(), not parts.proxy.is_up)

    def _trigger(self, change: Change) -> None:
        if change.fault.at < self._end:
            place = 2 * (len(self._parts.fleet.faults) + change.place)
            self._plan(change.fault.at, place, partial(self._strike, place, change.fault, change.family))

    def _follow(self, family: str) -> None:
        for change in self._waiting.follow(family, self._time):
            self._trigger(change)

    def _family(self, fault: FaultSpec) -> Family:
        return next(self._families[name] for name, family in FAMILIES.items() if fault.type in family.types)

    def _joined(self, instance: Instance) -> None:
        for fault, hit in self._lasting.values():
            if hits_later(fault, instance, hit):
                hit.append(instance.number)
                self._family(fault).begin(fault, [instance.number])
