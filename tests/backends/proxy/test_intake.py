"""What core.http says of a connection's bytes is what the live proxy answers to them over a socket."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from windtunnel.backends.fuzz.exchange import fire
from windtunnel.backends.load.targets import Target
from windtunnel.core.http.intake import ANSWERED, OPEN, PASSED, REFUSED, Message, read_wire
from windtunnel.core.http.statuses import REFUSALS
from windtunnel.scenarios.fuzz.strategies import hostile
from windtunnel.scenarios.fuzz.wire import Step, Wire, addressed

from .fleet import Request, fleet

SECOND = 1_000_000_000


async def right(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    if not request.line.startswith("HEAD "):
        writer.write(b"ok")


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """A proxy before one app server, in a loop of its own."""
    up, over = threading.Event(), threading.Event()
    ports: list[int] = []

    async def story() -> None:
        async with fleet(right) as made:
            ports.append(made.port)
            up.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(story()))
    thread.start()
    try:
        assert up.wait(30)
        yield Target(socket.AF_INET, ("127.0.0.1", ports[0]), f"127.0.0.1:{ports[0]}")
    finally:
        over.set()
        thread.join()


def verdict(pieces: list[tuple[bytes, float]]) -> list[Message]:
    now, timed = 0, []
    for data, pause in pieces:
        timed.append((now, data))
        now += round(pause * SECOND)
    return read_wire(timed)


def statuses(messages: list[Message]) -> tuple[int, ...]:
    """Those that come at once: what is only incomplete is waited for."""
    return tuple(one.status or 200 for one in messages if one.became != OPEN and one.status != 408)


def check_holds(target: Target, wire: Wire) -> None:
    pieces = addressed([(step.data, step.pause) for step in wire.steps], target.authority.encode())
    said = [verdict(pieces), verdict([(b"".join(data for data, _ in pieces), 0.0)])]
    assume(len(said[0]) <= 60)
    assert all(one.status in REFUSALS for all_said in said for one in all_said if one.became == REFUSED)
    expected = {statuses(one) for one in said}
    most = max(expected, key=len)
    methods = tuple(one.method.decode("latin-1") for one in said[0])
    answers = len(most) or -1
    seen = fire(target, Wire("", wire.steps, methods, answers, bool(most)), 10.0)
    assert seen.statuses in expected, (seen.received[:300], said[0])


hostile_bytes = st.one_of(
    hostile(), hostile(), st.binary(max_size=200).map(lambda data: Wire("", (Step(data + b"\r\n\r\n"),)))
)
GET = b"GET / HTTP/1.1\r\nHost: {authority}\r\n"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(hostile_bytes)
@example(Wire("", (Step(b"\r\n\r\n" + GET + b"\r\n"),)))
@example(Wire("", (Step(b"OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n" + GET + b"\r\n"),)))
@example(Wire("", (Step(GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n"),)))
@example(Wire("", (Step(GET + b"Connection: close\r\n\r\n" + GET + b"\r\n"),)))
@example(Wire("", (Step(GET + b"Content-Length: 9999999999\r\n\r\n"),)))
@example(Wire("", (Step(b"TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),)))
@example(Wire("", (Step(GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", 0.05), Step(b"loX\r\n"))))
def test_what_the_rules_say_is_what_the_proxy_answers(target: Target, wire: Wire) -> None:
    check_holds(target, wire)


@pytest.mark.long
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(hostile_bytes)
def test_what_the_rules_say_is_what_the_proxy_answers_thousands_of_times(target: Target, wire: Wire) -> None:
    check_holds(target, wire)


def test_times_and_ends() -> None:
    """Without a socket: what slow senders and senders who leave come to."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\n"
    post = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"

    def became(*pieces: tuple[float, bytes], left: float = -1) -> list[tuple[str, int, float]]:
        timed = [(round(time * SECOND), data) for time, data in pieces]
        return [
            (one.became, one.status, one.time / SECOND)
            for one in read_wire(timed, round(left * SECOND) if left >= 0 else -1)
        ]

    assert became((0, head), (9, b"\r\n")) == [(PASSED, 0, 9)]
    assert became((0, head), (11, b"\r\n")) == [(REFUSED, 408, 10)]
    assert became((1, head)) == [(REFUSED, 408, 11)]
    assert became((1, head), left=5) == [(OPEN, 0, 1)]
    assert became((0, post), (29, b"ab"), (58, b"cd")) == [(PASSED, 0, 58)]
    assert became((0, post), (29, b"ab")) == [(REFUSED, 408, 59)]
    assert became((0, post + b"abc"), left=40) == [(REFUSED, 408, 30)]
    assert became((0, post + b"abcd" + head), (2, b"\r\n"), left=1) == [(PASSED, 0, 0), (OPEN, 0, 0)]
    assert became((0, b"\r\n")) == []
    assert became((0, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n")) == [(ANSWERED, 200, 0)]
    (message,) = read_wire([(0, post + b"abcd")])
    assert (message.method, message.target, message.length, message.stays) == (b"POST", b"/a", 4, True)
