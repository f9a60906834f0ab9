"""Faults of the cloud: boot_failure, slow_boot, capacity_error, api_throttling, stuck_launch, stuck_termination, stale_listing."""

from ....core.fault_family import Targets
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts


class CloudFaults(FlightFamily):
    """Implements Family: what is in force stands in the troubles, where boots and the local cloud's face look; an autoscaler that launches on EC2 itself is told by the command ``cloud``."""

    types = frozenset(
        {
            "boot_failure",
            "slow_boot",
            "capacity_error",
            "api_throttling",
            "stuck_launch",
            "stuck_termination",
            "stale_listing",
        }
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._troubles = parts.troubles

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._parts.cloud.begin(fault)
        self._tell()

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._parts.cloud.end(fault)
        self._tell()

    def _tell(self) -> None:
        if self._parts.instances.aws is None:
            return
        names = [fault.name for fault in self._troubles.of_cloud]
        tell = self._parts.standing.put if names else self._parts.standing.lift
        tell("autoscaler", "cloud", {"command": "cloud", "faults": names})
