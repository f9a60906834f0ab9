"""Malformed and hostile bytes: what no load tool sends, and what a proxy must survive, refuse, or read as its servers do (RFC 9112; RFC 9110, section 5.5)."""

from collections.abc import Callable
from itertools import pairwise

from .choices import Choices, between, chance, pick, several, weighted
from .wire import CLOSE, HALF_CLOSE, RESET, WAIT, Step, Wire

_HOST = b"Host: {authority}\r\n"
_GET = b"GET / HTTP/1.1\r\n" + _HOST
_POST = b"POST / HTTP/1.1\r\n" + _HOST
_WHOLE = _GET + b"\r\n"

_REQUEST_LINES = (
    b"GET", b"", b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET\t/\tHTTP/1.1", b"GET / http/1.1", b"GET / HTTP/1.2",
    b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET / HTTP/11", b"GET / HTTP/1.10", b"GET / HTTP/1", b"GET / HTP/1.1", b"GET / HTTP/ 1.1", b"/ GET HTTP/1.1",
    b"GET a HTTP/1.1", b"GET * HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /%zz HTTP/1.1", b"GET /% HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET /\x00 HTTP/1.1",
    b"GET /\x7f HTTP/1.1", b"GET /#a HTTP/1.1", b"GET http:// HTTP/1.1", b"GET http://{authority} HTTP/1.1", b"GET http://other/ HTTP/1.1",
    b"GET http://a@{authority}/ HTTP/1.1", b"GET ftp://{authority}/ HTTP/1.1", b"GET //{authority}/ HTTP/1.1", b"CONNECT {authority} HTTP/1.1",
    b"CONNECT / HTTP/1.1", b"PRI * HTTP/2.0", b"G\x01T / HTTP/1.1", b"G(T / HTTP/1.1", b"GET / HTTP/1.1\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"A" * 9000 + b" / HTTP/1.1", b"GET / HTTP/9999999999.1", b"HTTP/1.1 200 OK",
)  # fmt: skip

_LENGTHS = (
    b"5", b"+5", b"-5", b"05", b"5 ", b"5,5", b"5, 5", b"5;", b"0x5", b"5.0", b"", b"a", b"4", b"6", b"1e1", b"99999999999999999999", b"18446744073709551621",
    b"\xd9\xa5", b"5\x0b", b"0",
)  # fmt: skip
_CODINGS = (
    b"chunked", b"Chunked", b"chunked ", b"\tchunked", b"\x0bchunked", b"chunked\x0b", b"chunked, chunked", b"chunked, identity", b"identity, chunked",
    b"identity", b"gzip", b"gzip, chunked", b"xchunked", b"chunked;a=b", b'"chunked"', b"", b",chunked", b"chunk", b"chunked\x00",
)  # fmt: skip
_LINES = (
    b"X: a", b"X : a", b" X: a", b"X\t: a", b": a", b"X", b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\rb", b"X: a\nb", b"X: a\x00b", b"X: a\x01b", b"X: \xff\xfe",
    b"\xffX: a", b"X(: a", b'"X": a', b"X: a\r", b"X: a\nY: b", b"X:a\r\r\nY: b", b"X\r\nY: a", b"Host: {authority}", b"Host: other", b"Host: a b", b"Host:",
    b"Host : other", b"Host: {authority},other", b"Connection: close, content-length", b"Connection: host", b"Connection: X, keep-alive", b"Expect: nothing",
    b"Upgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__", b"Content-Length: 0\r\nContent-Length: 0",
    b"Content-Length: 0, 0", b"Trailer: Content-Length", b"Max-Forwards: x", b"X: " + b"a" * 20_000, b"X: a\r\n " + b"b" * 20_000, b"X" * 20_000 + b": a",
    b"\r\nX: a".join([b""] * 300)[2:], b"Keep-Alive: timeout=99999999999", b"TE: chunked;q=2",
)  # fmt: skip
_CHUNKED = (
    b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5;\r\nhello\r\n0\r\n\r\n", b"05\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n", b"5_0\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n", b"5\x00\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\nhello", b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"7fffffff\r\nhello", b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n", b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    b"5\r\r\nhello\r\n0\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nX: a\r\n\r\n", b"0\r\nX : a\r\n\r\n", b"0\r\n X\r\n\r\n", b"0\n\r\n", b"0\r\n", b"5\r\nhel", b"00000000000000000\r\n\r\n",
    b"0\r\n" + b"X: a\r\n" * 300 + b"\r\n", b"1\r\na\r\n" * 500 + b"0\r\n\r\n",
)  # fmt: skip
"""The first of each is right and the simplest."""

