"""A connection to an app server: one request at a time, kept when its answer is complete."""

import asyncio
from typing import TYPE_CHECKING, cast

from ...core.http.fields import HEAD_LIMIT, Malformed
from ...core.http.framing import ChunkedReader, CloseReader, LengthReader, Reader
from ...core.http.heads import ResponseHead, known_response, read_response, take_line
from ...core.outcomes import Outcome
from . import over_link
from .proxy import IDLE_UPSTREAMS, Proxy, seconds
from .servers import Server

if TYPE_CHECKING:
    from .exchange import Exchange

UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
_NO_TRAILERS: list[bytes] = []
APP_LINE = b"\r\nwindtunnel-app: "
_REST = 0
_HEAD = 1
_CONTENT = 2
_HELD = 3
_TUNNEL = 4


class Upstream(asyncio.Protocol):
    """Reads answers and hands them to the exchange whose request went out last."""

    __slots__ = ("_buffer", "_exchange", "_head", "_paused", "_reader", "_state", "_transport", "_used", "closed", "proxy",
                 "server", "used_at")  # fmt: skip

    def __init__(self, proxy: Proxy, server: Server) -> None:
        self.proxy = proxy
        self.server = server
        self.closed = False
        self.used_at = proxy.clock.now()
        self._paused = False
        self._used = False
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._head: ResponseHead | None = None
        self._reader: Reader | None = None
        self._state = _REST
        self._transport: asyncio.Transport | None = None

    # What the exchange does.

    def begin(self, exchange: "Exchange", data: bytes) -> None:
        """Send *data*, a request's head."""
        self._exchange = exchange
        self._state = _HEAD
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Bytes of the request, or of a tunnel."""
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def abort(self) -> None:
        """Close at once; nobody is told."""
        self._exchange = None
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def is_stale(self) -> bool:
        """Whether the connection had been kept from an earlier request, and nothing was heard of this one."""
        return self._used and self._state == _HEAD and not self._buffer

    def pause_reading(self) -> None:
        """The client does not take the answer as fast as it comes."""
        if self._transport is not None and not (self.closed or self._paused):
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """It does again."""
        if self._transport is not None and self._paused and not self.closed and self._state != _HELD:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close when what was written has gone; nobody is told."""
        self._exchange = None
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self.closed:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            self.server.forget(self)
        elif isinstance(self._reader, CloseReader) and exc is None:
            self._complete(exchange)
        elif self._state == _TUNNEL:
            exchange.client.tunnel_ended()
        else:
            exchange.failure_heard(UPSTREAM_RESET)

    def pause_writing(self) -> None:
        """See asyncio: the server does not take the request as fast as it comes."""
        if self._exchange is not None:
            self._exchange.client.pause_content()

    def resume_writing(self) -> None:
        """See asyncio."""
        if self._exchange is not None:
            self._exchange.client.resume_content()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        exchange = self._exchange
        if exchange is None:
            # Nothing was asked: what comes now must never become the answer to somebody's next request.
            self.server.forget(self)
            self.abort()
        elif self._state == _HEAD:
            self._read_head(exchange, data)
        elif self._state == _CONTENT:
            self._read_content(exchange, data)
        elif self._state == _HELD:
            self._buffer += data
        else:
            exchange.client.write(data)

    def _read_head(self, exchange: "Exchange", data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        try:
            while True:
                end = data.find(b"\r\n\r\n")
                if end > HEAD_LIMIT or (end < 0 and len(data) > HEAD_LIMIT):
                    raise Malformed("the head is too long")
                if end < 0:
                    self._buffer = data
                    return
                app, block = b"", data[:end]
                head = known_response(block)
                if head is None:
                    # What is remembered has no such line.
                    app, block = take_line(block, APP_LINE)
                    head = read_response(block)
                data = data[end + 4 :]
                if head.status >= 200:
                    break
                if head.status == 101:
                    self._switch(exchange, head, data)
                    return
                exchange.interim(head)
        except Malformed:
            exchange.try_failed(UPSTREAM_RESET)
            return
        if head.metrics:
            self.server.say(head.metrics, self.proxy.warn)
        if self.proxy.link is not None:
            self._state = _HELD
            self._buffer = data
            self.pause_reading()
            over_link.answer(exchange, head, self._release, exchange, head, app)
        else:
            self._begin_answer(exchange, head, app, data)

    def _switch(self, exchange: "Exchange", head: ResponseHead, data: bytes) -> None:
        if not exchange.head.upgrade or not head.upgrade or not head.upgrading:
            raise Malformed("switched to a protocol that nobody asked for")
        self._state = _TUNNEL
        exchange.switched(head)
        if data:
            exchange.client.write(data)

    def _release(self, exchange: "Exchange", head: ResponseHead, app: bytes) -> None:
        """The answer has come over the link."""
        if self._exchange is not exchange:
            return
        data, self._buffer = self._buffer, b""
        self._state = _CONTENT
        self.resume_reading()
        self._begin_answer(exchange, head, app, data)

    def _begin_answer(self, exchange: "Exchange", head: ResponseHead, app: bytes, data: bytes) -> None:
        self._head = head
        self._state = _CONTENT
        length = 0 if exchange.head.method == b"HEAD" or head.status in (204, 304) else head.length
        other = bool(head.cause) and exchange.wants_other_server(head)
        if length >= 0:
            if len(data) >= length:
                self._reader = None
                if len(data) > length:
                    data, self._buffer = data[:length], data[length:]
                if not other:
                    exchange.answer(head, app, data)
                self._complete(None if other else exchange)
                return
            self._reader = LengthReader(length)
        else:
            self._reader = ChunkedReader() if head.chunked else CloseReader()
        if other:
            # The rest of a full queue's answer is not worth waiting for.
            self.abort()
            return
        self._first_content(exchange, head, app, data)

    def _first_content(self, exchange: "Exchange", head: ResponseHead, app: bytes, data: bytes) -> None:
        reader = self._reader
        assert reader is not None
        try:
            piece = reader.feed(data)
        except Malformed:
            exchange.try_failed(UPSTREAM_RESET)
            return
        exchange.answer(head, app, piece)
        if reader.done:
            self._complete(exchange)
        else:
            self._wait(exchange)

    def _read_content(self, exchange: "Exchange", data: bytes) -> None:
        reader = self._reader
        assert reader is not None
        try:
            piece = reader.feed(data)
        except Malformed:
            exchange.try_failed(UPSTREAM_RESET)
            return
        exchange.answer_content(piece)
        if reader.done:
            self._complete(exchange)
        else:
            self._wait(exchange)

    def _wait(self, exchange: "Exchange") -> None:
        """For more of the answer: as long again, unless it is the client that is slow."""
        if self.proxy.spec.upstream_timeout >= 0:
            if exchange.client.paused:
                exchange.client.answer_due.clear()
            else:
                exchange.client.answer_due.set(seconds(self.proxy.spec.upstream_timeout))

    def _complete(self, exchange: "Exchange | None") -> None:
        """The answer is complete: keep the connection if it can be kept."""
        reader, head = self._reader, self._head
        assert head is not None
        trailers = _NO_TRAILERS
        kept = head.keep_alive and not self.closed and (exchange is None or exchange.received)
        if reader is not None:
            self._buffer = reader.rest
            trailers = reader.trailers
            kept = kept and not isinstance(reader, CloseReader)
        kept = kept and not self._buffer
        self._exchange = self._head = self._reader = None
        self._state = _REST
        now = self.proxy.clock.now()
        if kept:
            if self._paused:
                self.resume_reading()
            self._used = True
            self.used_at = now
            self.server.keep(self, IDLE_UPSTREAMS)
        else:
            self.abort()
        if exchange is not None:
            exchange.answer_ended(head.status, trailers, now)
