"""The faults' timeline: each strikes at its time, or when what it waits for happens, at its targets, and is over at its end."""

from ...core.fault_family import Family, Targets
from ...core.fault_targets import hits_later, targets_of
from ...core.fault_waiting import Change, Seen, Waiting
from ...core.faults import FAULTS
from ...core.model import SECOND, FaultSpec
from ...core.order import Kind
from ..control import ControlPlane, Process
from ..instances import Instance
from ..registry_store import Store
from ..scaling import Scaling
from .cloud import CloudFaults
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
        self._waiting = Waiting(control.fleet)
        control.joined = self._joined

    def begin(self) -> None:
        """Schedule every fault of the fleet."""
        process = self.control.timeline.env.process
        for number, fault in enumerate(self.control.fleet.faults):
            if fault.at < self._end:
                process(self._occur(2 * number, fault))
        if self._waiting.looks:
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
            self._follow(family)
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
        self._follow(family)

    def _family(self, fault: FaultSpec) -> Family:
        return self._lives if fault.type in LIVES else self._families[FAULTS[fault.type].family]

    # Faults that wait for something.

    def _look(self) -> Process:
        """Look at the conditions each second: what waits for one that begins to hold strikes, and is over when it holds no more."""
        timeline, second = self.control.timeline, 0
        while True:
            yield timeline.until(second * SECOND, Kind.FAULT, _LOOK)
            second += 1
            for change in self._waiting.look(timeline.now(), self._seen, self._lasting):
                if change.begins:
                    self._trigger(change)
                else:
                    self._over(change.fault, change.family)

    def _seen(self) -> Seen:
        control = self.control
        present = control.instances.present()
        return Seen.of(
            ((one.state, one.cloud.role) for one in present), control.deploying(), control.plane.down
        )

    def _trigger(self, change: Change) -> None:
        if change.fault.at < self._end:
            entity = 2 * (len(self.control.fleet.faults) + change.place)
            self.control.timeline.env.process(self._occur(entity, change.fault, change.family))

    def _follow(self, family: str) -> None:
        """What comes after an occurrence of *family*, now that it is over."""
        for change in self._waiting.follow(family, self.control.timeline.now()):
            self._trigger(change)

    def _joined(self, instance: Instance) -> None:
        for fault, hit in self._lasting.values():
            if hits_later(fault, instance, hit):
                hit.append(instance.number)
                self._family(fault).begin(fault, [instance.number])
