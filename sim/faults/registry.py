"""Faults of the registry: registry_down, registry_slow, registry_flush."""

from collections.abc import Callable
from typing import Any

from ...core.fault_family import Targets
from ...core.model import FaultSpec
from ..control import ControlPlane


class RegistryFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane, flush: Callable[[], Any]) -> None:
        self._troubles = control.troubles
        self._flush = flush

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "registry_flush":
            self._flush()
        elif fault.type == "registry_down":
            self._troubles.registry_down += 1
        else:
            self._troubles.registry_latency += int(fault.number("latency"))

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "registry_down":
            self._troubles.registry_down -= 1
        else:
            self._troubles.registry_latency -= int(fault.number("latency"))
