"""Faults of the registry: registry_down, registry_slow, registry_flush, registry_restart, stale_registry."""

from ...core.fault_family import Targets
from ...core.model import FaultSpec
from ..control import ControlPlane
from ..registry_store import Store


class RegistryFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane, store: Store) -> None:
        self._troubles = control.troubles
        self._store = store

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        match fault.type:
            case "registry_flush":
                self._store.flush()
            case "registry_restart":
                self._troubles.registry_down += 1
                self._store.flush()
            case "registry_down":
                self._troubles.registry_down += 1
            case "stale_registry":
                self._troubles.stale.append(fault)
            case _:
                self._troubles.registry_latency += int(fault.number("latency"))

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        match fault.type:
            case "registry_down" | "registry_restart":
                self._troubles.registry_down -= 1
            case "stale_registry":
                self._troubles.stale.remove(fault)
            case _:
                self._troubles.registry_latency -= int(fault.number("latency"))
