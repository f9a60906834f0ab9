"""The faults' timeline: each strikes at its time, at its targets, and is over at its end."""

from collections.abc import Callable
from typing import Any

from ...core.draws import TARGET, draw
from ...core.faults import ALL, FAULTS, SERVERS
from ...core.lifecycle import ALIVE, State
from ...core.model import SECOND, FaultSpec
from ...core.order import Kind
from ...core.ports import Registry
from ..control import ControlPlane, Process
from ..instances import Instance
from ..scaling import Scaling
from .cloud import CloudFaults
from .control import ControlFaults
from .dependencies import DependencyFaults
from .family import Family, Targets
from .links import LinkFaults
from .proxy import ProxyFaults
from .registry import RegistryFaults
from .servers import ServerFaults

_STATES = {"app": State.SERVING, "canary": State.CANARY, "standby": State.STANDBY}


class Faults:
    """Drives the families; hears of instances that come up, for faults that hit all of a role. *flush* empties the registry, *apart* is another way to it (see ControlFaults)."""

    def __init__(
        self, control: ControlPlane, scaling: Scaling | None, flush: Callable[[], Any],
        apart: Callable[[str], Registry],
    ) -> None:  # fmt: skip
        self.control = control
        self._servers = ServerFaults(control)
        self._families: dict[str, Family] = {
            "servers": self._servers,
            "links": LinkFaults(control),
            "registry": RegistryFaults(control, flush),
            "cloud": CloudFaults(control),
            "control": ControlFaults(control, scaling, apart),
            "proxy": ProxyFaults(control),
            "dependencies": DependencyFaults(control),
        }
        self._lasting: dict[str, tuple[FaultSpec, Targets]] = {}
        control.joined = self._joined

    def begin(self) -> None:
        """Schedule every fault of the fleet."""
        fleet = self.control.fleet
        for number, fault in enumerate(fleet.faults):
            if fault.at < fleet.duration + fleet.drain:
                self.control.timeline.env.process(self._occur(number, fault))

    def _occur(self, number: int, fault: FaultSpec) -> Process:
        """Ends have odd entities, beginnings and what happens in between even ones."""
        timeline = self.control.timeline
        yield timeline.until(fault.at, Kind.FAULT, 2 * number)
        targets = self._targets(fault)
        length = {} if fault.until < 0 else {"until": fault.until}
        self.control.emit("fault", {"name": fault.name, "type": fault.type, "targets": targets, **length})
        family = self._families[FAULTS[fault.type].family]
        if FAULTS[fault.type].lasts:
            self._lasting[fault.name] = (fault, targets)
        family.begin(fault, targets)
        time = fault.at
        while fault.type == "memory_leak" and (fault.until < 0 or time + SECOND <= fault.until):
            time += SECOND
            yield timeline.until(time, Kind.FAULT, 2 * number)
            self._servers.leak(fault, targets, SECOND)
        if fault.until < 0:
            return
        yield timeline.until(fault.until, Kind.FAULT, 2 * number + 1)
        if fault.type == "memory_leak":
            self._servers.leak(fault, targets, fault.until - time)
        del self._lasting[fault.name]
        family.end(fault, targets)
        self.control.emit("fault_over", {"name": fault.name, "type": fault.type})

    def _targets(self, fault: FaultSpec) -> Targets:
        """The servers that *fault* hits: the one at its address, or some of its role, drawn by its own stream; or who else it hits."""
        if fault.role not in SERVERS:
            if fault.role == "dependency":
                return [self.control.fleet.dependencies[fault.dependency].name]
            return [fault.role]
        if fault.address:
            alive = self.control.instances.in_state(*sorted(ALIVE))
            return [instance.number for instance in alive if instance.address == fault.address]
        able = self.control.instances.in_state(_STATES[fault.role])
        if fault.count != ALL:
            able.sort(key=lambda instance: draw(fault.stream, instance.number, 0, TARGET))
            able = able[: fault.count]
        return sorted(instance.number for instance in able)

    def _joined(self, instance: Instance) -> None:
        for fault, targets in self._lasting.values():
            hits_all = fault.count == ALL and not fault.address
            if hits_all and _STATES.get(fault.role) == instance.state and instance.number not in targets:
                targets.append(instance.number)
                self._families[FAULTS[fault.type].family].begin(fault, [instance.number])
