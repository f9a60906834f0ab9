"""The proxy as an HTTP/1.1 intermediary, over real sockets."""

import asyncio

import pytest

from .fleet import GET, Request, echo, fleet, hello, play
from .test_heads import REFUSED


def answering(data: bytes, close: bool = False):  # type: ignore[no-untyped-def]
    """A handler that writes *data*."""

    async def handler(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            await writer.drain()
            writer.close()

    return handler


def test_a_request_and_its_answer() -> None:
    async def story() -> None:
        async with fleet(
            answering(b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\nConnection: X\r\n\r\nok")
        ) as world:
            client = await world.client()
            for _ in range(3):
                reply = await client.ask(b"GET /a?b HTTP/1.1\r\nHost: shop:80\r\nCookie: c\r\n\r\n")
                assert (reply.status, reply.content) == (200, b"ok")
                assert reply.fields["via"] == "1.1 windtunnel"
                assert "x" not in reply.fields
                assert "connection" not in reply.fields
            (app,) = world.apps
            assert app.connections == 1
            request = app.requests[-1]
            assert request.line == "GET /a?b HTTP/1.1"
            assert request.one("Host") == "shop:80"
            assert request.one("Cookie") == "c"
            assert request.one("X-Forwarded-For") == "127.0.0.1"
            assert request.one("X-Forwarded-Host") == "shop:80"
            assert request.one("Via") == "1.1 windtunnel"

    play(story())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_nothing_ambiguous_reaches_an_app_server(name: str) -> None:
    block, status = REFUSED[name]

    async def story() -> None:
        async with fleet(hello) as world:
            client = await world.client()
            reply = await client.ask(block + b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reply.status == status
            assert reply.fields["connection"] == "close"
            assert reply.cause == "bad_request"
            assert await client.closed() == b""
            assert world.apps[0].requests == []

    play(story())


@pytest.mark.parametrize(
    "chunks", [b"5\r\nhelloX\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5;\r\nhello\r\n0\r\n\r\n"]
)
def test_bad_chunks_of_a_request(chunks: bytes) -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            client = await world.client()
            reply = await client.ask(
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
            )
            assert reply.status == 400
            await client.closed()
            assert world.proxy.requests == 1

    play(story())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def numbered(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = int(request.line.split()[1][1:])
        await asyncio.sleep(0.002 * (number % 3))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d" % number)

    async def story() -> None:
        async with fleet(numbered, numbered) as world:
            client = await world.client()
            await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(100)))
            assert [int((await client.reply()).content) for _ in range(100)] == list(range(100))

    play(story())


def test_many_pipelined_requests_that_fail_at_once() -> None:
    async def story() -> None:
        async with fleet() as world:
            client = await world.client()
            sending = asyncio.create_task(client.send(GET * 5_000))
            for _ in range(5_000):
                reply = await client.reply()
                assert (reply.status, reply.cause) == (503, "no_server")
            assert reply.fields["retry-after"] == "1"
            await sending

    play(story())


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_chunked_both_ways_with_trailers(step: int) -> None:
    async def both(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        data += b"%x;ext=1\r\n%b\r\n0\r\nX-Sum: 9\r\n\r\n" % (len(request.content), request.content)
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            await writer.drain()

    async def story() -> None:
        async with fleet(both) as world:
            client = await world.client()
            for _ in range(2):
                data = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;a=b\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
                for at in range(0, len(data), step):
                    await client.send(data[at : at + step])
                reply = await client.reply()
                assert reply.content == b"abcde"
                assert reply.trailers == ["X-Sum: 9"]
            assert world.apps[0].requests[0].one("trailer X-T") == "1"
            assert world.apps[0].connections == 1

    play(story())


def test_content_by_length_and_a_request_behind_it() -> None:
    async def story() -> None:
        async with fleet(echo) as world:
            client = await world.client()
            big = bytes(range(256)) * 2_000
            await client.send(
                b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(big) + big + GET
            )
            assert (await client.reply()).content == big
            assert (await client.reply()).status == 200

    play(story())


@pytest.mark.parametrize(
    ("method", "answer", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 200),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", 304),
    ],
)
def test_answers_without_content(method: str, answer: bytes, status: int) -> None:
    async def story() -> None:
        async with fleet(answering(answer)) as world:
            client = await world.client()
            for _ in range(2):
                reply = await client.ask(f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode(), method)
                assert reply.status == status
                assert ("content-length" in reply.fields) == (b"Content-Length" in answer)
            assert world.apps[0].connections == 1

    play(story())


def test_an_answer_that_ends_with_the_connection() -> None:
    async def story() -> None:
        async with fleet(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000, close=True)) as world:
            client = await world.client()
            for _ in range(2):
                reply = await client.ask(GET)
                assert reply.content == b"x" * 1000
                assert reply.fields["transfer-encoding"] == "chunked"
            old = await world.client()
            reply = await old.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert reply.content == b"x" * 1000
            assert reply.fields["connection"] == "close"

    play(story())


def test_old_clients() -> None:
    async def story() -> None:
        chunked = answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        async with fleet(chunked) as world:
            client = await world.client()
            reply = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert "transfer-encoding" not in reply.fields
            assert reply.content == b"ok"
        async with fleet(hello) as world:
            client = await world.client()
            for _ in range(2):
                reply = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                assert reply.fields["connection"] == "keep-alive"

    play(story())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_ambiguous_answers_are_not_passed_on(answer: bytes) -> None:
    async def story() -> None:
        async with fleet(answering(answer)) as world:
            reply = await world.get()
            assert (reply.status, reply.cause) == (502, "upstream_reset")

    play(story())


def test_an_answer_that_breaks_off_is_broken_for_the_client() -> None:
    async def story() -> None:
        for answer in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ):
            async with fleet(answering(answer, close=True)) as world:
                client = await world.client()
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await client.ask(GET)

    play(story())


def test_what_comes_unasked_is_never_anybodys_answer() -> None:
    async def story() -> None:
        extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        async with fleet(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + extra)) as world:
            for _ in range(5):
                assert (await world.get()).content == b"ok"
            assert world.apps[0].connections == 5

    play(story())


def test_max_forwards_and_trace() -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            client = await world.client()
            reply = await client.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n")
            assert reply.status == 200
            assert world.apps[0].requests == []
            await client.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 3\r\n\r\n")
            assert world.apps[0].requests[0].one("Max-Forwards") == "2"
            reply = await client.ask(b"TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
            assert reply.status == 400

    play(story())
