"""What came back on a connection, as a strict reader of HTTP/1.1 answers sees it (RFC 9112): status, fields, content, and what is left over."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\Z")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\Z")
_LONGEST_HEAD = 1 << 18


class Reply(NamedTuple):
    """One answer; *fields* have lower-case names."""

    status: int
    fields: tuple[tuple[str, str], ...]
    content: bytes

    def one(self, name: str) -> str:
        """The values of the field *name*, joined; empty if there is none."""
        return ", ".join(value for field, value in self.fields if field == name)

    @property
    def closing(self) -> bool:
        """Whether the connection ends after it."""
        return "close" in self.one("connection").lower()


class Replies(NamedTuple):
    """All answers that are complete, the bytes after the last, and what is wrong with these (empty: nothing yet)."""

    complete: tuple[Reply, ...]
    rest: bytes
    wrong: str


class _Wrong(ValueError):
    """Bytes that are no answer."""


class _More(Exception):
    """The answer is not complete yet."""


def read_replies(data: bytes, methods: Sequence[str], ended: bool) -> Replies:
    """The answers in *data* to requests with *methods* (GET where these end); *ended*: no more bytes will come. Interim answers are passed over."""
    complete: list[Reply] = []
    position = 0
    try:
        while position < len(data):
            method = methods[len(complete)] if len(complete) < len(methods) else "GET"
            reply, end = _read(data, position, method, ended)
            if reply.status >= 200 or reply.status == 101:
                complete.append(reply)
            position = end
            if reply.status == 101:
                break
    except _More:
        pass  # What there is of the next answer is the rest.
    except _Wrong as error:
        return Replies(tuple(complete), data[position:], str(error))
    return Replies(tuple(complete), data[position:], "")


def _read(data: bytes, begin: int, method: str, ended: bool) -> tuple[Reply, int]:
    end = data.find(b"\r\n\r\n", begin)
    if end < 0:
        line = data[begin:].split(b"\r\n", 1)[0]
        if len(data) - begin > _LONGEST_HEAD or not b"HTTP/1.".startswith(line[:7]):
            raise _Wrong("no HTTP/1 answer")
        raise _More
    first, *lines = data[begin:end].split(b"\r\n")
    match = _STATUS.match(first)
    if match is None:
        raise _Wrong("no HTTP/1 status line")
    fields = []
    for line in lines:
        field = _FIELD.match(line)
        if field is None:
            raise _Wrong("a header line that is none")
        fields.append((field[1].decode().lower(), field[2].decode("latin-1")))
    head = Reply(int(match[1]), tuple(fields), b"")
    content, position = _content(data, end + 4, head, method, ended)
    return Reply(head.status, head.fields, content), position


def _content(data: bytes, begin: int, head: Reply, method: str, ended: bool) -> tuple[bytes, int]:
    coding, length = head.one("transfer-encoding").lower(), head.one("content-length")
    if coding and length:
        raise _Wrong("both length headers in an answer")
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return b"", begin
    if coding == "chunked":
        return _chunks(data, begin)
    if coding:
        raise _Wrong(f"the transfer coding {coding:.40}")
    if length:
        if not (length.isascii() and length.isdigit() and len(length) <= 15):
            raise _Wrong(f"the content length {length:.40}")
        end = begin + int(length)
        if len(data) < end:
            raise _More
        return data[begin:end], end
    if not ended:
        raise _More
    return data[begin:], len(data)


def _chunks(data: bytes, position: int) -> tuple[bytes, int]:
    content = bytearray()
    while True:
        line, position = _line(data, position)
        match = _SIZE.match(line)
        if match is None:
            raise _Wrong("a chunk without a size")
        size = int(match[1], 16)
        if size == 0:
            break
        if len(data) < position + size + 2:
            raise _More
        content += data[position : position + size]
        position += size
        if data[position : position + 2] != b"\r\n":
            raise _Wrong("a chunk that does not end where its size says")
        position += 2
    while line:
        line, position = _line(data, position)
        if line and not _FIELD.match(line):
            raise _Wrong("a trailer line that is none")
    return bytes(content), position


def _line(data: bytes, position: int) -> tuple[bytes, int]:
    end = data.find(b"\r\n", position)
    if end < 0:
        raise _More
    return data[position:end], end + 2
