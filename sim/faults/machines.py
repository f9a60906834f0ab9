"""Faults of machines: cpu_hog, memory_pressure, disk_full, descriptor_limit, clock_skew, clock_jump."""

from math import prod

from ...core.fault_family import Active, Slowness, Targets
from ...core.model import FaultSpec
from ..control import ControlPlane
from ..registry_store import Store


class MachineFaults:
    """Implements Family. *slowness* is shared with whoever else slows servers down."""

    def __init__(self, control: ControlPlane, store: Store, slowness: Slowness) -> None:
        self._control = control
        self._plane = control.plane
        self._store = store
        self._slowness = slowness
        self._active = Active()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "clock_jump":
            self._turn_clocks(targets, int(fault.number("by")))
            return
        self._active.add(fault, targets)
        self._apply(fault, targets, 1)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._active.remove(fault)
        self._apply(fault, targets, -1)

    def _apply(self, fault: FaultSpec, targets: Targets, sign: int) -> None:
        match fault.type:
            case "cpu_hog":
                for target in targets:
                    self._hog(target)
            case "memory_pressure":
                for target in targets:
                    sizes = (int(one.number("size")) for one in self._of("memory_pressure", target))
                    self._plane.press(int(target), sum(sizes))
            case "disk_full" if fault.role == "registry":
                self._store.full += sign
            case "disk_full":
                for target in targets:
                    self._control.troubles.full[target] += sign
            case "descriptor_limit":
                own = self._control.fleet.proxy.max_connections
                limits = [int(one.number("limit")) for one in self._of("descriptor_limit", "proxy")]
                self._plane.limit_descriptors(min([*limits, *([own] if own >= 0 else [])], default=-1))
            case _:
                self._turn_clocks(targets, sign * int(fault.number("by")))

    def _of(self, kind: str, target: int | str) -> list[FaultSpec]:
        return [one for one in self._active.on(target) if one.type == kind]

    def _hog(self, target: int | str) -> None:
        """Hogs share what those before them have left."""
        left = prod((1.0 - one.number("share") for one in self._of("cpu_hog", target)), start=1.0)
        self._control.troubles.hogs.hold(target, 1.0 - left, self._control.timeline.now())
        self._slowness.hogged(target, 1.0 / left)

    def _turn_clocks(self, targets: Targets, by: int) -> None:
        for target in targets:
            self._control.troubles.clocks[target] += by
