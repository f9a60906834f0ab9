"""The parts of a hunt by themselves: the strict reader, the rules, addressing, shrinking."""

import pytest
from windtunnel.backends.fuzz.exchange import (
    ANSWERED,
    BROKEN,
    CLOSED,
    LEFT,
    SILENT,
    Exchange,
    fire,
)
from windtunnel.backends.fuzz.judge import Judge
from windtunnel.backends.fuzz.replies import read_replies
from windtunnel.backends.fuzz.shrinking import shrink
from windtunnel.scenarios.fuzz.choices import Choices, chance, several
from windtunnel.scenarios.fuzz.requests import Request
from windtunnel.scenarios.fuzz.wire import CLOSE, RESET, Step, Wire, addressed, wire_of

from .faulty import OK, serving

GET = Wire("known", (Step(b"GET / HTTP/1.1\r\nhost: {authority}\r\n\r\n"),), ("GET",), 1, True)
TWO = Wire("known", (Step(2 * GET.data),), ("GET", "GET"), 2, True)
HOSTILE = Wire("hostile/chunks", (Step(b"x"),), ("POST",))
REQUEST = Request("known", "GET", "/")


def statuses(data: bytes, *methods: str, ended: bool = False) -> tuple[list[int], bytes, str]:
    replies = read_replies(data, methods or ("GET",), ended)
    return [reply.status for reply in replies.complete], replies.rest, replies.wrong


