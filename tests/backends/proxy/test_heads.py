"""Reading heads and content: what is accepted, what is refused, and that neither depends on how the bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.backends.proxy.messages import answer_bytes, request_bytes
from windtunnel.core.http.fields import (
    HEAD_LIMIT,
    LINE_LIMIT,
    LINES_LIMIT,
    Malformed,
    known_fields,
    read_field,
)
from windtunnel.core.http.framing import ChunkedReader, LengthReader, chunk, last_chunk
from windtunnel.core.http.heads import START_LIMIT, find_end, read_request, read_response, take_line

HOST = b"\r\nHost: a"

REFUSED = {
    "two lengths": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 1\r\nContent-Length: 1", 400),
    "a list of lengths": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 1, 1", 400),
    "signed length": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: +1", 400),
    "negative length": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: -1", 400),
    "hexadecimal length": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 0x1", 400),
    "length with a blank inside": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 1 1", 400),
    "length with an underscore": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 1_0", 400),
    "empty length": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length:", 400),
    "endless length": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: " + b"9" * 30, 400),
    "superscript length": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: \xb2", 400),
    "both": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400),
    "both, the other order": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 1", 400),
    "two codings": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: gzip, chunked", 400),
    "unknown coding": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: identity", 400),
    "repeated coding": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    "coding with a tail": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked;x", 400),
    "coding with a vertical tab": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: \x0bchunked", 400),
    "coding in 1.0": (b"GET / HTTP/1.0" + HOST + b"\r\nTransfer-Encoding: chunked", 400),
    "underscored coding": (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer_Encoding: chunked", 400),
    "blank before the colon": (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length : 1", 400),
    "folded": (b"GET / HTTP/1.1" + HOST + b"\r\nX: 1\r\n 2", 400),
    "folded at first": (b"GET / HTTP/1.1\r\n Host: a", 400),
    "no colon": (b"GET / HTTP/1.1" + HOST + b"\r\nX", 400),
    "no name": (b"GET / HTTP/1.1" + HOST + b"\r\n: 1", 400),
    "NUL": (b"GET / HTTP/1.1" + HOST + b"\r\nX: a\0b", 400),
    "NUL in a name": (b"GET / HTTP/1.1" + HOST + b"\r\nX\0: a", 400),
    "bare CR": (b"GET / HTTP/1.1" + HOST + b"\r\nX: a\rY: b", 400),
    "bare LF": (b"GET / HTTP/1.1" + HOST + b"\r\nX: a\nY: b", 400),
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: a", 400),
    "delete": (b"GET / HTTP/1.1" + HOST + b"\r\nX: \x7f", 400),
    "no Host": (b"GET / HTTP/1.1", 400),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a", 400),
    "two Hosts in one": (b"GET / HTTP/1.1\r\nHost: a, b", 400),
    "Host with a user": (b"GET / HTTP/1.1\r\nHost: a@b", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b", 400),
    "Host with a word as port": (b"GET / HTTP/1.1\r\nHost: a:b", 400),
    "absolute target, other Host": (b"GET http://b/ HTTP/1.1\r\nHost: a", 400),
    "absolute target, other port": (b"GET http://a:81/ HTTP/1.1\r\nHost: a", 400),
    "absolute target without host": (b"GET http:///x HTTP/1.1\r\nHost: a", 400),
    "other scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a", 400),
    "relative target": (b"GET a HTTP/1.1\r\nHost: a", 400),
    "star": (b"GET * HTTP/1.1\r\nHost: a", 400),
    "fragment": (b"GET /#a HTTP/1.1\r\nHost: a", 400),
    "two blanks": (b"GET  / HTTP/1.1\r\nHost: a", 400),
    "blank in the target": (b"GET /a b HTTP/1.1\r\nHost: a", 400),
    "blank at the end": (b"GET / HTTP/1.1 \r\nHost: a", 400),
    "tab": (b"GET\t/ HTTP/1.1\r\nHost: a", 400),
    "no version": (b"GET /\r\nHost: a", 400),
    "no method": (b" / HTTP/1.1\r\nHost: a", 400),
    "method with a colon": (b"GE:T / HTTP/1.1\r\nHost: a", 400),
    "target that is not ASCII": (b"GET /\xff HTTP/1.1\r\nHost: a", 400),
    "lower-case version": (b"GET / http/1.1\r\nHost: a", 400),
    "long version": (b"GET / HTTP/1.10\r\nHost: a", 400),
    "HTTP/2": (b"PRI * HTTP/2.0", 505),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\nHost: a", 505),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1", 501),
    "nominated Host": (b"GET / HTTP/1.1" + HOST + b"\r\nConnection: host", 400),
    "nominated length": (b"GET / HTTP/1.1" + HOST + b"\r\nConnection: close, Content-Length", 400),
    "other expectation": (b"GET / HTTP/1.1" + HOST + b"\r\nExpect: miracles", 417),
    "long line": (b"GET / HTTP/1.1" + HOST + b"\r\nX: " + b"a" * LINE_LIMIT, 431),
    "many lines": (b"GET / HTTP/1.1" + HOST + b"\r\nX: a" * LINES_LIMIT, 431),
    "long target": (b"GET /" + b"a" * START_LIMIT + b" HTTP/1.1" + HOST, 414),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    block, status = REFUSED[name]
    for _ in range(2):  # The second time some lines are known.
        assert find_end(block + b"\r\n\r\n") == len(block)
        with pytest.raises(Malformed) as refusal:
            read_request(block)
        assert refusal.value.status == status


@pytest.mark.parametrize(
    ("block", "start", "host"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", b"GET / HTTP/1.1", b"a"),
        (b"GET http://A:80/x?y HTTP/1.1\r\nHost: a:80", b"GET /x?y HTTP/1.1", b"a:80"),
        (b"GET http://a HTTP/1.0", b"GET / HTTP/1.1", b"a"),
        (b"GET http://a?q HTTP/1.1\r\nhOST:a", b"GET /?q HTTP/1.1", b"a"),
        (b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80", b"OPTIONS * HTTP/1.1", b"[::1]:80"),
        (b"OPTIONS http://a HTTP/1.1\r\nHost: a", b"OPTIONS * HTTP/1.1", b"a"),
        (b"m-search /a//b/../c HTTP/1.1\r\nHost: a.b-c", b"m-search /a//b/../c HTTP/1.1", b"a.b-c"),
        (b"GET / HTTP/1.0", b"GET / HTTP/1.1", b"localhost"),
    ],
)
def test_targets_go_on_in_origin_form(block: bytes, start: bytes, host: bytes) -> None:
    head = read_request(block)
    assert (head.start, head.host) == (start, host)


def test_fields_of_the_hop_go_no_further() -> None:
    head = read_request(
        b"GET / HTTP/1.1\r\nSecret: 1\r\nHost: a\r\nConnection: Secret, keep-alive, close\r\nKeep-Alive: 1\r\nTE: gzip, trailers\r\n"
        b"Proxy-Connection: x\r\nUpgrade: y\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Host: evil\r\nX-Kept: 1  \r\nVia: 1.1 other\r\n"
        b"windtunnel-app: 1-2-3-4\r\nProxy-Authorization: x"
    )
    head.upgrade = b""
    sent = request_bytes(head, b"127.0.0.1").split(b"\r\n")
    assert sent == [
        b"GET / HTTP/1.1", b"Host: a", b"X-Kept: 1", b"Via: 1.1 other", b"TE: trailers", b"Connection: TE",
        b"X-Forwarded-For: 9.9.9.9, 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: a",
        b"Via: 1.1 windtunnel", b"", b"",
    ]  # fmt: skip
    assert not head.keep_alive


@pytest.mark.parametrize(
    ("block", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: Close", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive", False),
        (b"GET / HTTP/1.0\r\nHost: a", False),
        (b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive", True),
    ],
)
def test_whether_the_connection_stays(block: bytes, keep_alive: bool) -> None:
    assert read_request(block).keep_alive is keep_alive


@pytest.mark.parametrize(
    "block",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nX: a\rb",
        b"HTTP/1.1 200 OK\r\nX: a\nb",
        b"HTTP/1.1 200 OK\r\nX : a",
        b"HTTP/1.1 200 OK\r\n folded",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 999 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.1 200 O\0K",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked",
        b"ICY 200 OK",
        b"",
    ],
)
def test_answers_are_held_to_the_same(block: bytes) -> None:
    with pytest.raises(Malformed):
        read_response(block)


def test_an_answer_goes_on_without_fields_of_the_hop() -> None:
    head = read_response(
        b"HTTP/1.0 404 Nobody Home\r\nContent-Length: 3\r\nKeep-Alive: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX: 2\r\n"
        b"windtunnel-app: 1-2-3-4\r\nwindtunnel-times: forged"
    )
    assert answer_bytes(head, False, b"close", b"1-2").split(b"\r\n") == [
        b"HTTP/1.1 404 Nobody Home", b"X: 2", b"Content-Length: 3", b"windtunnel-times: 1-2", b"Connection: close",
        b"Via: 1.0 windtunnel", b"", b"",
    ]  # fmt: skip
    assert head.app == b"1-2-3-4"


def test_the_cache_of_lines_is_bounded() -> None:
    for number in range(10_000):
        read_field(b"X-%d: a" % number)
        read_field(b"X: " + b"a" * 300 + b"%d" % number)
    assert len(known_fields) <= 4_096
    assert max(map(len, known_fields)) <= 256


BAD_CHUNKS = {
    "no size": b"\r\nabc",
    "a letter": b"g\r\n",
    "hexadecimal prefix": b"0x1\r\na\r\n",
    "sign": b"+1\r\na\r\n",
    "minus": b"-1\r\na\r\n",
    "blank before": b" 1\r\na\r\n",
    "blank after": b"1 \r\na\r\n",
    "underscore": b"1_0\r\n",
    "bare LF": b"1\na\n0\n\n",
    "bare CR": b"1\ra\r\n",
    "CR and blank": b"1\r a\r\n",
    "too many digits": b"1" * 16 + b"\r\n",
    "extension without a name": b"1;\r\na\r\n",
    "extension with a blank": b"1; a=b\r\na\r\n",
    "extension with LF": b"1;a=\nb\r\na\r\n",
    "extension with an open quote": b'1;a="b\r\na\r\n',
    "endless extension": b"1;" + b"a" * 300,
    "NUL in an extension": b"1;a\0\r\na\r\n",
    "content too long": b"1\r\nab\r\n",
    "content ends with LF": b"1\r\na\n\r\n",
    "length in the trailers": b"0\r\nContent-Length: 1\r\n\r\n",
    "coding in the trailers": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Host in the trailers": b"0\r\nHost: a\r\n\r\n",
    "folded trailer": b"0\r\nX: 1\r\n 2\r\n\r\n",
    "trailer with a bare LF": b"0\r\nX: 1\nY: 2\r\n\r\n",
    "endless trailers": b"0\r\n" + b"X: a\r\n" * 5_000,
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
@pytest.mark.parametrize("step", [1, 3, 1_000_000])
def test_bad_chunks(name: str, step: int) -> None:
    data = BAD_CHUNKS[name]
    reader = ChunkedReader()

    def read() -> None:
        for at in range(0, len(data), step):
            reader.feed(data[at : at + step])

    with pytest.raises(Malformed):
        read()


pieces = st.lists(st.binary(max_size=40), max_size=6)
cuts = st.lists(st.integers(0, 400), max_size=12)


def split(data: bytes, at: list[int]) -> list[bytes]:
    """*data* in pieces."""
    ends = sorted({0, len(data), *(cut for cut in at if cut < len(data))})
    return [data[a:b] for a, b in pairwise(ends)]


@given(pieces, cuts, st.sampled_from([b"", b";a", b';a="x y"', b";a=b;c"]), st.binary(max_size=20))
def test_chunks_give_their_content_however_they_are_split(
    content: list[bytes], at: list[int], extension: bytes, after: bytes
) -> None:
    body = b"".join(b"%X%b\r\n%b\r\n" % (len(p), extension, p) for p in content if p)
    message = body + b"0\r\nX-Sum: 1\r\n\r\n"
    reader = ChunkedReader()
    found = b""
    parts = split(message, at)
    parts[-1] += after
    for part in parts:
        assert not reader.done
        found += reader.feed(part)
    assert reader.done
    assert found == b"".join(content)
    assert reader.rest == after
    assert reader.trailers == [b"X-Sum: 1"]
    again = ChunkedReader()
    assert again.feed(b"".join(chunk(p) for p in content) + last_chunk(reader.trailers)) == found
    assert again.done
    assert not again.rest


@given(st.binary(max_size=100), cuts, st.binary(max_size=20))
def test_content_by_length_however_it_is_split(content: bytes, at: list[int], after: bytes) -> None:
    reader = LengthReader(len(content))
    found = b""
    for part in split(content + after, at):
        found += reader.feed(part) if not reader.done else b""
        if reader.done:
            break
    assert found == content
    assert reader.done


bits_of_heads = st.lists(
    st.sampled_from(
        [b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\r", b"\n", b"Host", b":", b"a", b"Content-Length", b"1", b"\t",
         b"Transfer-Encoding", b"chunked", b"Connection", b"\0", b"http://a", b",", b"Expect: 100-continue", b"\x80"]
    ),
    max_size=30,
)  # fmt: skip


def outcome(data: bytes, at: list[int]) -> tuple[int, int]:
    """Where the head ends or -1, and 400 if it is refused before it ends, for *data* arriving in pieces."""
    seen, held = 0, b""
    for part in split(data, at) or [b""]:
        held += part
        try:
            end = find_end(held, seen)
        except Malformed as error:
            return -1, error.status
        if end >= 0:
            return end, 0
        seen = len(held)
    return -1, 0


@given(st.one_of(bits_of_heads.map(b"".join), st.binary(max_size=200)), cuts)
def test_any_split_of_a_head_gives_the_same(data: bytes, at: list[int]) -> None:
    whole = outcome(data, [])
    parts = outcome(data, at)
    if whole[0] >= 0:
        # A bare line end is found at once where the head has not ended yet, and by the reading of the head where it has.
        assert parts == whole or parts[1] == 400
        if parts[1] == 400:
            with pytest.raises(Malformed):
                read_request(data[: whole[0]])
    else:
        assert parts == whole


@given(bits_of_heads.map(b"".join))
def test_what_is_accepted_is_written_unambiguously(lines: bytes) -> None:
    block = b"POST /x HTTP/1.1\r\nHost: a\r\n" + lines
    try:
        head = read_request(block)
    except Malformed:
        return
    head.upgrade = b""
    sent = request_bytes(head, b"127.0.0.1")
    assert sent.count(b"\r\n\r\n") == 1
    assert sent.endswith(b"\r\n\r\n")
    assert b"\r" not in sent.replace(b"\r\n", b"")
    assert b"\n" not in sent.replace(b"\r\n", b"")
    assert b"\0" not in sent
    again = read_request(sent[:-4])
    assert (again.length, again.chunked, again.host) == (head.length, head.chunked, head.host)
    names = [line.partition(b":")[0].lower() for line in sent.split(b"\r\n")[1:-2]]
    assert names.count(b"host") == 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1


def test_limits_hold_while_a_head_is_incomplete() -> None:
    with pytest.raises(Malformed) as refusal:
        find_end(b"G" * (START_LIMIT + 1))
    assert refusal.value.status == 414
    with pytest.raises(Malformed) as refusal:
        find_end(b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * (HEAD_LIMIT // 6))
    assert refusal.value.status == 431


@pytest.mark.parametrize("minor", [b"0", b"1"])
def test_times_are_added_to_a_head_that_was_written_before(minor: bytes) -> None:
    block = b"HTTP/1.%b 200 OK\r\nX: 1\r\nContent-Length: 3" % minor
    fresh, used = read_response(block + b"\r\nwindtunnel-app: x"), read_response(block)
    assert fresh is not used
    without = answer_bytes(used, False, b"", b"")
    for _ in range(2):
        assert answer_bytes(used, False, b"", b"1-2") == answer_bytes(fresh, False, b"", b"1-2")
        assert answer_bytes(used, False, b"", b"1-2").split(b"\r\n") == [
            b"HTTP/1.1 200 OK", b"X: 1", b"Content-Length: 3", b"windtunnel-times: 1-2", b"Via: 1.%b windtunnel" % minor,
            b"", b"",
        ]  # fmt: skip
        assert answer_bytes(used, False, b"", b"") == without
        assert b"times" not in without


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"app: 1-2-3-4", b"1-2-3-4"),
        (b"app: x-x-x-x", b"x-x-x-x"),
        (b"app:  1-2-3-4", b""),
        (b"app: 1-2-3-4 ", b""),
        (b"app: 1-\n2", b""),
        (b"app: 1,2", b""),
        (b"app: ", b""),
        (b"app: " + b"1" * 200, b""),
        (b"application: 1-2", b""),
    ],
)
@pytest.mark.parametrize("after", [b"", b"\r\nX: 1"])
def test_only_a_line_of_numbers_is_taken_out_of_a_head(line: bytes, value: bytes, after: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    taken, rest = take_line(head + line + after, b"\r\napp: ")
    assert taken == value
    assert rest == (head[:-2] + after if value else head + line + after)
