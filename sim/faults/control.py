"""Faults of the control plane: autoscaler_crash, monitor_silent, monitor_stuck."""

from ...core.model import FaultSpec
from ..control import ControlPlane
from ..scaling import Scaling
from .family import Targets


class ControlFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane, scaling: Scaling | None) -> None:
        self._troubles = control.troubles
        self._scaling = scaling

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            assert self._scaling is not None, "a crash of an autoscaler that is not there"
            if fault.word("during"):
                self._scaling.crash_at_launch(fault.name)
            else:
                self._scaling.crash()
        elif fault.type == "monitor_silent":
            self._troubles.silent.update(targets)
        else:
            self._troubles.stuck.update(targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            assert self._scaling is not None, "the return of an autoscaler that is not there"
            self._scaling.restart(fault.name)
        elif fault.type == "monitor_silent":
            self._troubles.silent.subtract(targets)
        else:
            self._troubles.stuck.subtract(targets)
