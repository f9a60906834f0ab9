"""What the proxy makes of all the bytes of one connection: which requests are in them, what is refused, when each is decided.

The same rules as on a socket (``arrivals``, ``framing``, ``limits``), fed with pieces and their times in place of a loop. What only a flight knows is left out: how long
answers take. So a request that lies ready behind another one counts as read when it has come.
"""

from collections.abc import Iterable
from typing import NamedTuple

from .arrivals import next_request
from .fields import Malformed
from .framing import ContentReader, content_reader
from .heads import RequestHead, after_empty_lines
from .limits import CONTENT_TIMEOUT, HEADER_TIMEOUT, late_content, late_head

PASSED, ANSWERED, REFUSED, OPEN = "passed", "answered", "refused", "open"
"""What becomes of a message: it goes to an app server; the proxy itself answers it; it is refused, and nothing follows; its end never comes."""

_SECOND = 1_000_000_000
_HEADER_TIMEOUT = round(HEADER_TIMEOUT * _SECOND)
_CONTENT_TIMEOUT = round(CONTENT_TIMEOUT * _SECOND)


class Message(NamedTuple):
    """A message on a connection: *became* one of the words above, decided at *time* (ns after the connection's beginning; OPEN: when its first byte came).

    *status*: that of the proxy's own answer, else 0; *reason* says why; *method*, *target* and bytes of content (*length*) as far as they are known; *stays*: whether the
    connection is there for another request.
    """

    became: str
    time: int
    status: int = 0
    reason: str = ""
    method: bytes = b""
    target: bytes = b""
    length: int = 0
    stays: bool = False


def read_wire(pieces: Iterable[tuple[int, bytes]], left: int = -1) -> list[Message]:
    """The messages in *pieces* (ns after the connection's beginning, ascending, and bytes) of a client that leaves at *left* (-1: it waits)."""
    intake = _Intake()
    for time, data in pieces:
        if 0 <= left < time:
            break
        intake.feed(time, data)
    return intake.end(left)


class _Intake:
    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._held = b""
        self._searched = 0
        self._began = 0
        self._due = -1
        self._head: RequestHead | None = None
        self._content: ContentReader | None = None
        self._length = 0
        self._over = False

    def feed(self, now: int, data: bytes) -> None:
        """*data* came at *now*."""
        self._expire(now)
        while data and not self._over:
            try:
                data = (
                    self._read_content(now, data) if self._content is not None else self._read_head(now, data)
                )
            except Malformed as error:
                self._refuse(now, error)

    def end(self, left: int) -> list[Message]:
        """Nothing more comes; the client is there until *left* (-1: for ever). All messages."""
        if left < 0:
            self._expire(self._due)
        else:
            self._expire(left)
        if not self._over and (self._held or self._content is not None):
            head = self._head
            method, target = (head.method, head.target) if head is not None else (b"", b"")
            self._messages.append(
                Message(OPEN, self._began, method=method, target=target, length=self._length)
            )
        return self._messages

    def _expire(self, now: int) -> None:
        if 0 <= self._due <= now and not self._over:
            self._refuse(self._due, late_head() if self._content is None else late_content())

    def _refuse(self, now: int, error: Malformed) -> None:
        head = self._head
        method, target = (head.method, head.target) if head is not None else (b"", b"")
        self._messages.append(Message(REFUSED, now, error.status, error.reason, method, target, self._length))
        self._over = True

    def _read_head(self, now: int, data: bytes) -> bytes:
        """Take the next head out of *data*, and the bytes held before it; what follows it."""
        if not self._held:
            self._began = now
        data = after_empty_lines(self._held + data)
        arrived = next_request(data, self._searched)
        if arrived is None:
            if data and not self._searched:
                self._due = now + _HEADER_TIMEOUT
            self._held, self._searched = data, len(data)
            return b""
        self._held, self._searched, self._due = b"", 0, -1
        head, _, rest = arrived
        if head.max_forwards == 0:
            self._messages.append(Message(ANSWERED, now, 200, "", head.method, head.target, stays=True))
        elif head.chunked or head.length > 0:
            self._head, self._length = head, 0
            self._content = content_reader(head.length, head.chunked)
            self._due = now + _CONTENT_TIMEOUT
        else:
            self._passed(now, head, 0)
        return rest

    def _read_content(self, now: int, data: bytes) -> bytes:
        content, head = self._content, self._head
        assert content is not None
        assert head is not None
        self._length += len(content.feed(data))
        if not content.done:
            self._due = now + _CONTENT_TIMEOUT
            return b""
        self._content, self._head, self._due = None, None, -1
        self._passed(now, head, self._length)
        self._length = 0
        return content.rest

    def _passed(self, now: int, head: RequestHead, length: int) -> None:
        self._messages.append(
            Message(PASSED, now, method=head.method, target=head.target, length=length, stays=head.keep_alive)
        )
        self._over = not head.keep_alive
