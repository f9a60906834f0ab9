"""A client's connection: requests are read one after another, each answered before the next is looked at."""

import asyncio
import zlib
from typing import TYPE_CHECKING, cast

from ...core.http.arrivals import known_alone, next_request
from ...core.http.fields import Malformed
from ...core.http.framing import ContentReader, content_reader
from ...core.http.heads import RequestHead, after_empty_lines
from ...core.http.limits import CONTENT_TIMEOUT, HEADER_TIMEOUT, PIPELINE_LIMIT, late_content, late_head
from ...core.outcomes import Outcome
from .deadline import Deadline
from .exchange import Exchange
from .messages import own_answer
from .proxy import Proxy, seconds

if TYPE_CHECKING:
    from .upstream import Upstream

LINGER = 1.0
"""Seconds in which what a client still sends is read and dropped, so that it gets to see why it was refused."""
CLOSE_TIMEOUT = 30.0
"""Seconds for the rest of a last answer, where the scenario has no write_timeout."""
BAD_REQUEST = int(Outcome.BAD_REQUEST)


class ClientConnection(asyncio.Protocol):
    """See the module. *row*: its place in the proxy's books."""

    __slots__ = ("_affinity", "_buffer", "_content", "_due", "_exchange", "_going", "_lingering",
                 "_partial", "_reading", "_transport", "_tunnel", "address", "answer_due", "closed", "paused", "proxy",
                 "row")  # fmt: skip

    def __init__(self, proxy: Proxy, address: str) -> None:
        self.proxy = proxy
        self.address = address.encode()
        self.row = 0
        self.closed = False
        self.paused = False
        self._affinity = -1
        self._buffer = b""
        self._partial = 0
        self._content: ContentReader | None = None
        self._due = Deadline(proxy.loop, self._expired)
        self._exchange: Exchange | None = None
        self._going = False
        self._lingering = False
        self._reading = True
        self._transport: asyncio.Transport | None = None
        self._tunnel = False
        self.answer_due = Deadline(proxy.loop, self._answer_expired)
        proxy.open(self)

    def affinity(self, exchange: Exchange) -> int:
        """What consistent hashing hashes: the connection's first planned request, else the client's address."""
        if self._affinity < 0:
            if exchange.planned:
                self._affinity = (exchange.source << 20) + (exchange.index & 0xFFFFF)
            else:
                self._affinity = zlib.crc32(self.address)
        return self._affinity

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self.closed:
            self._transport.abort()
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._close()

    def eof_received(self) -> bool:
        """See asyncio. A client that closes its side is gone, and so is what it asked for."""
        return False

    def pause_writing(self) -> None:
        """See asyncio: the client does not read."""
        self.paused = True
        upstream = self._upstream()
        if upstream is not None:
            upstream.pause_reading()
        self.answer_due.clear()
        if self.proxy.spec.write_timeout >= 0:
            self._due.set(seconds(self.proxy.spec.write_timeout))
        else:
            self._due.clear()

    def resume_writing(self) -> None:
        """See asyncio: it does again."""
        self.paused = False
        exchange = self._exchange
        if exchange is None:
            if not self._lingering:
                self._next()
            return
        self._due.clear()
        if exchange.upstream is not None:
            exchange.upstream.resume_reading()
            if self.proxy.spec.upstream_timeout >= 0 and not self._tunnel:
                self.answer_due.set(seconds(self.proxy.spec.upstream_timeout))

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._exchange is None:
            if self.paused:
                # Who does not take the answers gets no further ones.
                self._read_ahead(data)
            elif not self._lingering:
                head = None if self._buffer else known_alone(data)
                if head is not None:
                    self._begin(head, b"")
                else:
                    self._read_head(data)
                if self._buffer and not self._partial:
                    self._go_on()
        elif self._tunnel:
            upstream = self._upstream()
            if upstream is not None:
                upstream.write(data)
        elif self._content is not None:
            self._read_content(self._exchange, data)
        else:
            self._read_ahead(data)

    def _read_ahead(self, data: bytes) -> None:
        if not self._lingering:
            self._buffer += data
            if len(self._buffer) > PIPELINE_LIMIT:
                self.pause_content()

    # Requests.

    def _read_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        try:
            if data.startswith(b"\r\n"):
                data = after_empty_lines(data)
            arrived = self._arrive(data, self._partial)
        except Malformed as error:
            self._refuse(error)
            return
        if arrived is None:
            self._buffer = data
            if data and not self._partial:
                self._due.set(HEADER_TIMEOUT)
            self._partial = len(data)
            return
        head, named, self._buffer = arrived
        self._partial = 0
        if head.max_forwards == 0:
            self.write(own_answer(200, 0, "this is the last recipient", False))
            self._next()
        else:
            self._begin(head, named)

    def _begin(self, head: RequestHead, named: bytes) -> None:
        self.proxy.busy(self.row)
        exchange = self._exchange = self._exchange_of(head, named)
        if not exchange.received:
            self._content = content_reader(head.length, head.chunked)
            self._due.set(CONTENT_TIMEOUT)
        exchange.start()
        if self._content is not None and self._exchange is exchange and self._buffer:
            data, self._buffer = self._buffer, b""
            self._read_content(exchange, data)

    _arrive = staticmethod(next_request)

    def _exchange_of(self, head: RequestHead, named: bytes) -> Exchange:
        return Exchange(self, head, named)

    def _read_content(self, exchange: Exchange, data: bytes) -> None:
        content = self._content
        assert content is not None
        try:
            piece = content.feed(data)
        except Malformed as error:
            self._exchange = None
            exchange.abandon()
            if exchange.answered:
                self.abort()
            else:
                self._refuse(error)
            return
        if not content.done:
            if not self.paused:
                self._due.set(CONTENT_TIMEOUT)
            exchange.content(piece)
            return
        self._content = None
        self._due.clear()
        self._buffer = content.rest
        exchange.content(piece)
        if self._exchange is exchange:
            exchange.content_ended(content.trailers)

    def pause_content(self) -> None:
        """What the client sends is not taken on."""
        if self._transport is not None and self._reading and not self.closed:
            self._reading = False
            self._transport.pause_reading()
            if self._content is not None:
                self._due.clear()

    def resume_content(self) -> None:
        """It is again."""
        if self._transport is not None and not self._reading and not self.closed:
            self._reading = True
            self._transport.resume_reading()
            if self._content is not None and not self.paused:
                self._due.set(CONTENT_TIMEOUT)

    # Answers.

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def answer(self, status: int, outcome: int, reason: str, times: str) -> None:
        """The proxy's own answer to the request under way."""
        exchange = self._exchange
        assert exchange is not None, "an answer without a request"
        head = exchange.head
        close = not head.keep_alive or not exchange.received or self.proxy.stopping
        option = "close" if close else ("" if head.minor else "keep-alive")
        self.write(own_answer(status, outcome, reason, head.method == b"HEAD", option, times))
        self.finished(close)

    def finished(self, close: bool) -> None:
        """The request under way has its answer."""
        received = self._exchange is not None and self._exchange.received
        self._exchange = self._content = None
        if self.closed:
            return
        if close:
            self._end(received and not self._buffer)
        else:
            self._next()

    def _next(self) -> None:
        """No request is under way: the connection may be closed for others, its times run, and what was read ahead is looked at."""
        if not self.paused:
            # Else an answer is stalled: closed for that, when its time has come, and not for having nothing to do.
            self.proxy.rest(self.row)
            if self.proxy.keepalive_timeout >= 0:
                self._due.set(self.proxy.keepalive_timeout)
            else:
                self._due.clear()
        if not self._reading:
            self.resume_content()
        if self._buffer:
            self._go_on()

    def _go_on(self) -> None:
        """Read the requests that came while others were under way."""
        if self._going:
            return
        self._going = True
        while self._buffer and self._exchange is None and not (self.paused or self.closed or self._lingering):
            data, self._buffer, self._partial = self._buffer, b"", 0
            self._read_head(data)
            if self._partial:
                break
        self._going = False

    def _refuse(self, error: Malformed) -> None:
        """The request is not understood or not wanted: say so and close."""
        self.write(own_answer(error.status, BAD_REQUEST, error.reason, False, "close"))
        self._end(False)

    def _end(self, clean: bool) -> None:
        """Close when what was written has gone; not *clean*: the client may still be sending."""
        self._buffer = b""
        self._lingering = True
        self.proxy.rest(self.row)
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() == 0:
            self._due.set(LINGER)
        else:
            limit = self.proxy.spec.write_timeout
            self._due.set(seconds(limit) if limit >= 0 else CLOSE_TIMEOUT)
        if clean:
            transport.close()
            return
        if not self._reading:
            self.resume_content()
        transport.write_eof()

    def broken(self) -> None:
        """The answer under way cannot be completed: only a broken connection tells the client so."""
        self._exchange = None
        self.abort()

    # Tunnels.

    def tunnel(self) -> None:
        """From here on bytes are passed on as they come."""
        self._tunnel = True
        self._due.clear()
        data, self._buffer = self._buffer, b""
        upstream = self._upstream()
        if upstream is not None and data:
            upstream.write(data)

    def tunnel_ended(self) -> None:
        """The server has closed its side."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        if self._transport is not None:
            self._transport.close()

    # Time and the end.

    def _answer_expired(self) -> None:
        if self._exchange is not None:
            self._exchange.timed_out()

    def _expired(self) -> None:
        """Whatever was waited for did not come."""
        if self._exchange is None and not self._lingering and self._partial and not self.paused:
            self._refuse(late_head())
        elif self._exchange is not None and not self.paused:
            if self._content is None:
                # The time of an idle connection, which is none any more.
                return
            exchange, self._exchange = self._exchange, None
            exchange.abandon()
            if exchange.answered:
                self.abort()
            else:
                self._refuse(late_content())
        else:
            self.abort()

    def is_stalled(self) -> bool:
        """Whether an answer lies in our own buffers because the client does not read."""
        return self.paused

    def abort(self) -> None:
        """Close at once."""
        self._close()
        if self._transport is not None:
            self._transport.abort()

    def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._due.close()
        self.answer_due.close()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        self.proxy.release(self)

    def close_idle(self) -> None:
        """Close in an orderly way: the proxy ends, and no request is under way."""
        if not self._lingering:
            self._end(True)

    def under_way(self) -> Exchange | None:
        """The request that is under way."""
        return self._exchange

    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._exchange is None

    def _upstream(self) -> "Upstream | None":
        return self._exchange.upstream if self._exchange is not None else None
