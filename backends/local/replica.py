"""Replicas of a flight's registry that lag: real redis-servers, each fed by its primary through a relay that holds everything back for so long.

Theory of operation
-------------------
A replica follows the relay as it would follow the registry (REPLICAOF). What it says to the registry passes at once. What the registry says passes at once until the scenario's zero, and
as long as a replica is being filled (until its first acknowledgement); from then on each byte of the stream of writes passes *lag* later than it came, and so does the end of the
connection. A replica that has lost its registry answers on with what it has, and asks again each second.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from ...core.errors import BackendFailure
from ...core.model import SECOND, FleetSpec
from ..live.addresses import LOOPBACK
from .redis_server import RedisServer

_PIECE = 1 << 16
_FILLED = b"ACK"
_FILL_SECONDS = 15.0
_PATIENCE_SECONDS = 10 * 366 * 86_400
"""For so long a replica waits for its registry to say something."""


def lags_of(fleet: FleetSpec) -> set[int]:
    """How far (ns) the replicas lag that faults of *fleet* are about."""
    faults = [*fleet.faults, *(one.fault for one in fleet.triggered)]
    return {int(fault.number("lag")) for fault in faults if fault.type == "stale_registry"}


class Relay:
    """Between a replica and the registry at *port* of loopback. *now*: the live clock."""

    def __init__(self, port: int, lag: int, now: Callable[[], int]) -> None:
        self.zero = -1
        """From this time on (ns) it holds back; -1: it does not yet."""
        self._port = port
        self._lag = lag
        self._now = now
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Its own port."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return int(self._server.sockets[0].getsockname()[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.ensure_future(self._serve(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the replica's, until either side ends it."""
        filled = asyncio.Event()
        with suppress(OSError):
            try:
                said, to_registry = await asyncio.open_connection(LOOPBACK, self._port)
                try:
                    ways = [
                        asyncio.ensure_future(self._up(reader, to_registry, filled)),
                        asyncio.ensure_future(self._down(said, writer, filled)),
                    ]
                    try:
                        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for way in ways:
                            way.cancel()
                        await asyncio.gather(*ways, return_exceptions=True)
                finally:
                    to_registry.close()
            finally:
                writer.close()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, filled: asyncio.Event
    ) -> None:
        while data := await reader.read(_PIECE):
            if _FILLED in data:
                filled.set()
            writer.write(data)
            await writer.drain()

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, filled: asyncio.Event
    ) -> None:
        """What the registry says, and at last that it has ended (no bytes), each at its time."""
        coming: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

        async def gather() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(_PIECE)
                except OSError:
                    data = b""
                now = self._now()
                held = filled.is_set() and 0 <= self.zero <= now
                coming.put_nowait((now + self._lag if held else now, data))

        gathering = asyncio.ensure_future(gather())
        try:
            while True:
                due, data = await coming.get()
                await asyncio.sleep((due - self._now()) / SECOND)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        finally:
            gathering.cancel()

    async def end(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)


class Replicas:
    """Those of one flight, by how far they lag (ns)."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._servers: dict[int, RedisServer] = {}
        self._relays: list[Relay] = []

    async def start(self, primary: RedisServer, lags: Iterable[int]) -> None:
        """One for each of *lags*, filled. Raises BackendFailure."""
        for lag in sorted(lags):
            relay = Relay(primary.port, lag, self._now)
            self._relays.append(relay)
            server = self._servers[lag] = RedisServer(
                "--replicaof", LOOPBACK, str(await relay.start()), "--repl-diskless-load", "swapdb",
                "--repl-timeout", str(_PATIENCE_SECONDS), host=primary.host,
            )  # fmt: skip
            await server.start()
            await _until_filled(server)

    def begin(self, zero: int) -> None:
        """They lag from the scenario's *zero* (ns) on: what was before it they have."""
        for relay in self._relays:
            relay.zero = zero

    def url(self, lag: int) -> str:
        """Where the one is that is so far behind."""
        return self._servers[lag].url

    def lags(self) -> list[int]:
        """How far behind (ns) they are."""
        return [*self._servers]

    def ports(self) -> list[int]:
        """Where they all are."""
        return [server.port for server in self._servers.values()]

    async def end(self) -> None:
        """End them all."""
        for relay in self._relays:
            await relay.end()
        for server in self._servers.values():
            await server.end()


async def _until_filled(server: RedisServer) -> None:
    try:
        async with asyncio.timeout(_FILL_SECONDS):
            while not await asyncio.to_thread(server.follows):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise BackendFailure(
            f"a replica of the registry was not filled within {_FILL_SECONDS:.0f} s"
        ) from None
