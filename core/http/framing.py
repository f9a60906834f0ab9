"""The content of messages, piece by piece as it arrives: by length, in chunks, or up to the end of the connection (RFC 9112, sections 6 and 7).

Readers take bytes and give the content that they hold; chunks are read strictly, their extensions dropped, and written anew.
"""

import re

from .fields import Malformed, read_trailers
from .limits import CONTENT_LIMIT, TOO_LONG
from .statuses import CONTENT_TOO_LARGE, FIELDS_TOO_LARGE

CHUNK_LINE_LIMIT = 256
"""Bytes of a chunk's size with its extensions."""
TRAILERS_LIMIT = 8_192
"""Bytes of a trailer section."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_chunk_line = re.compile(
    rb"([0-9A-Fa-f]{1,15})(?:;%s(?:=(?:%s|\"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*\"))?)*"
    % (_TOKEN, _TOKEN)
).fullmatch

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)
_NO_TRAILERS: list[bytes] = []


class LengthReader:
    """Content of a known length. *rest* is what came after it."""

    __slots__ = ("done", "left", "rest", "trailers")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""
        self.trailers = _NO_TRAILERS

    def feed(self, data: bytes) -> bytes:
        """The content in *data*."""
        if len(data) < self.left:
            self.left -= len(data)
            return data
        piece, self.rest = data[: self.left], data[self.left :]
        self.left = 0
        self.done = True
        return piece


class CloseReader:
    """Content that ends with the connection."""

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers = _NO_TRAILERS

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        return data


class ChunkedReader:
    """Content in chunks. *trailers* are the lines of the trailer section that may be passed on, *rest* what came after the message."""

    __slots__ = ("_held", "_left", "_state", "done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers = _NO_TRAILERS
        self._held = b""
        self._left = 0
        self._state = _SIZE

    def feed(self, data: bytes) -> bytes:
        """The content in *data*. Raises Malformed."""
        if self._held:
            data, self._held = self._held + data, b""
        pieces = []
        at = 0
        while True:
            if self._state == _DATA:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                pieces.append(piece)
                if self._left:
                    break
                self._state = _DATA_END
            before = at
            at = self._step(data, at)
            if self._state == _DONE:
                self.rest = data[at:]
                break
            if at == before and self._state != _DATA:
                self._held = data[at:]
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _step(self, data: bytes, at: int) -> int:
        """Read the line at *at* if it is complete; where to go on."""
        if self._state == _DATA_END:
            if not b"\r\n".startswith(data[at : at + 2]):
                raise Malformed("a chunk does not end with CRLF")
            if len(data) - at < 2:
                return at
            self._state = _SIZE
            return at + 2
        if self._state == _SIZE:
            return self._size(data, at)
        return self._trailer_section(data, at)

    def _size(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + CHUNK_LINE_LIMIT + 2)
        if end < 0:
            held = data[at:]
            whole = held[:-1] if held.endswith(b"\r") else held
            if len(held) > CHUNK_LINE_LIMIT or b"\n" in held or b"\r" in whole:
                raise Malformed("a chunk's size is too long or does not end with CRLF")
            return at
        match = _chunk_line(data[at:end])
        if match is None:
            raise Malformed("a chunk's size or extension is malformed")
        self._left = int(match[1], 16)
        self._state = _DATA if self._left else _TRAILERS
        return end + 2

    def _trailer_section(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self._state, self.done = _DONE, True
            return at + 2
        end = data.find(b"\r\n\r\n", at)
        if (len(data) if end < 0 else end) - at > TRAILERS_LIMIT:
            raise Malformed("the trailer section is too long", FIELDS_TOO_LARGE)
        if end < 0:
            return at
        self.trailers = read_trailers(data[at:end])
        self._state, self.done = _DONE, True
        return end + 4


class RequestChunks(ChunkedReader):
    """A request's content in chunks, of at most CONTENT_LIMIT bytes."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    def feed(self, data: bytes) -> bytes:
        """The content in *data*. Raises Malformed."""
        piece = super().feed(data)
        self._taken += len(piece)
        if self._taken > CONTENT_LIMIT:
            raise Malformed(TOO_LONG, CONTENT_TOO_LARGE)
        return piece


Reader = LengthReader | CloseReader | ChunkedReader
ContentReader = LengthReader | RequestChunks


def content_reader(length: int, chunked: bool) -> ContentReader:
    """The reader of a request's content; *length* is within CONTENT_LIMIT."""
    return RequestChunks() if chunked else LengthReader(length)


def chunk(piece: bytes) -> bytes:
    """A chunk that holds *piece*; nothing for an empty one, which would end the content."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def last_chunk(trailers: list[bytes]) -> bytes:
    """The end of chunked content."""
    if trailers:
        return b"0\r\n" + b"\r\n".join(trailers) + b"\r\n\r\n"
    return b"0\r\n\r\n"
