"""A small, strict reader of HTTP/1.1 answers (RFC 9112): what a generator must know of them, and where each one ends."""

from ...core.outcomes import NAMES, Outcome
from ..live.headers import CAUSE, TIMES, read_numbers

UNTIL_CLOSE = -1
CHUNKED = -2

LONGEST_HEAD = 1 << 16
_LONGEST_LINE = 1 << 10
_END = b"\r\n\r\n"
_CAUSES = {name.encode(): number for number, name in enumerate(NAMES)}
_TIMES_LINE, _CAUSE_LINE = f"\r\n{TIMES}:".encode(), f"\r\n{CAUSE}:".encode()
_STATIONS = 8


class BadAnswer(ValueError):
    """Bytes that are no answer; the text says why."""


class Head:
    """The head of an answer: *status*, *length* of the body (or UNTIL_CLOSE, CHUNKED), whether the connection *closes* after it, the proxy's
    *times* (raw; empty without them), the outcome that the proxy names as *cause* (0: none)."""

    __slots__ = ("cause", "closes", "length", "status", "times")

    def __init__(self, status: int, length: int, closes: bool, times: bytes, cause: int) -> None:
        self.status = status
        self.length = length
        self.closes = closes
        self.times = times
        self.cause = cause

    def outcome(self, planned: int) -> int:
        """The outcome that this answer is, to a request whose endpoint plans the status *planned*."""
        if self.cause:
            return self.cause
        return int(Outcome.OK if self.status == planned or self.status < 500 else Outcome.APP_ERROR)

    def stations(self) -> tuple[int, ...] | None:
        """The times as numbers (-1: unknown), with server and tries last; None if there are none that can be read."""
        values = self.times.split(b"-")
        if len(values) == _STATIONS and all(map(bytes.isdigit, values)) and len(self.times) <= 160:
            return tuple(map(int, values))
        return read_numbers(self.times.decode("latin-1"), _STATIONS)


def read_head(raw: bytes) -> Head:
    """The head of an answer, without the empty line at its end. Raises BadAnswer."""
    text = raw.lower()
    if text[:9] not in (b"http/1.1 ", b"http/1.0 ") or not text[9:12].isdigit() or text[12:13] not in b" \r":
        raise BadAnswer(f"expected a status line, got {raw[:40]!r}")
    if text.count(b"\n") != text.count(b"\r\n") or b"\r\n " in text or b"\r\n\t" in text or b"\0" in text:
        raise BadAnswer("expected lines that end in CR LF, without folding and NUL")
    status = int(text[9:12])
    coding = _value(text, b"\r\ntransfer-encoding:")
    sized = _value(text, b"\r\ncontent-length:")
    connection = _value(text, b"\r\nconnection:") or b""
    closes = b"close" in connection or (text[7:8] == b"0" and b"keep-alive" not in connection)
    length = UNTIL_CLOSE
    if coding is not None:
        if sized is not None or coding != b"chunked":
            raise BadAnswer(f"expected one length, chunked or counted, got {coding[:40]!r} and {sized!r:.40}")
        length = CHUNKED
    elif sized is not None:
        if not sized.isdigit() or len(sized) > 18:
            raise BadAnswer(f"expected a length in bytes, got {sized[:40]!r}")
        length = int(sized)
    if status < 200 or status in (204, 304):
        length = 0
    cause = _value(text, _CAUSE_LINE)
    return Head(
        status,
        length,
        closes or length == UNTIL_CLOSE,
        _value(text, _TIMES_LINE) or b"",
        _CAUSES.get(cause, 0) if cause else 0,
    )


def _value(text: bytes, line: bytes) -> bytes | None:
    at = text.find(line)
    if at < 0:
        return None
    if text.find(line, at + 1) >= 0:
        raise BadAnswer(f"expected {line.strip().decode()} once")
    start = at + len(line)
    end = text.find(b"\r\n", start)
    return text[start : end if end >= 0 else len(text)].strip(b" \t")


class AnswerReader:
    """Follows the answers on one connection: feed it what arrives, in order.

    *heads* are those of final answers whose end of head has arrived, *complete* counts the answers that have arrived whole.
    """

    __slots__ = ("_body", "_chunk", "_held", "_size", "complete", "heads")

    def __init__(self) -> None:
        self._held = b""
        self._body: Head | None = None
        self._size = 0
        self._chunk = False
        self.heads: list[Head] = []
        self.complete = 0

    @property
    def begun(self) -> bool:
        """Whether part of an answer has arrived that is not complete."""
        return bool(self._held) or self._body is not None

    @property
    def fresh(self) -> bool:
        """Whether the next byte begins an answer."""
        return not self._held and self._body is None

    def feed(self, data: bytes) -> None:
        """Raises BadAnswer."""
        data, self._held = self._held + data, b""
        position = 0
        while position < len(data):
            if self._body is None:
                position = self._head(data, position)
            elif self._body.length == CHUNKED:
                position = self._chunks(data, position)
            elif self._body.length == UNTIL_CLOSE:
                return
            else:
                taken = min(self._size, len(data) - position)
                position += taken
                self._size -= taken
                if self._size == 0:
                    self._complete()

    def ended(self) -> bool:
        """The connection has ended: whether that completes an answer."""
        if self._body is not None and self._body.length == UNTIL_CLOSE:
            self._complete()
            return True
        return False

    def _complete(self) -> None:
        self._body = None
        self.complete += 1

    def _head(self, data: bytes, position: int) -> int:
        end = data.find(_END, position)
        if end < 0:
            if len(data) - position > LONGEST_HEAD:
                raise BadAnswer(f"expected a head of at most {LONGEST_HEAD} bytes")
            self._held = data[position:]
            return len(data)
        head = read_head(data[position:end])
        if head.status >= 200:
            self.heads.append(head)
            self._body, self._size, self._chunk = head, head.length, False
            if head.length == 0:
                self._complete()
        return end + len(_END)

    def _chunks(self, data: bytes, position: int) -> int:
        """A chunk's data with its line end (*_size* bytes are left of them), else a line: a chunk's size, or a trailer."""
        if self._size > 0:
            taken = min(self._size, len(data) - position)
            self._size -= taken
            return position + taken
        end = data.find(b"\r\n", position)
        if end < 0 or end - position > _LONGEST_LINE:
            if len(data) - position > _LONGEST_LINE:
                raise BadAnswer(f"expected a line of at most {_LONGEST_LINE} bytes in a chunked body")
            self._held = data[position:]
            return len(data)
        line = data[position:end]
        if self._chunk:  # The last chunk was read: trailers, then an empty line.
            if not line:
                self._complete()
            return end + 2
        size = line.split(b";", 1)[0].rstrip(b" \t")
        if not size or len(size) > 15 or size.strip(b"0123456789abcdefABCDEF"):
            raise BadAnswer(f"expected a chunk's size, got {line[:40]!r}")
        length = int(size, 16)
        self._chunk = length == 0
        self._size = length + 2 if length else 0
        return end + 2
