"""Content both ways: back-pressure, limits, timeouts, connections that end or become something else."""

import asyncio

import pytest
from windtunnel.backends.proxy import client as client_module
from windtunnel.core.model import SECOND, ProxySpec

from .fleet import GET, Request, echo, fleet, hello, play, settled, until


def test_expect_is_passed_on_and_answered() -> None:
    async def willing(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        request.content = await reader.readexactly(int(request.one("Content-Length")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def unwilling(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")

    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"

    async def story() -> None:
        async with fleet(willing) as world:
            client = await world.client()
            assert (await client.ask(head)).status == 100
            assert (await client.reply()).status == 103
            assert (await client.ask(b"abc")).status == 200
            assert world.apps[0].requests[0].content == b"abc"
        async with fleet(unwilling) as world:
            client = await world.client()
            reply = await client.ask(head)
            assert (reply.status, reply.fields["connection"]) == (417, "close")
            await client.closed()

    play(story())


def test_upgrade_is_passed_through() -> None:
    async def switching(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert request.one("Connection").lower() == "upgrade"
        assert request.one("Upgrade") == "websocket"
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst"
        )
        while data := await reader.read(1000):
            writer.write(data.upper())
        writer.close()

    async def story() -> None:
        async with fleet(switching) as world:
            client = await world.client()
            reply = await client.ask(
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly"
            )
            assert (reply.status, reply.fields["upgrade"]) == (101, "websocket")
            assert await client.reader.readexactly(10) == b"firstEARLY"
            await client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert await client.reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
            assert world.proxy.descriptors == 2
            client.close()
            await until(lambda: world.proxy.descriptors == 0)

    play(story())


@pytest.mark.parametrize("fields", [b"Upgrade: websocket\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n"])
def test_upgrades_that_are_not_passed_on(fields: bytes) -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            assert (await world.get(extra=fields)).status == 200
            assert world.apps[0].requests[0].all("Upgrade") == []
            assert world.apps[0].requests[0].all("Connection") == []

    play(story())


def test_a_slow_reader_of_a_large_answer_keeps_memory_bounded() -> None:
    size = 50 << 20
    written = [0]

    async def large(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()
            written[0] += 1 << 16

    async def story() -> None:
        async with fleet(large, fleet_options={"socket_buffer": 200_000}) as world:
            client = await world.client(limit=1 << 16)
            client.writer.write(GET)
            await until(lambda: world.proxy.active and written[0])
            await settled(written)
            # What is under way fits into the buffers of three sockets and two transports.
            assert written[0] < 40 << 20
            (connection,) = world.proxy.open_connections()
            assert connection.paused
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 2 << 20
            reply = await client.reply()
            assert len(reply.content) == size

    play(story())


def test_a_server_that_takes_nothing_stops_the_client() -> None:
    async def story() -> None:
        from .fleet import stream_in

        async with fleet(stream_in) as world:
            client = await world.client()
            sent = [0]

            async def send() -> None:
                client.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
                for _ in range(1000):
                    client.writer.write(bytes(100_000))
                    await client.writer.drain()
                    sent[0] += 100_000

            task = asyncio.create_task(send())
            await until(lambda: sent[0] > 0)
            await settled(sent)
            assert sent[0] < 60_000_000
            task.cancel()

    play(story())


def test_an_early_answer_ends_the_connection() -> None:
    async def early(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")

    async def story() -> None:
        async with fleet(early) as world:
            client = await world.client()
            reply = await client.ask(
                b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\nab"
            )
            assert (reply.status, reply.fields["connection"]) == (413, "close")

    play(story())


def test_timeouts_of_heads_content_and_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "HEADER_TIMEOUT", 0.5)
    monkeypatch.setattr(client_module, "CONTENT_TIMEOUT", 0.5)

    async def story() -> None:
        async with fleet(hello, spec=ProxySpec(keepalive_timeout=SECOND // 2)) as world:
            half = await world.client()
            assert (await half.ask(b"GET / HT")).status == 408
            post = await world.client()
            reply = await post.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            assert reply.status == 408
            idle = await world.client()
            assert (await idle.ask(GET)).status == 200
            assert await idle.closed() == b""
            fresh = await world.client()
            assert await fresh.closed() == b""
            await until(lambda: world.proxy.connections == 0)

    play(story())


def test_content_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windtunnel.core.http.arrivals.CONTENT_LIMIT", 1000)
    monkeypatch.setattr("windtunnel.core.http.framing.CONTENT_LIMIT", 1000)

    async def story() -> None:
        async with fleet(echo) as world:
            reply = await (await world.client()).ask(
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"
            )
            assert reply.status == 413
            chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + b"a" * 1024
            assert (await (await world.client()).ask(chunked)).status == 413

    play(story())


def test_a_client_that_leaves_frees_what_it_held() -> None:
    async def slow(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)

    async def story() -> None:
        async with fleet(slow) as world:
            client = await world.client()
            await client.send(GET)
            await until(lambda: world.apps[0].requests)
            assert world.proxy.descriptors == 2
            client.close()
            await until(lambda: world.proxy.descriptors == 0 and world.proxy.active == 0)

    play(story())


def test_a_last_answer_is_read_as_slowly_as_the_client_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LINGER", 0.1)
    size = 8 << 20

    async def large(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async def story() -> None:
        async with fleet(large, fleet_options={"socket_buffer": 100_000}) as world:
            client = await world.client(limit=1 << 14)
            client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            read = 0
            while data := await client.reader.read(1 << 18):
                read += len(data)
                if read < 1 << 20 or read > size - (1 << 18):
                    await asyncio.sleep(0.15)
            assert read > size

    play(story())
