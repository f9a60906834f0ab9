"""Faults of dependencies: dependency_down, dependency_slow, cache_flush."""

from ....core.fault_family import Combining, Targets, dependency_state
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts


class DependencyFaults(Combining, FlightFamily):
    """Implements Family: the commands ``disturb`` and ``flush`` to the dependencies' process."""

    types = frozenset({"dependency_down", "dependency_slow", "cache_flush"})
    momentary = frozenset({"cache_flush"})

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._standing = parts.standing

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        if fault.type == "cache_flush":
            self._standing.say("dependencies", {"command": "flush", "dependency": fault.dependency})
            return
        for target in targets:
            active = self._active.on(target)
            factor, down = dependency_state(active)
            tell = self._standing.put if active else self._standing.lift
            command = {"command": "disturb", "dependency": fault.dependency, "factor": factor, "down": down}
            tell("dependencies", f"disturb {fault.dependency}", command)
