"""The proxy's restart: proxy_restart."""

from ....core.fault_family import Targets
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts


class ProxyFaults(FlightFamily):
    """Implements Family."""

    types = frozenset({"proxy_restart"})

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family. A proxy that is down already comes back as it would have."""
        if self._parts.proxy.is_up:
            self._parts.strike_proxy(fault.name, int(fault.number("after")))

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family: it strikes at once."""
