"""Faults of machines: cpu_hog, memory_pressure, disk_full, descriptor_limit, clock_skew, clock_jump."""

from math import prod

from ...core.fault_family import Clocks, Combining, Slowness, Targets
from ...core.model import FaultSpec
from ..control import ControlPlane


class MachineFaults(Combining):
    """Implements Family. *slowness* is shared with whoever else slows servers down."""

    momentary = frozenset({"clock_jump"})

    def __init__(self, control: ControlPlane, slowness: Slowness) -> None:
        super().__init__()
        self._control = control
        self._plane = control.plane
        self._slowness = slowness
        self._clocks = Clocks(self._active)

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        troubles, in_force = self._control.troubles, self._active.of
        match fault.type:
            case "cpu_hog":
                for target in targets:
                    self._hog(target)
            case "memory_pressure":
                for target in targets:
                    sizes = (int(one.number("size")) for one in in_force("memory_pressure", target))
                    self._plane.press(int(target), sum(sizes))
            case "disk_full" if fault.role == "registry":
                troubles.registry_full = len(in_force("disk_full", "registry"))
            case "disk_full":
                for target in targets:
                    troubles.full[target] = len(in_force("disk_full", target))
            case "descriptor_limit":
                own = self._control.fleet.proxy.max_connections
                limits = [int(one.number("limit")) for one in in_force("descriptor_limit", "proxy")]
                self._plane.limit_descriptors(min([*limits, *([own] if own >= 0 else [])], default=-1))
            case _:
                for target in targets:
                    if fault.type == "clock_jump":
                        self._clocks.jump(target, int(fault.number("by")))
                    troubles.clocks[target] = self._clocks.ahead(target)

    def _hog(self, target: int | str) -> None:
        """Hogs share what those before them have left."""
        left = prod((1.0 - one.number("share") for one in self._active.of("cpu_hog", target)), start=1.0)
        self._control.troubles.hogs.hold(target, 1.0 - left, self._control.timeline.now())
        self._slowness.hogged(target, 1.0 / left)