_SLOW = 0.02
"""Seconds between pieces that come slowly: long enough to come apart, short enough for many requests."""
_LONGER = 0.25


def hostile_wire(choices: Choices) -> Wire:
    """Bytes of one of the kinds."""
    name, make = weighted(choices, [((name, make), weight) for name, make, weight in _KINDS])
    wire = choices.part(make)
    return Wire(
        f"hostile/{name}", wire.steps, wire.methods, wire.answers, wire.complete, wire.end, wire.reads
    )


def _cut(choices: Choices, data: bytes) -> tuple[Step, ...]:
    """*data* in one piece, or in several that arrive one by one."""
    if not chance(choices, 1, 4):
        return (Step(data),)
    places = sorted(
        {between(choices, 1, len(data) - 1) for _ in range(1 + choices.below(3))} if len(data) > 1 else ()
    )
    cuts = [0, *places, len(data)]
    return tuple(Step(data[begin:end], _SLOW) for begin, end in pairwise(cuts))


def _end(choices: Choices) -> str:
    return pick(choices, (WAIT, WAIT, WAIT, HALF_CLOSE, CLOSE, RESET))


def _request_line(choices: Choices) -> Wire:
    line = pick(choices, _REQUEST_LINES)
    headers = b"" if chance(choices, 1, 6) else _HOST
    return Wire(
        "", _cut(choices, line + b"\r\n" + headers + b"\r\n"), ("GET",), -1, bool(line), _end(choices)
    )


def _header_lines(choices: Choices) -> Wire:
    lines = [pick(choices, _LINES), *several(choices, lambda part: pick(part, _LINES), 2, 1, 4)]
    first = b"GET / HTTP/1.1\r\n" + (b"" if chance(choices, 1, 10) else _HOST)
    return Wire(
        "", _cut(choices, first + b"\r\n".join(lines) + b"\r\n\r\n"), ("GET",), -1, False, _end(choices)
    )


