"""The faults of a flight: those of the timeline strike at their times, or when what they wait for happens, others when they are asked for; each at its targets, until its end, or until
it or all of them are ended before.

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

from ....core.errors import UsageError
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

BY_HAND = "hand"
"""What the event of a fault says in ``by`` that no schedule had."""

_LOOK = 1 << 31
"""The place of a look at the conditions: behind every fault that is due by then."""


class FlightFaults:
    """Drives the families; hears of instances that come up, for faults that hit all of a role."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._families: dict[str, Family] = {name: family(parts) for name, family in FAMILIES.items()}
        self._lasting: dict[str, tuple[FaultSpec, Targets]] = {}
        self._of: dict[str, str] = {}
        self._leaked: dict[str, int] = {}
        self._waiting = Waiting(parts.fleet)
        self._end = parts.fleet.duration + parts.fleet.drain
        self._agenda: list[tuple[int, int, int, Callable[[], object]]] = []
        self._numbers = count()
        self._time = 0
        self._seconds_until: Callable[[int], float] = lambda time: 0.0
        self._by_hand = False
        self._stopped = False
        self._changed = asyncio.Event()
        self._flushes: set[asyncio.Future[None]] = set()
        parts.instances.joined = self._joined

    @property
    def parts(self) -> Parts:
        """What they act upon."""
        return self._parts

    async def run(self, seconds_until: Callable[[int], float], by_hand: bool = False) -> None:
        """Carry out the whole timeline; *seconds_until* tells how long it is to a time of the scenario (ns). However it ends, nothing is in force afterwards
        but what a schedule that was carried out to its end leaves. *by_hand*: others may be asked for, so that it never ends by itself. Raises RegistryError.
        """
        self._seconds_until, self._by_hand = seconds_until, by_hand
        for number, fault in enumerate(self._parts.fleet.faults):
            self._plan(fault.at, 2 * number, partial(self._strike, 2 * number, fault))
        if self._waiting.looks:
            self._plan(0, _LOOK, self._look)
        try:
            while not self._stopped and (self._agenda or self._flushes or by_hand):
                if self._agenda and seconds_until(self._agenda[0][0]) <= 0:
                    self._time, _, _, happen = heapq.heappop(self._agenda)
                    happen()
                else:
                    await self._wait()
        except BaseException:
            self.stop()
            raise

    async def _wait(self) -> None:
        """Until something is due, or the agenda has changed. Raises RegistryError if what was to be flushed is not."""
        self._changed.clear()
        changed = asyncio.ensure_future(self._changed.wait())
        watched: set[asyncio.Future[Any]] = {changed, *self._flushes}
        due = max(self._seconds_until(self._agenda[0][0]), 0.0) if self._agenda else None
        try:
            done, _ = await asyncio.wait(watched, timeout=due, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        for flush in done & self._flushes:
            self._flushes.discard(flush)
            flush.result()

    def _plan(self, time: int, place: int, happen: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (time, place, next(self._numbers), happen))
        self._changed.set()

    def _catch_up(self) -> None:
        """What happens outside of the agenda happens now."""
        self._time = max(self._time, round(-self._seconds_until(0) * SECOND))

    def stop(self) -> None:
        """End every fault that is in force; no other begins."""
        self._stopped = True
        self._catch_up()
        for fault, _ in self.in_force():
            self._over(fault)
        self._agenda.clear()
        self._changed.set()
        # What strikes at once may have left them away for some time.
        self._parts.proxy.recall()
        lives = self._families["lives"]
        assert isinstance(lives, LifeFaults)
        lives.stop()

    # By hand.

    def strike(self, fault: FaultSpec) -> Targets:
        """*fault*, which was asked for by hand, strikes now; its targets. Raises UsageError if that cannot be any more."""
        if self._stopped or not self._by_hand:
            raise UsageError(f"fault {fault.name}: expected a flight whose faults have not been ended")
        self._catch_up()
        fleet = self._parts.fleet
        return self._strike(2 * (len(fleet.faults) + len(fleet.triggered)), fault, by=BY_HAND)

    def lift(self, name: str) -> None:
        """The fault of this name is over now, before its time. Raises UsageError if none is in force."""
        if name not in self._lasting:
            known = ", ".join(self._lasting) or "none"
            raise UsageError(f"expected the name of a fault that is in force ({known}), got {name!r}")
        self._catch_up()
        self._over(self._lasting[name][0])

    def in_force(self) -> list[tuple[FaultSpec, Targets]]:
        """The faults that last now, in the order in which they struck, and whom they hit."""
        return [*self._lasting.values()]

    def heard(self, process: RoleProcess, line: Line) -> None:
        """An autoscaler waits for our word in the middle of a turn."""
        control = self._families["control"]
        assert isinstance(control, ControlFaults)
        control.halted(process, line["at"], line["halt"])

    def _strike(self, place: int, fault: FaultSpec, family: str = "", by: str = "") -> Targets:
        """*fault* begins; its targets. *family*: the one that it is an occurrence of, if others may wait for it. Ends have odd places, beginnings and what happens in between even ones."""
        targets = targets_of(fault, self._parts.fleet, self._parts.instances.present())
        more: dict[str, Any] = {} if fault.until < 0 else {"until": self._parts.start + fault.until}
        more |= {"by": by} if by else {}
        self._parts.emit("fault", {"name": fault.name, "type": fault.type, "targets": [*targets], **more})
        if FAULTS[fault.type].lasts:
            self._lasting[fault.name], self._of[fault.name] = (fault, targets), family
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
            self._plan(fault.until, place + 1, partial(self._over, fault))
        return targets

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

    def _over(self, fault: FaultSpec) -> None:
        """The fault is over, unless what it waited for has ended it before."""
        if fault.name not in self._lasting:
            return
        _, targets = self._lasting.pop(fault.name)
        if fault.type == "memory_leak":
            self._lose(fault, targets)
        self._family(fault).end(fault, targets)
        self._parts.emit("fault_over", {"name": fault.name, "type": fault.type})
        self._follow(self._of.pop(fault.name))

    # Faults that wait for something.

    def _look(self) -> None:
        """What waits for a condition that begins to hold strikes, and is over when it holds no more."""
        for change in self._waiting.look(self._time, self._seen, self._lasting):
            if change.begins:
                self._trigger(change)
            else:
                self._over(change.fault)
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
