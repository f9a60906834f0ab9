"""Faults of dependencies: dependency_down, dependency_slow, cache_flush."""

from ...core.fault_family import Active, Targets, slowness
from ...core.model import FaultSpec
from ..control import ControlPlane


class DependencyFaults:
    """Implements Family. Slowness multiplies."""

    def __init__(self, control: ControlPlane) -> None:
        self._plane = control.plane
        self._active = Active()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "cache_flush":
            self._plane.flush_cache(fault.dependency)
            return
        self._active.add(fault, targets)
        self._apply(fault, targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._active.remove(fault)
        self._apply(fault, targets)

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        active = [one for target in targets for one in self._active.on(target)]
        factor = slowness(one for one in active if one.type == "dependency_slow")
        down = any(one.type == "dependency_down" for one in active)
        self._plane.disturb_dependency(fault.dependency, factor, down)
