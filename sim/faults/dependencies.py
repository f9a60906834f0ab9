"""Faults of dependencies: dependency_down, dependency_slow, cache_flush."""

from ...core.fault_family import Combining, Targets, dependency_state
from ...core.model import FaultSpec
from ..control import ControlPlane


class DependencyFaults(Combining):
    """Implements Family."""

    momentary = frozenset({"cache_flush"})

    def __init__(self, control: ControlPlane) -> None:
        super().__init__()
        self._plane = control.plane

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        if fault.type == "cache_flush":
            self._plane.flush_cache(fault.dependency)
            return
        for target in targets:
            factor, down = dependency_state(self._active.on(target))
            self._plane.disturb_dependency(fault.dependency, factor, down)
