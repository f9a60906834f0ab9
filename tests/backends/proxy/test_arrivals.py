"""A request that is remembered as a whole is the one that was read, and only what may be answered like the one before is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.http.arrivals import known_alone, next_request
from windtunnel.core.http.fields import Malformed
from windtunnel.core.http.heads import CACHED_HEAD_LENGTH, CACHED_HEADS
from windtunnel.tests.backends.proxy.fleet import GET, fleet, hello, play

START = b"GET /alone HTTP/1.1\r\nHost: a\r\n"


def test_a_request_that_was_read_is_known() -> None:
    data = START + b"X: known\r\n\r\n"
    assert known_alone(data) is None
    first = next_request(data, 0)
    assert first is not None
    assert (first.named, first.rest) == (b"", b"")
    assert known_alone(data) is first.head


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (START + b"X: 1\r\n", None),
        (START + b"\r\nGET", b"GET"),
        (START + b"Content-Length: 3\r\n\r\n", b""),
        (START + b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (START + b"Transfer-Encoding: chunked\r\n\r\n", b""),
        (START + b"windtunnel-request: 0-1-1\r\n\r\n", b""),
        (START + b"Windtunnel-Request: 0-1-1\r\n\r\n", b""),
        (START + b"windtunnel-request: rubbish\r\n\r\n", b""),
        (b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", b""),
        (START + b"X: " + b"x" * CACHED_HEAD_LENGTH + b"\r\n\r\n", b""),
    ],
)
def test_what_needs_a_look_of_its_own_is_not_remembered(data: bytes, rest: bytes | None) -> None:
    arrived = next_request(data, 0)
    assert (arrived and arrived.rest) == rest
    assert known_alone(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        START + b"windtunnel-request: 0-1-1\r\nwindtunnel-request: 0-1-1\r\n\r\n",
        START + b"X: a\rb\r\n\r\n",
    ],
)
def test_what_is_refused_is_refused_again(data: bytes) -> None:
    for _ in range(2):
        with pytest.raises(Malformed):
            next_request(data, 0)
        assert known_alone(data) is None


def test_so_many_are_remembered_and_no_more() -> None:
    requests = [START + b"X: %d\r\n\r\n" % number for number in range(2 * CACHED_HEADS)]
    for data in requests:
        next_request(data, 0)
    assert 0 < sum(known_alone(data) is not None for data in requests) <= CACHED_HEADS


@given(st.integers(1, len(GET) - 1))
def test_a_known_request_may_still_arrive_in_pieces_and_with_others(cut: int) -> None:
    first = next_request(GET, 0)
    assert first is not None
    assert next_request(GET[:cut], 0) is None
    assert known_alone(GET[:cut]) is None
    assert known_alone(GET + GET[:cut]) is None
    both = next_request(GET + GET[:cut], cut)
    assert both is not None
    assert both.head is first.head
    assert both.rest == GET[:cut]


def test_a_known_request_is_served_like_any() -> None:
    async def story() -> None:
        async with fleet(hello, hello) as world:
            client = await world.client()
            for _ in range(4):
                assert (await client.ask(GET)).content == b"hello"
            head = GET.replace(b"GET", b"HEAD")
            for _ in range(2):
                assert (await client.ask(head, "HEAD")).fields["content-length"] == "5"
            await client.send(GET + GET[:9])
            assert (await client.reply()).content == b"hello"
            await client.send(GET[9:] + b"\r\n" + GET)
            assert (await client.reply()).content == b"hello"
            assert (await client.reply()).content == b"hello"
            old = GET.replace(b"1.1", b"1.0")
            for _ in range(2):
                other = await world.client()
                reply = await other.ask(old)
                assert reply.fields["connection"] == "close"
                assert reply.fields["via"] == "1.1 windtunnel"
                assert await other.closed() == b""
            # In turn between both servers, each request the same to a byte.
            sent = [[request.raw for request in app.requests] for app in world.apps]
            assert abs(len(sent[0]) - len(sent[1])) <= 1
            assert sum(map(len, sent)) == 11
            assert {
                raw.replace(b"Via: 1.0", b"Via: 1.1") for raws in sent for raw in raws if raw[:3] == b"GET"
            } == {sent[0][0]}

    play(story())
