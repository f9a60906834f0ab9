"""Faults of the control plane: autoscaler_crash, monitor_silent, monitor_stuck."""

from ....core.fault_family import Targets
from ....core.model import NONE, FaultSpec
from .family import FlightFamily
from .parts import Parts


class ControlFaults(FlightFamily):
    """Implements Family: the autoscaler's process is killed and kept away; the command ``monitors`` to servers."""

    types = frozenset({"autoscaler_crash", "monitor_silent", "monitor_stuck"})

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._troubles = parts.troubles
        self._crashes = 0

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            self._crashes += 1
            if self._parts.scaler is not None:
                self._parts.scaler.strike(NONE)
            return
        counter = self._troubles.silent if fault.type == "monitor_silent" else self._troubles.stuck
        counter.update(targets)
        self._tell(targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            self._crashes -= 1
            if self._parts.scaler is not None and not self._crashes:
                self._parts.scaler.recall()
            return
        counter = self._troubles.silent if fault.type == "monitor_silent" else self._troubles.stuck
        counter.subtract(targets)
        self._tell(targets)

    def _tell(self, targets: Targets) -> None:
        standing = self._parts.standing
        for target in targets:
            silent, stuck = bool(self._troubles.silent[target]), bool(self._troubles.stuck[target])
            tell = standing.put if silent or stuck else standing.lift
            tell(target, "monitors", {"command": "monitors", "silent": silent, "stuck": stuck})
