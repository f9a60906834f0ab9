"""A live proxy and small app servers in one event loop, on free ports of the loopback address."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.tracing import Tracing
from windtunnel.backends.proxy.listener import Listener
from windtunnel.backends.proxy.proxy import Proxy
from windtunnel.core.model import AppSpec, ClientSpec, FleetSpec, ProxySpec, SourceSpec
from windtunnel.core.ports import Servers

PATIENCE = 20.0
"""Seconds after which a test that still waits has failed."""

Handler = Callable[["Request", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def play(story: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, on uvloop where there is one."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story

    try:
        import uvloop
    except ImportError:
        asyncio.run(bounded())
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def until(condition: Callable[[], Any]) -> None:
    """Wait for *condition*."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.005)


async def settled(counted: list[int]) -> None:
    """Wait until the first of *counted* grows no more: it is the same for several looks, so that a pause of the machine is not taken for it."""
    same, before = 0, -1
    while same < 4:
        await asyncio.sleep(0.08)
        same, before = (same + 1 if counted[0] == before else 0), counted[0]


class Request:
    """What an app server was sent."""

    def __init__(self, line: str, fields: list[tuple[str, str]], raw: bytes) -> None:
        self.line = line
        self.fields = fields
        self.raw = raw
        self.content = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


async def echo(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request.content), request.content))


class App:
    """An app server: reads requests strictly, keeps them, lets *handler* answer."""

    def __init__(self, handler: Handler = hello) -> None:
        self.handler = handler
        self.requests: list[Request] = []
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Stop listening and reset every connection."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                first, *lines = raw[:-4].decode("latin-1").split("\r\n")
                fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
                request = Request(first, fields, raw)
                self.requests.append(request)
                if not request.all("Expect") and self.handler is not stream_in:
                    await read_content(request, reader)
                await self.handler(request, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The proxy is done with this connection.
        finally:
            self._writers.discard(writer)
            writer.close()


async def stream_in(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes nothing of the content."""
    await asyncio.sleep(PATIENCE)


async def read_content(request: Request, reader: asyncio.StreamReader) -> None:
    """Read the content as its framing says, strictly."""
    if request.all("Transfer-Encoding"):
        assert request.one("Transfer-Encoding") == "chunked"
        assert not request.all("Content-Length")
        while True:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            if size == 0:
                break
            request.content += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode().partition(":")
            request.fields.append((f"trailer {name}", value.strip()))
    elif request.all("Content-Length"):
        request.content = await reader.readexactly(int(request.one("Content-Length")))


class Reply:
    """An answer as a client reads it."""

    def __init__(self, status: int, fields: dict[str, str], content: bytes, trailers: list[str]) -> None:
        self.status = status
        self.fields = fields
        self.content = content
        self.trailers = trailers

    @property
    def cause(self) -> str:
        return self.fields.get("windtunnel-cause", "")


class Client:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, method: str = "GET") -> Reply:
        """The next answer."""
        async with asyncio.timeout(PATIENCE):
            raw = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = raw[:-4].decode("latin-1").split("\r\n")
            fields: dict[str, str] = {}
            for line in lines:
                name, _, value = line.partition(":")
                key = name.lower()
                fields[key] = f"{fields[key]}, {value.strip()}" if key in fields else value.strip()
            status = int(first.split()[1])
            content, trailers = b"", []
            if method == "HEAD" or status in (204, 304) or status < 200:
                pass
            elif fields.get("transfer-encoding") == "chunked":
                while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
                    content += await self.reader.readexactly(size)
                    assert await self.reader.readexactly(2) == b"\r\n"
                while (line_bytes := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                    trailers.append(line_bytes.decode().strip())
            elif "content-length" in fields:
                content = await self.reader.readexactly(int(fields["content-length"]))
            else:
                content = await self.reader.read()
            return Reply(status, fields, content, trailers)

    async def ask(self, data: bytes, method: str = "GET") -> Reply:
        await self.send(data)
        return await self.reply(method)

    async def closed(self) -> bytes:
        """What comes until the proxy closes the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self.writer.close()


class Fleet:
    """The proxy under test, its app servers and the events that it told."""

    def __init__(self, proxy: Proxy, listener: Listener, apps: list[App]) -> None:
        self.proxy = proxy
        self.listener = listener
        self.apps = apps
        self.port = listener.address[1]
        self.clients: list[Client] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def list(self, *apps: App) -> None:
        """What the registry says."""
        self.proxy.servers.update(Servers(tuple(app.address for app in apps)))

    async def client(self, **options: Any) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    async def get(self, path: str = "/", extra: bytes = b"") -> Reply:
        """One request on a connection of its own."""
        client = await self.client()
        reply = await client.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path.encode(), extra))
        client.close()
        return reply


SOURCES = (SourceSpec("users", 77, ClientSpec(1)),)


@asynccontextmanager
async def fleet(
    *handlers: Handler, spec: ProxySpec | None = None, fleet_options: Mapping[str, Any] | None = None,
    descriptors: int = 1000, tracing: Tracing | None = None,
) -> AsyncIterator[Fleet]:  # fmt: skip
    """A proxy before one app server per handler."""
    apps = [App(handler) for handler in handlers]
    for app in apps:
        await app.start()
    model = FleetSpec(
        "test", 1, 10**9, 0, AppSpec(), spec or ProxySpec(), sources=SOURCES, **(fleet_options or {})
    )
    events: list[tuple[str, dict[str, Any]]] = []
    proxy = Proxy(
        model, asyncio.get_running_loop(), LiveClock.begin(),
        lambda name, fields: events.append((name, dict(fields))), lambda text: None, 0, descriptors,
    )  # fmt: skip
    proxy.tracing = tracing
    listener = Listener(proxy, "127.0.0.1", 0)
    made = Fleet(proxy, listener, apps)
    made.events = events
    made.list(*apps)
    try:
        yield made
    finally:
        listener.close()
        for client in made.clients:
            client.writer.transport.abort()
        proxy.close()
        for app in apps:
            await app.kill()
        await asyncio.sleep(0.01)
        assert proxy.connections == 0
        assert proxy.descriptors == 0
        assert proxy.active == 0
        assert proxy.retrying == 0
        assert sum(proxy.servers.rows["in_flight"]) == 0
