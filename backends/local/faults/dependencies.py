"""Faults of dependencies: dependency_down, dependency_slow, cache_flush."""

from ....core.fault_family import Active, Targets, slowness
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts


class DependencyFaults(FlightFamily):
    """Implements Family: the commands ``disturb`` and ``flush`` to the dependencies' process."""

    types = frozenset({"dependency_down", "dependency_slow", "cache_flush"})

    def __init__(self, parts: Parts) -> None:
        self._standing = parts.standing
        self._active = Active()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "cache_flush":
            self._standing.say("dependencies", {"command": "flush", "dependency": fault.dependency})
            return
        self._active.add(fault, targets)
        self._apply(fault, targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family. Slowness multiplies."""
        self._active.remove(fault)
        self._apply(fault, targets)

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        active = [one for target in targets for one in self._active.on(target)]
        factor = slowness(one for one in active if one.type == "dependency_slow")
        down = any(one.type == "dependency_down" for one in active)
        tell = self._standing.put if active else self._standing.lift
        command = {"command": "disturb", "dependency": fault.dependency, "factor": factor, "down": down}
        tell("dependencies", f"disturb {fault.dependency}", command)
