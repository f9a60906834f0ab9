"""Client connections: real sockets, with the scenario's latency added at this end.

A channel is what sim.clients calls a connection: the same messages, each later by the same draw, only that the far end is real. While the scenario's
link has no latency nothing is put off: what is due is sent at once.
"""

import errno
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from ...core import draws
from ...core.demand import body_size
from ...core.outcomes import Outcome
from ...core.toxics import DOWNSTREAM, UPSTREAM
from .answers import AnswerReader, BadAnswer, Head
from .attempt import Attempt
from .client_link import Carried
from .losses import ENDED, cause_of_loss
from .waiting import READ, WRITE

if TYPE_CHECKING:
    from .source import Source

_PIECE = 1 << 16
_RESET = struct.pack("ii", 1, 0)
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_AGAIN = 10_000_000
"""After so long (ns) a connection that this machine had no room for is tried again."""

APP_ERROR = int(Outcome.APP_ERROR)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)


class Channel:
    """A connection that is opened for the attempt *opener*, and read.

    The client's view: *established*, *outbox* until then, *pending* attempts without an answer, *closed* (the client has closed it, or knows
    that it is). The socket's: *connected*, attempts *written* and not answered, *unsent* bytes, *lost* (ended by the far end).
    """

    __slots__ = ("answers", "carried", "closed", "connected", "established", "failure", "held", "id", "key", "lost",
                 "opened", "outbox", "pending", "reader", "slot", "sock", "source", "unsent", "until", "world",
                 "written")  # fmt: skip

    reads = True

    def __init__(self, source: "Source", opener: Attempt) -> None:
        self.source = source
        self.world = source.world
        self.id = self.world.next_connection()
        self.key = opener.index, opener.number
        self.outbox = [opener]
        self.pending: dict[Attempt, None] = {opener: None}
        opener.channel = self
        self.slot = -1
        self.established = self.connected = self.closed = self.lost = False
        self.sock: socket.socket | None = None
        self.written: deque[Attempt] = deque()
        self.unsent: deque[memoryview] = deque()
        self.reader = AnswerReader()
        self.answers = 0
        self.failure = ENDED
        self.until = [0, 0]
        self.opened = 0
        self.carried: Carried | None = None
        self.held = False
        if self.world.flat:
            self._open()
        else:
            self.until[UPSTREAM] = self._later(draws.SYN_LATENCY)
            self.world.reactor.at(self.until[UPSTREAM], self._open)

    def _later(self, purpose: int) -> int:
        """When a message of the connection's own that leaves now is at the other end."""
        index, attempt = self.key
        return self.world.arrival(self.source.spec.stream, index, attempt, purpose)

    # Opening.

    def _open(self) -> None:
        if self.closed:
            return
        world = self.world
        try:
            self.sock = sock = socket.socket(world.target.family, socket.SOCK_STREAM)
        except OSError as error:
            self._try_again(error.errno or 0)
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(world.target.address)
        if code in (0, errno.EINPROGRESS):
            self._watch(sock)
        elif code in _SHORTAGES:
            sock.close()
            self.sock = None
            self._try_again(code)
        else:
            sock.close()
            self.sock = None
            # Not at once: whoever asked for this connection is still in the middle of it.
            world.reactor.at(world.reactor.now(), self._gone, code)

    def _try_again(self, code: int) -> None:
        """This machine is short of descriptors or ports: no fault of the proxy's."""
        if code not in _SHORTAGES:
            raise OSError(code, "no socket")
        self.world.shortage(code)
        self.world.reactor.at(self.world.reactor.now() + _AGAIN, self._open)

    def _watch(self, sock: socket.socket) -> None:
        # On loopback the handshake is over when connect returns.
        ready = _is_connected(sock)
        self._register(sock, ready)
        if ready:
            self._connected()

    def _register(self, sock: socket.socket, ready: bool) -> None:
        self.world.reactor.watch(sock.fileno(), self, READ if ready else READ | WRITE)

    def _connected(self) -> None:
        self.connected = True
        if self.world.flat:
            self._establish()
        else:
            self.until[DOWNSTREAM] = self._later(draws.SYNACK_LATENCY)
            self.world.reactor.at(self.until[DOWNSTREAM], self._establish)

    def _establish(self) -> None:
        """The client knows that the handshake is complete."""
        self.established = True
        if self.closed:
            return
        if not self.world.flat:
            self.world.link.opened(self)
        outbox, self.outbox = self.outbox, []
        for attempt in outbox:
            self.transmit(attempt)

    # Sending.

    def transmit(self, attempt: Attempt) -> None:
        """The client sends the attempt's request over this established connection."""
        attempt.channel = self
        self.pending[attempt] = None
        if self.world.flat:
            self._write(attempt)
            return
        arrival = self.world.arrival(
            self.source.spec.stream, attempt.index, attempt.number, draws.REQUEST_LATENCY
        )
        body = self.source.spec.body
        size = (
            0
            if body is None
            else body_size(body.kind, body.a, body.b, self.source.spec.stream, attempt.index)
        )
        arrival = self.world.link.carry(self, attempt, UPSTREAM, draws.REQUEST_LATENCY, size, arrival)
        if arrival >= 0:
            self.world.reactor.at(arrival, self._write, attempt)

    def _write(self, attempt: Attempt) -> None:
        sock = self.sock
        if self.closed or self.lost or sock is None:
            return
        self.written.append(attempt)
        source, heads = self.source, self.world.heads
        if source.spec.body is not None:
            self._send(
                heads.with_body(
                    source.number, attempt.endpoint, attempt.headers, attempt.index, attempt.number
                )
            )
            return
        data = heads.head(source.number, attempt.endpoint, attempt.headers, attempt.index, attempt.number)
        if self.unsent:
            self.unsent.append(memoryview(data))
            return
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # What the far end had said before is read first; that tells the rest.
            self.failure = error.errno or 0
            return
        if sent < len(data):
            self._send([memoryview(data)[sent:]])

    def _send(self, pieces: list[bytes | memoryview]) -> None:
        waited = bool(self.unsent)
        self.unsent.extend(memoryview(piece) for piece in pieces)
        if waited:
            return
        self._flush()
        if self.unsent and self.reads and self.sock is not None:
            self.world.reactor.waiter.change(self.sock.fileno(), READ | WRITE)

    def _flush(self) -> None:
        """Send what the socket takes."""
        assert self.sock is not None
        while self.unsent:
            try:
                sent = self.sock.send(self.unsent[0])
            except BlockingIOError:
                return
            except OSError as error:
                self.failure = error.errno or 0
                self.unsent.clear()
                return
            if sent < len(self.unsent[0]):
                self.unsent[0] = self.unsent[0][sent:]
            else:
                self.unsent.popleft()

    # Hearing.

    def ready(self, events: int) -> None:
        """The socket may have changed."""
        sock = self.sock
        if sock is None:
            return
        if not self.connected:
            if not _is_connected(sock):
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    self._gone(code)
                return
            if self.reads:
                self.world.reactor.waiter.change(sock.fileno(), READ)
            self._connected()
        if self.unsent and events & WRITE:
            self._flush()
            if self.reads and not self.unsent and self.sock is not None:
                self.world.reactor.waiter.change(sock.fileno(), READ)
        if events & ~WRITE and self.sock is not None:
            self._received(events)

    def _received(self, events: int) -> None:
        assert self.sock is not None
        try:
            data = self.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            self._gone(error.errno or 0)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """*data* has come; b"": the other side has ended."""
        if not data:
            if self.written and self.reader.ended():
                self._whole_answer()
            self._gone(self.failure or self._error_after_end())
        elif self.written:
            try:
                self.reader.feed(data)
            except BadAnswer as error:
                self.incomprehensible(error)
                return
            if self.reader.complete:
                self._whole_answer()
        # Else nobody has asked: a proxy may say why it is about to close.

    def _error_after_end(self) -> int:
        """EPIPE if a reset came after the end of the connection: then our request found it closed."""
        return 0 if self.sock is None else self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _whole_answer(self) -> None:
        reader, head = self.reader, self.reader.heads[0]
        if len(reader.heads) > 1 or not reader.fresh or self.unsent:
            # More than was asked for, or an answer before the request was sent: nothing can follow on this connection.
            head.closes = True
        reader.heads.clear()
        reader.complete = 0
        self._deliver(self.written.popleft(), head)

    def _deliver(self, attempt: Attempt, head: Head) -> None:
        """The answer is here; the client has it when it has come over the scenario's link."""
        self.answers += 1
        world = self.world
        if world.flat:
            self.source.answered(attempt, head)
            return
        arrival = world.arrival(
            self.source.spec.stream, attempt.index, attempt.number, draws.RESPONSE_LATENCY
        )
        # What the application itself did not answer has no content.
        size = 0 if head.cause else max(head.length, 0)
        arrival = world.link.carry(self, attempt, DOWNSTREAM, draws.RESPONSE_LATENCY, size, arrival)
        if arrival >= 0:
            world.reactor.at(arrival, self.source.answered, attempt, head)
        else:
            self.held = True

    # Ending.

    def incomprehensible(self, error: BadAnswer) -> None:
        """What came is no answer."""
        self.world.bad_answer(str(error))
        self._end(APP_ERROR, 0)

    def _gone(self, code: int) -> None:
        """The far end has closed or reset the connection, or never took it."""
        if self.closed or self.lost:
            self.drop()
            return
        if self.reader.begun and self.reads:
            # An answer that breaks off: all that a proxy can do when the app server dies in the middle of it.
            heads = self.reader.heads
            self._end(UPSTREAM_RESET, heads[0].status if heads else 0)
            return
        cause = cause_of_loss(
            code, self.connected, bool(self.written), self.answers, not self.reads, self.world.evicting
        )
        self._end(cause, 0)

    def _end(self, cause: int, status: int) -> None:
        self.lost = True
        self.drop()
        if self.held:
            # What follows an answer that never arrives does not arrive either.
            return
        if self.world.flat:
            self.source.notice(self, cause, status)
            return
        notice = max(self._later(draws.NOTICE_LATENCY), self.until[DOWNSTREAM])
        self.world.reactor.at(notice, self.source.notice, self, cause, status)

    def close(self) -> None:
        """The client closes; the proxy learns of it one message later."""
        self.closed = True
        if self.world.flat:
            self.drop()
        else:
            if self.sock is not None:
                self.world.reactor.forget(self.sock.fileno())
            arrival = max(self._later(draws.CLOSE_LATENCY), self.until[UPSTREAM])
            self.world.reactor.at(arrival, self.drop)

    def reset(self) -> None:
        """The link has closed the connection: the proxy hears it at once."""
        if self.sock is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.lost = True
        self.drop()

    def drop(self) -> None:
        """Give back the socket."""
        sock, self.sock = self.sock, None
        if sock is not None:
            if sock.fileno() in self.world.reactor.watched:
                self.world.reactor.forget(sock.fileno())
            sock.close()


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
