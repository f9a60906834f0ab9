"""Faults of the registry: registry_down, registry_slow, registry_flush."""

import asyncio

from ....core.fault_family import Targets
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts

USERS = ("app", "proxy", "autoscaler")
"""Roles that reach for the registry; so does the conductor, for deploys, which looks at the troubles itself."""


class RegistryFaults(FlightFamily):
    """Implements Family: the command ``registry`` to all who use it. The server itself is left alone: it may be somebody else's."""

    types = frozenset({"registry_down", "registry_slow", "registry_flush"})

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._troubles = parts.troubles
        self._flushing: list[asyncio.Future[None]] = []

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "registry_flush":
            self._flushing.append(asyncio.ensure_future(asyncio.to_thread(self._parts.flush)))
        elif fault.type == "registry_down":
            self._troubles.registry_down += 1
        else:
            self._troubles.registry_latency += int(fault.number("latency"))
        self._tell()

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "registry_down":
            self._troubles.registry_down -= 1
        else:
            self._troubles.registry_latency -= int(fault.number("latency"))
        self._tell()

    async def flushed(self) -> None:
        """Wait until what was to be forgotten is. Raises RegistryError."""
        flushing, self._flushing = self._flushing, []
        await asyncio.gather(*flushing)

    def _tell(self) -> None:
        down, latency = bool(self._troubles.registry_down), self._troubles.registry_latency
        tell = self._parts.standing.put if down or latency else self._parts.standing.lift
        for role in USERS:
            tell(role, "registry", {"command": "registry", "down": down, "latency": latency})
