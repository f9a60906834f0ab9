"""An app server's calls to dependencies: HTTP over kept connections, one call at a time on each.

As many connections as calls were ever under way at once; there are never more of those than workers.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

import httptools

from ...core.model import FleetSpec
from ..live.addresses import split, url
from ..live.headers import CALL, REQUEST, TRY
from .job import Job

Called = Callable[[Job, bool], None]

_OK = 200


class _Connection(asyncio.Protocol):
    """One kept connection; *free* takes it back after an answer."""

    def __init__(self, free: Callable[["_Connection"], None]) -> None:
        self._free = free
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._waiting: tuple[Job, Called] | None = None
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        # uvloop's is none by class.
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def send(self, message: bytes, job: Job, called: Called) -> None:
        """Send a call; nothing else may be under way."""
        self._waiting = (job, called)
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_complete(self) -> None:
        """httptools: an answer is whole."""
        status = self._parser.get_status_code()
        if status < _OK:
            return
        if self._parser.should_keep_alive():
            self._parser = httptools.HttpResponseParser(self)
            self._free(self)
        else:
            self.open = False
            self._transport.close()
        self._answer(status == _OK)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol: what is under way has failed."""
        self.open = False
        self._answer(False)

    def _answer(self, succeeded: bool) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            job, called = waiting
            called(job, succeeded)

    def close(self) -> None:
        """Close it."""
        self._transport.close()


class _Peer:
    """One dependency's address and the connections to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self._loop = loop
        self._host, self._port = split(address)
        self._head = f"GET / HTTP/1.1\r\nHost: {url(self._host, self._port).removeprefix('http://')}\r\n"
        self._idle: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()

    def call(self, job: Job, called: Called) -> None:
        """Make the job's next call over a connection that is free, or a new one."""
        planned = f"{REQUEST}: {job.name}\r\n" if job.name else ""
        tries = f"{TRY}: {job.tries}\r\n" if job.tries > 1 else ""
        message = f"{self._head}{planned}{tries}{CALL}: {job.call}\r\n\r\n".encode()
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                connection.send(message, job, called)
                return
        task = self._loop.create_task(self._first(message, job, called))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _first(self, message: bytes, job: Job, called: Called) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self._idle.append), self._host, self._port
            )
        except OSError:
            called(job, False)
            return
        connection.send(message, job, called)

    def close(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.close()


class DependencyCalls:
    """Implements backends.app.server.Calls. *addresses*: name -> URL of each dependency that an endpoint calls; ValueError if one is missing."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fleet: FleetSpec, addresses: Mapping[str, str]
    ) -> None:
        self._peers: dict[int, _Peer] = {}
        for number in sorted({call for endpoint in fleet.endpoints for call in endpoint.calls}):
            name = fleet.dependencies[number].name
            if name not in addresses:
                raise ValueError(f"expected the URL of dependency {name!r}, got those of {sorted(addresses)}")
            self._peers[number] = _Peer(loop, addresses[name])

    def call(self, job: Job, called: Called) -> None:
        """See Calls: a call has succeeded if it was answered with 200; refused and broken connections are failures."""
        self._peers[job.endpoint.calls[job.call]].call(job, called)

    def close(self) -> None:
        """Close what is idle."""
        for peer in self._peers.values():
            peer.close()