@pytest.mark.parametrize(
    ("data", "methods", "ended", "expected"),
    [
        (OK, (), False, ([200], b"", "")),
        (OK + OK, (), False, ([200, 200], b"", "")),
        (OK[:-1], (), False, ([], OK[:-1], "")),
        (OK[:-2], ("HEAD",), False, ([200], b"", "")),
        (OK, ("HEAD",), False, ([200], b"ok", "no HTTP/1 answer")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (), False, ([200], b"", "")),
        (b"HTTP/1.1 204 No Content\r\n\r\n" + OK, (), False, ([204, 200], b"", "")),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", (), False, ([], b"HTTP/1.1 200 OK\r\n\r\nabc", "")),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", (), True, ([200], b"", "")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n", (), False, ([200], b"", "")),
        (b"HTTP/1.1 101 Switching\r\n\r\nabc", (), False, ([101], b"abc", "")),
        (b"HTT", (), False, ([], b"HTT", "")),
    ],
)  # fmt: skip
def test_answers_are_read(data: bytes, methods: tuple[str, ...], ended: bool, expected: object) -> None:
    assert statuses(data, *methods, ended=ended) == expected


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"<html>", "no HTTP/1 answer"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "a header line that is none"),
        (b"HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n", "a header line that is none"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", "the content length 1, 1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both length headers in an answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "the transfer coding gzip"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "a chunk without a size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "a chunk that does not end where its size says"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told(data: bytes, wrong: str) -> None:
    assert statuses(data)[2] == wrong


def seen(data: bytes, how: str = ANSWERED, *methods: str) -> Exchange:
    return Exchange(b"", data, how, read_replies(data, methods or ("GET",), how != ANSWERED), 1.0)


def answer(status: int, more: str = "", content: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{more}\r\n{content}".encode()


def kind(wire: Wire, request: Request | None, ours: Exchange, direct: Exchange | None = None) -> str | None:
    verdict = Judge(lambda request: {503}).verdict(wire, request, ours, direct)
    return None if verdict is None else verdict.kind


@pytest.mark.parametrize(
    ("wire", "request_", "ours", "direct", "expected"),
    [
        (GET, REQUEST, seen(answer(200)), None, None),
        (GET, REQUEST, seen(answer(503)), None, None),
        (GET, REQUEST, seen(answer(502, "windtunnel-cause: upstream_reset\r\n")), None, "status 502 upstream_reset"),
        (GET, REQUEST, seen(answer(501)), None, "status 501"),
        (GET, Request("methods", "FUZZ", "/"), seen(answer(501)), None, None),
        (HOSTILE, None, seen(answer(505)), None, None),
        (HOSTILE, None, seen(answer(500)), None, "status 500"),
        (GET, REQUEST, seen(b"", BROKEN), None, "reset"),
        (GET, REQUEST, seen(answer(200, content="ab")[:-1], CLOSED), None, "closed within an answer"),
        (GET, REQUEST, seen(b"", SILENT), None, "hang"),
        (HOSTILE, None, seen(b"", SILENT), None, None),
        (HOSTILE, None, seen(b"", CLOSED), None, None),
        (GET, REQUEST, seen(answer(200)), seen(answer(404)), "disagreement 200 404"),
        (GET, REQUEST, seen(answer(431)), seen(answer(200)), None),
        (GET, REQUEST, seen(answer(200, content="a")), seen(answer(200, content="b")), "disagreement content"),
        (GET, REQUEST, seen(answer(200, "Allow: GET\r\n")), seen(answer(200)), "disagreement allow"),
        (GET, REQUEST, seen(answer(400, content="a")), seen(answer(400, content="b")), None),
        (GET, REQUEST, seen(answer(404)), seen(answer(500)), "app server: status 500"),
        (HOSTILE, None, seen(answer(200)), seen(answer(200) + answer(404)), "disagreement on framing"),
        (HOSTILE, None, seen(answer(400)), seen(answer(200) + answer(404)), None),
        (TWO, REQUEST, seen(answer(200), CLOSED), None, "closed"),
        (TWO, REQUEST, seen(answer(408), CLOSED), None, None),
        (TWO, REQUEST, seen(answer(505), CLOSED), None, "status 505"),
        (TWO, REQUEST, seen(answer(404), CLOSED), None, "closed"),
        (GET, REQUEST, seen(OK + OK), None, "surplus answer"),
        (GET, REQUEST, seen(OK + b"x"), None, "surplus bytes"),
    ],
)  # fmt: skip
def test_the_rules(
    wire: Wire, request_: Request | None, ours: Exchange, direct: Exchange | None, expected: str | None
) -> None:
    assert kind(wire, request_, ours, direct) == expected


def test_an_address_that_two_pieces_share() -> None:
    pieces = [(b"Host: {aut", 0.1), (b"hority}\r\n", 0.2), (b"{auth", 0.0)]
    assert addressed(pieces, b"h:1") == [
        (b"Host: ", 0.1),
        (b"h:1\r\n", 0.2),
        (b"", 0.0),
        (b"{auth", 0.0),
    ]


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_client_that_leaves(end: str) -> None:
    with serving() as server:
        wire = Wire("x", (Step(b"GET / HT", 0.01),), end=end)
        assert fire(server.target, wire, 5.0).how == LEFT
        assert fire(server.target, GET, 5.0).statuses == (200,)


def test_large_requests_and_answers_pass() -> None:
    content = b"a" * 3_000_000
    with serving(lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + content) as server:
        asked = wire_of(Request("bodies", "POST", "/", (), content.decode(), "text/plain"))
        exchange = fire(server.target, asked, 20.0)
    assert exchange.how == ANSWERED
    assert exchange.replies.complete[0].content == content


def test_answers_that_are_never_read_do_not_block() -> None:
    many = Wire("x", (Step(GET.data * 20_000, 0.05),), end=CLOSE, reads=False)
    with serving(
        lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    ) as server:
        exchange = fire(server.target, many, 0.5)
    assert (exchange.how, exchange.received) == (LEFT, b"")


def test_shrinking_finds_the_least_and_gives_up_in_time() -> None:
    def make(choices: Choices) -> list[int]:
        return several(choices, lambda part: part.below(1000), 50, 9, 10)

    from windtunnel.scenarios.fuzz.choices import DrawnChoices

    number = 0
    while True:
        choices = DrawnChoices(1, number)
        made = make(choices)
        if sum(made) > 2000:
            break
        number += 1
    assert shrink(make, choices.taken, lambda one: max(one, default=0) >= 300, len, 30.0) == [300]
    assert shrink(make, choices.taken, lambda one: len(one) >= 2, len, 30.0) == [0, 0]
    # No time: what was there to begin with.
    assert shrink(make, choices.taken, lambda one: sum(one) > 2000, len, 0.0) == made
    # It does not happen again.
    assert shrink(make, choices.taken, lambda one: False, len, 30.0) is None
    assert not chance(choices, 0, 2)
