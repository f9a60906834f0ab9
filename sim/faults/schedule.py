"""The faults' timeline: each strikes at its time, or when what it waits for happens, at its targets, and is over at its end."""

from ...core.fault_family import Family, Targets, is_occurrence, occurrence
from ...core.fault_targets import hits_later, targets_of
from ...core.faults import FAULTS
from ...core.model import SECOND, FaultSpec
from ...core.order import Kind
from ..control import ControlPlane, Process
from ..instances import Instance
from ..registry_store import Store
from ..scaling import Scaling
from .cloud import CloudFaults
from .conditions import Conditions
from .control import ControlFaults
from .dependencies import DependencyFaults
from .links import LinkFaults
from .lives import LIVES, LifeFaults
from .machines import MachineFaults
from .proxy import ProxyFaults
from .registry import RegistryFaults
from .servers import ServerFaults

_LOOK = 1 << 31
"""Conditions are looked at after all faults that are due by then."""


class Faults:
    """Drives the families; hears of instances that come up, for faults that hit all of a role."""

    def __init__(self, control: ControlPlane, scaling: Scaling | None, store: Store) -> None:
        self.control = control
        self._servers = ServerFaults(control)
        self._lives = LifeFaults(control)
        self._families: dict[str, Family] = {
            "servers": self._servers,
            "machines": MachineFaults(control, self._servers.slowness),
            "links": LinkFaults(control),
            "registry": RegistryFaults(control, store),
            "cloud": CloudFaults(control),
            "control": ControlFaults(control, scaling, store),
            "proxy": ProxyFaults(control),
            "dependencies": DependencyFaults(control),
        }
        self._lasting: dict[str, tuple[FaultSpec, Targets]] = {}
        self._leaked: dict[str, int] = {}
        self._conditions = Conditions(control, self._in_force)
        self._triggered = control.fleet.triggered
        self._numbers = [0] * len(self._triggered)
        self._after: dict[str, list[int]] = {}
        for place, waiting in enumerate(self._triggered):
            if waiting.after:
                self._after.setdefault(waiting.after, []).append(place)
        control.joined = self._joined

    def begin(self) -> None:
        """Schedule every fault of the fleet."""
        process = self.control.timeline.env.process
        for number, fault in enumerate(self.control.fleet.faults):
            if fault.at < self._end:
                process(self._occur(2 * number, fault))
        if any(waiting.condition for waiting in self._triggered):
            process(self._look())

    @property
    def _end(self) -> int:
        return self.control.fleet.duration + self.control.fleet.drain

    def _occur(self, entity: int, fault: FaultSpec, family: str = "") -> Process:
        """Ends have odd entities, beginnings and what happens in between even ones. *family*: the fault that this is an occurrence of, if others may wait for it."""
        timeline = self.control.timeline
        yield timeline.until(fault.at, Kind.FAULT, entity)
        self._strike(entity, fault)
        if not FAULTS[fault.type].lasts:
            self._follow(family, fault)
        elif fault.until >= 0:
            yield timeline.until(fault.until, Kind.FAULT, entity + 1)
            self._over(fault, family)

    def _strike(self, entity: int, fault: FaultSpec) -> None:
        targets = targets_of(fault, self.control.fleet, self.control.instances.present())
        length = {} if fault.until < 0 else {"until": fault.until}
        self.control.emit("fault", {"name": fault.name, "type": fault.type, "targets": targets, **length})
        if FAULTS[fault.type].lasts:
            self._lasting[fault.name] = (fault, targets)
        self._family(fault).begin(fault, targets)
        if fault.type == "memory_leak":
            self.control.timeline.env.process(self._leak(entity, fault, targets))

    def _leak(self, entity: int, fault: FaultSpec, targets: Targets) -> Process:
        time = self._leaked[fault.name] = fault.at
        while fault.until < 0 or time + SECOND <= fault.until:
            time += SECOND
            yield self.control.timeline.until(time, Kind.FAULT, entity)
            if fault.name not in self._lasting:
                return
            self._leaked[fault.name] = time
            self._servers.leak(fault, targets, SECOND)

    def _over(self, fault: FaultSpec, family: str = "") -> None:
        """The fault is over, unless what it waited for has ended it before."""
        if fault.name not in self._lasting:
            return
        _, targets = self._lasting.pop(fault.name)
        if fault.type == "memory_leak":
            self._servers.leak(fault, targets, self.control.timeline.now() - self._leaked.pop(fault.name))
        self._family(fault).end(fault, targets)
        self.control.emit("fault_over", {"name": fault.name, "type": fault.type})
        self._follow(family, fault)

    def _family(self, fault: FaultSpec) -> Family:
        return self._lives if fault.type in LIVES else self._families[FAULTS[fault.type].family]

    def _in_force(self, name: str) -> bool:
        """Whether the fault called so, or an occurrence of it, is in force."""
        return any(one == name or is_occurrence(one, name) for one in self._lasting)

    # Faults that wait for something.

    def _look(self) -> Process:
        """Look at the conditions each second: what waits for one that begins to hold strikes, and is over when it holds no more."""
        timeline, second = self.control.timeline, 0
        held: dict[int, FaultSpec] = {}
        while True:
            yield timeline.until(second * SECOND, Kind.FAULT, _LOOK)
            second += 1
            now = timeline.now()
            for place, waiting in enumerate(self._triggered):
                if not waiting.condition or now < waiting.fault.at:
                    continue
                holds = self._conditions.holds(waiting)
                if holds and place not in held:
                    held[place] = self._trigger(place, now)
                elif not holds and place in held:
                    self._over(held.pop(place), waiting.fault.name)

    def _trigger(self, place: int, time: int) -> FaultSpec:
        """The next occurrence of a fault that waited, at *time*."""
        waiting = self._triggered[place]
        self._numbers[place] += 1
        fault = occurrence(waiting, self._numbers[place], time, self.control.fleet.seed)
        if time < self._end:
            entity = 2 * (len(self.control.fleet.faults) + place)
            self.control.timeline.env.process(self._occur(entity, fault, waiting.fault.name))
        return fault

    def _follow(self, family: str, fault: FaultSpec) -> None:
        """What comes after *fault*, an occurrence of *family*, now that it is over."""
        for place in self._after.get(family, ()):
            self._trigger(place, self.control.timeline.now() + self._triggered[place].delay)

    def _joined(self, instance: Instance) -> None:
        for fault, hit in self._lasting.values():
            if hits_later(fault, instance, hit):
                hit.append(instance.number)
                self._family(fault).begin(fault, [instance.number])
