"""HTTP for app servers and dependencies: aiohttp's low-level server, whose handler gets every request as it is."""

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from ..live.role import RoleLink

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

GRACE = 5.0
"""Seconds that requests in flight are given when a server ends."""

LONGEST_LINE = 64 << 10
MOST_HEADERS = 1000
LARGEST_BODY = 1 << 30

_KEPT = 3600.0
# The stdlib loop writes a traceback for each failed accept and tries as many at once as the backlog is long.
_BACKLOG = {"uvloop": 4096, "asyncio": 128}


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run_on(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *arguments: object) -> None:
    """Call back on *loop*'s thread, from any thread; not at all once the loop is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *arguments)


def fail_on_errors(
    loop: asyncio.AbstractEventLoop, link: RoleLink, failed: Callable[[BaseException], None]
) -> None:
    """Have *failed* told of errors that nobody else is told of, instead of requests that hang; what sockets do is only logged."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, OSError):
            link.log("warning", context["message"], {"error": repr(error)})
        else:
            failed(error)

    loop.set_exception_handler(handle)


def allow_descriptors() -> None:
    """Let this process have as many descriptors as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError):
        # macOS names no limit, and allows less than that.
        resource.setrlimit(resource.RLIMIT_NOFILE, (10_240, most))


class Listener:
    """A listening server. *cancelling*: a client that disconnects cancels its request's handler."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler, cancelling: bool = False) -> None:
        self._loop = loop
        # Broken requests are the client's affair; they are answered with 400 and no traceback.
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        self._server = web.Server(
            handler,
            request_factory=self._request,
            handler_cancellation=cancelling,
            loop=loop,
            access_log=None,
            keepalive_timeout=_KEPT,
            auto_decompress=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
        )
        self._socket: asyncio.Server | None = None

    def _request(
        self, message: RawRequestMessage, payload: StreamReader, protocol: web.RequestHandler,
        writer: AbstractStreamWriter, task: "asyncio.Task[None]",
    ) -> web.BaseRequest:  # fmt: skip
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=LARGEST_BODY
        )

    async def open(self, host: str, port: int) -> int:
        """Listen; the port (for 0: a free one). Raises OSError."""
        backlog = _BACKLOG["uvloop" if "uvloop" in type(self._loop).__module__ else "asyncio"]
        self._socket = await self._loop.create_server(self._server, host, port, backlog=backlog)
        bound: int = self._socket.sockets[0].getsockname()[1]
        return bound

    def drop(self) -> None:
        """Close the socket and every connection at once, as the end of a process does; it may be opened again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for protocol in list(self._server.connections):
            if protocol.transport is not None:
                protocol.transport.abort()

    async def close(self) -> None:
        """Take no more connections, let what is in flight end for GRACE, close."""
        if self._socket is not None:
            self._socket.close()
        await self._server.shutdown(GRACE)


async def read_body(request: web.BaseRequest) -> bytes:
    """The request's whole body."""
    if not request.body_exists:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.read()