def _line_ends(choices: Choices) -> Wire:
    """Lines that end with something else than CR LF."""
    end = pick(choices, (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\n", b"\x0b", b"\xc2\x85", b"\r\n "))
    request = pick(choices, (_WHOLE, _GET + b"X: a\r\n\r\n", _POST + b"Content-Length: 5\r\n\r\nhello"))
    lines = request.split(b"\r\n")
    if chance(choices, 1, 2):
        data = end.join(lines)
    else:
        at = between(choices, 1, len(lines) - 1)
        data = b"\r\n".join(lines[:at]) + end + b"\r\n".join(lines[at:])
    return Wire("", _cut(choices, data), ("GET",), -1, False, _end(choices))


def _lengths(choices: Choices) -> Wire:
    """Content whose length is said wrongly, or twice."""
    values = [pick(choices, _LENGTHS), *several(choices, lambda part: pick(part, _LENGTHS), 2, 1, 2)]
    lines = b"".join(b"Content-Length: " + value + b"\r\n" for value in values)
    return Wire("", _cut(choices, _POST + lines + b"\r\nhello"), ("POST",), -1, False, _end(choices))


def _both(choices: Choices) -> Wire:
    """Both length headers at once, and a request hidden in the content."""
    coding = b"Transfer-Encoding: " + pick(choices, _CODINGS) + b"\r\n"
    hidden = pick(choices, (b"", b"GET /hidden HTTP/1.1\r\nX: "))
    content = b"0\r\n\r\n" + hidden if chance(choices, 1, 2) else b"5\r\nhello\r\n0\r\n\r\n" + hidden
    length = b"Content-Length: " + pick(choices, (b"%d" % len(content), b"0", b"3", b"5", b"-1")) + b"\r\n"
    name = pick(
        choices,
        (
            None,
            b"Transfer-Encoding :",
            b" Transfer-Encoding:",
            b"transfer_encoding:",
            b"X: a\nTransfer-Encoding:",
        ),
    )
    if name is not None:
        coding = name + coding.partition(b":")[2]
    lines = (length, coding) if chance(choices, 1, 2) else (coding, length)
    head = _POST if not chance(choices, 1, 8) else _POST.replace(b"1.1", b"1.0")
    return Wire(
        "", _cut(choices, head + b"".join(lines) + b"\r\n" + content), ("POST",), -1, False, _end(choices)
    )


def _chunks(choices: Choices) -> Wire:
    coding = (
        b"Transfer-Encoding: "
        + (b"chunked" if not chance(choices, 1, 4) else pick(choices, _CODINGS))
        + b"\r\n"
    )
    content = pick(choices, _CHUNKED)
    more = b"" if not chance(choices, 1, 4) else b"\r\nhidden"
    return Wire(
        "", _cut(choices, _POST + coding + b"\r\n" + content + more), ("POST",), -1, False, _end(choices)
    )


def _pipelined(choices: Choices) -> Wire:
    """Requests in one go: legal, and each must have its answer, in order."""
    kinds = (_WHOLE, b"HEAD / HTTP/1.1\r\n" + _HOST + b"\r\n", _POST + b"Content-Length: 5\r\n\r\nhello", _POST + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKED[0],
             b"\r\n" + _WHOLE, b"GET /404 HTTP/1.1\r\n" + _HOST + b"\r\n")  # fmt: skip
    requests = [pick(choices, kinds), *several(choices, lambda part: pick(part, kinds), 30, 3, 4)]
    methods = tuple(request.lstrip().split(b" ")[0].decode() for request in requests)
    return Wire("", _cut(choices, b"".join(requests)), methods, len(requests), True)


def _slow_headers(choices: Choices) -> Wire:
    """A head in small pieces, which becomes complete, or never does."""
    data = _GET + b"X: a\r\n" * (1 + choices.below(4)) + b"\r\n"
    size = between(choices, 4, 16)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    if chance(choices, 1, 2):
        return Wire(
            "",
            tuple(Step(piece, _SLOW) for piece in pieces[:-1]),
            ("GET",),
            -1,
            False,
            pick(choices, (CLOSE, HALF_CLOSE, RESET)),
        )
    return Wire("", tuple(Step(piece, _SLOW) for piece in pieces), ("GET",), 1, True)


def _slow_body(choices: Choices) -> Wire:
    """Content in small pieces, which becomes complete, or never does."""
    count = 2 + choices.below(10)
    if chance(choices, 1, 2):
        head, pieces = _POST + b"Transfer-Encoding: chunked\r\n\r\n", [b"1\r\na\r\n"] * count + [b"0\r\n\r\n"]
    else:
        head, pieces = _POST + b"Content-Length: %d\r\n\r\n" % count, [b"a"] * count
    if chance(choices, 1, 2):
        steps = (Step(head, _SLOW), *(Step(piece, _SLOW) for piece in pieces[:-1]))
        return Wire("", steps, ("POST",), -1, False, pick(choices, (CLOSE, HALF_CLOSE, RESET)))
    return Wire("", (Step(head, _SLOW), *(Step(piece, _SLOW) for piece in pieces)), ("POST",), 1, True)


def _never_read(choices: Choices) -> Wire:
    """Requests whose answers are never read."""
    count = pick(choices, (1, 20, 200, 1000))
    return Wire(
        "", (Step(_WHOLE * count, _LONGER),), (), -1, False, pick(choices, (CLOSE, RESET)), reads=False
    )


def _truncated(choices: Choices) -> Wire:
    """A request that breaks off."""
    whole = pick(
        choices,
        (
            _WHOLE,
            _POST + b"Content-Length: 5\r\n\r\nhello",
            _POST + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKED[0],
        ),
    )
    cut = between(choices, 1, len(whole) - 1)
    return Wire(
        "", (Step(whole[:cut], _SLOW),), ("GET",), -1, False, pick(choices, (CLOSE, HALF_CLOSE, RESET))
    )


def _noise(choices: Choices) -> Wire:
    """Bytes that are no HTTP at all."""
    data = bytes(several(choices, lambda part: part.below(256), 200, 15, 16))
    return Wire("", _cut(choices, data + b"\r\n\r\n"), (), -1, False, _end(choices))


_KINDS: tuple[tuple[str, Callable[[Choices], Wire], int], ...] = (
    ("pipelined", _pipelined, 2), ("header_lines", _header_lines, 5), ("request_line", _request_line, 4), ("line_ends", _line_ends, 2),
    ("lengths", _lengths, 3), ("both_lengths", _both, 4), ("chunks", _chunks, 4), ("slow_headers", _slow_headers, 1), ("slow_body", _slow_body, 1),
    ("never_read", _never_read, 1), ("truncated", _truncated, 1), ("noise", _noise, 1),
)  # fmt: skip
