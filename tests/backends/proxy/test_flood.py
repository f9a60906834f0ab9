"""Thousands of connections that send a request and never read, opened over eight seconds, against a proxy process; well-behaved probes meanwhile."""

import asyncio
import contextlib
import resource
import socket
import statistics
import time

import psutil
import pytest
from windtunnel.backends.connection import registry_at
from windtunnel.core.admission import EVICT
from windtunnel.core.model import ProxySpec

from .fleet import GET, App, Request, play
from .test_role import redis_server, role

pytestmark = pytest.mark.long

SECONDS = 8.0
SLOW = 0.9
"""A probe whose SYN was dropped waits a second for the next one (RFC 6298); such probes are counted apart."""


async def flood(host: str, port: int, count: int) -> list[socket.socket]:
    """Connections that send and never read."""
    loop = asyncio.get_running_loop()
    opened = []
    begin = loop.time()
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + SECONDS * number / count - loop.time()))
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((host, port))
        opened.append(sock)
        loop.call_later(0.2, greet, sock)
    await asyncio.sleep(0.5)
    return opened


def greet(sock: socket.socket) -> None:
    """Send the request; the proxy may have closed the connection already."""
    with contextlib.suppress(OSError):
        sock.send(GET)


async def probe(host: str, port: int) -> float:
    """Seconds for one request on a new connection. Raises when it is not answered."""
    begin = time.monotonic()
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:80]
    return time.monotonic() - begin


@pytest.mark.parametrize(("count", "size"), [(10_000, 5), (2_000, 349_000)])
def test_probes_are_answered_under_a_flood(count: int, size: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 2_000:
        pytest.fail(f"needs {count + 2_000} descriptors, may have {hard}: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 2_000, hard))

    async def answer(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async def story() -> None:
        app = App(answer)
        await app.start()
        spec = ProxySpec(max_connections=924, overload=EVICT, write_timeout=1_000_000_000)
        with redis_server() as url:
            registry_at(url, "test:").register(app.address, "serving")
            with role(url, spec) as proxy:
                host, port = await proxy.address()
                await asyncio.sleep(1)
                flooding = asyncio.create_task(flood(host, port, count))
                times, failures, largest = [], 0, 0
                process = psutil.Process(proxy.process.pid)
                while not flooding.done():
                    try:
                        times.append(await probe(host, port))
                    except (OSError, TimeoutError, AssertionError):
                        failures += 1
                    largest = max(largest, process.memory_info().rss)
                    await asyncio.sleep(0.05)
                for sock in await flooding:
                    sock.close()
                dropped = [t for t in times if t > SLOW]
                prompt = sorted(t for t in times if t <= SLOW)
                p99 = prompt[int(len(prompt) * 0.99)] if prompt else 99.0
                facts = (
                    f"{len(times)} answered, {failures} not, {len(dropped)} after a dropped SYN, median "
                    f"{statistics.median(prompt) * 1e3:.1f} ms, p99 {p99 * 1e3:.0f} ms, {largest >> 20} MiB"
                )
                assert failures == 0, facts
                assert len(prompt) > 20, facts
                assert p99 < 0.25, facts
                assert largest < 250 << 20, facts
        await app.kill()

    try:
        play(story())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
