"""Faults of the registry: registry_down, registry_slow, registry_flush, registry_restart, stale_registry."""

import asyncio
from collections.abc import Awaitable, Callable

from ....core.fault_family import Targets
from ....core.model import NONE, FaultSpec
from ..redis_server import RedisServer
from .family import FlightFamily
from .parts import Parts

USERS = ("app", "proxy", "autoscaler", "second")
"""Roles that reach for the registry; so does the conductor, for deploys, which looks at the troubles itself."""

READERS = {"proxy": ("proxy",), "autoscaler": ("autoscaler", "second")}
"""The roles that read from a replica when ``reader`` says so."""


class RegistryFaults(FlightFamily):
    """Implements Family: the command ``registry`` to all who use it, ``stale`` to who reads from a replica. The server itself is left alone, for it may be somebody else's; but for a restart, which is one of a server of our own."""

    types = frozenset(
        {"registry_down", "registry_slow", "registry_flush", "registry_restart", "stale_registry"}
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._troubles = parts.troubles
        self._restarts = 0
        self._serving: asyncio.Future[None] | None = None
        self._flushing: list[asyncio.Future[None]] = []

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "stale_registry":
            self._troubles.stale.append(fault)
            self._tell_readers()
            return
        if fault.type == "registry_restart":
            self._restarts += 1
            self._serve(self._server.end)
        elif fault.type == "registry_flush":
            self._flushing.append(asyncio.ensure_future(asyncio.to_thread(self._parts.flush)))
        elif fault.type == "registry_down":
            self._troubles.registry_down += 1
        else:
            self._troubles.registry_latency += int(fault.number("latency"))
        self._tell()

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "stale_registry":
            self._troubles.stale.remove(fault)
            self._tell_readers()
            return
        if fault.type == "registry_restart":
            self._restarts -= 1
            if not self._restarts:
                self._serve(self._server.come_back)
        elif fault.type == "registry_down":
            self._troubles.registry_down -= 1
        else:
            self._troubles.registry_latency -= int(fault.number("latency"))
        self._tell()

    @property
    def _server(self) -> RedisServer:
        assert self._parts.redis is not None, "a registry of the user's was to be restarted"
        return self._parts.redis

    def _serve(self, what: Callable[[], Awaitable[None]]) -> None:
        """Have the server end or begin, one after the other."""

        async def then(before: asyncio.Future[None] | None) -> None:
            if before is not None:
                await before
            await what()

        self._serving = asyncio.ensure_future(then(self._serving))

    async def flushed(self) -> None:
        """Wait until what was to be forgotten is. Raises RegistryError."""
        flushing, self._flushing = self._flushing, []
        await asyncio.gather(*flushing)

    def _tell(self) -> None:
        down, latency = bool(self._troubles.registry_down), self._troubles.registry_latency
        tell = self._parts.standing.put if down or latency else self._parts.standing.lift
        for role in USERS:
            tell(role, "registry", {"command": "registry", "down": down, "latency": latency})

    def _tell_readers(self) -> None:
        for reader, roles in READERS.items():
            lag = self._troubles.replica_lag(reader)
            url = "" if lag == NONE else self._parts.replicas.url(lag)
            tell = self._parts.standing.put if url else self._parts.standing.lift
            for role in roles:
                tell(role, "stale", {"command": "stale", "url": url})
