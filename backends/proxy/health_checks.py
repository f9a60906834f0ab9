"""Active health checks: a request for the health path of every listed server, over a connection of its own."""

import asyncio
from asyncio import StreamReader, StreamWriter

from ...core.http.fields import HEAD_LIMIT, Malformed
from ...core.http.heads import read_response
from ...core.trace.schema import health_check
from .messages import NAME
from .proxy import Proxy, seconds
from .servers import Server

_LONGEST = 1e6
"""Seconds: longer than any timeout."""

_AT_ONCE = 64
"""Checks under way at a time, so that a large fleet's do not take all descriptors."""


async def check_forever(proxy: Proxy) -> None:
    """Check every listed server each interval, until cancelled."""
    spec = proxy.spec.health
    assert spec is not None, "no health checks are asked for"
    places = asyncio.Semaphore(_AT_ONCE)
    turn = proxy.loop.time()
    while True:
        servers = proxy.servers.listed()
        await asyncio.gather(*(_check(proxy, server, places, spec.path, spec.timeout) for server in servers))
        turn = max(turn + seconds(spec.interval), proxy.loop.time())
        await asyncio.sleep(turn - proxy.loop.time())


async def _check(proxy: Proxy, server: Server, places: asyncio.Semaphore, path: str, timeout: int) -> None:
    async with places:
        begun = proxy.clock.now()
        try:
            async with asyncio.timeout(seconds(timeout)):
                if proxy.disturbed.on:
                    await asyncio.sleep(min(seconds(proxy.disturbed.check_extra(server.number)), _LONGEST))
                passed = await _ask(server, path)
        except (OSError, TimeoutError, Malformed, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            passed = False
    if proxy.tracing is not None:
        said = health_check(path, server.host, server.port, server.number, passed)
        proxy.tracing.alone(said, begun, proxy.clock.now())
    proxy.servers.checked(server.number, passed)


async def _ask(server: Server, path: str) -> bool:
    """Whether the server answers with a status below 400."""
    reader: StreamReader
    writer: StreamWriter
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=HEAD_LIMIT)
    try:
        host = server.address.removeprefix("http://")
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {NAME.decode()}\r\nConnection: close\r\n\r\n".encode()
        )
        head = read_response((await reader.readuntil(b"\r\n\r\n"))[:-4])
        return 200 <= head.status < 400
    finally:
        writer.transport.abort()
