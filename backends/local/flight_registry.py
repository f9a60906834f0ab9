"""The registry of a flight: a server of its own, with the replicas that its faults are about, or one of the user's that is left as it was."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from ...core.model import FleetSpec
from ..live.addresses import LOOPBACK
from .guardian import Guardian
from .redis_server import RedisServer, check_empty, sweep
from .replica import Replicas, lags_of


class FlightRegistry:
    """*given*: URL of the user's, or nothing. *addresses* tells every address of a server of the flight's; *now* is the live clock; a server of our own is found at *host*."""

    def __init__(
        self, fleet: FleetSpec, given: str, guardian: Guardian, addresses: Callable[[], Iterable[str]],
        now: Callable[[], int], host: str = LOOPBACK,
    ) -> None:  # fmt: skip
        self.url = given
        self.server = None if given else RedisServer(host=host)
        """None if it is the user's."""
        self.replicas = Replicas(now)
        self._fleet = fleet
        self._guardian = guardian
        self._addresses = addresses

    async def start(self, cleanup: AsyncExitStack) -> str:
        """Start it, or look whether it is empty; what is to be undone is told *cleanup*. Its URL. Raises BackendFailure, RegistryError."""
        server, prefix = self.server, self._fleet.key_prefix
        if server is None:
            await asyncio.to_thread(check_empty, self.url, prefix)
            self._guardian.watch_registry(self.url, prefix)
            cleanup.push_async_callback(self._sweep)
            return self.url
        cleanup.push_async_callback(server.end)
        await server.start()
        self.url = server.url
        cleanup.push_async_callback(self.replicas.end)
        await self.replicas.start(server, lags_of(self._fleet))
        return self.url

    def flush(self) -> None:
        """Forget everything that is the flight's. Blocks; raises RegistryError."""
        if self.server is not None:
            self.server.flush()
        else:
            sweep(self.url, self._fleet.key_prefix, self._addresses())

    async def _sweep(self) -> None:
        """Leave a registry of the user's as it was."""
        await asyncio.to_thread(sweep, self.url, self._fleet.key_prefix, self._addresses())
        self._guardian.swept()
