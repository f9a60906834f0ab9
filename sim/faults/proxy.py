"""The proxy's restart: proxy_restart."""

from ...core.fault_family import Targets
from ...core.model import FaultSpec
from ..control import ControlPlane


class ProxyFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family. A proxy that is down already comes back as it would have."""
        if not self._control.plane.down:
            self._control.restart_proxy(fault.name, int(fault.number("after")))

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family: it strikes at once."""
