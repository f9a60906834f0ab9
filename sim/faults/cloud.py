"""Faults of the cloud: boot_failure, slow_boot, capacity_error, api_throttling."""

from ...core.fault_family import Targets
from ...core.model import FaultSpec
from ..control import ControlPlane


class CloudFaults:
    """Implements Family: what is in force stands in the troubles, where boots and the cloud's face look."""

    def __init__(self, control: ControlPlane) -> None:
        self._cloud = control.cloud

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._cloud.begin(fault)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._cloud.end(fault)
