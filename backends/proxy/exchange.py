"""One request on its way: to an app server, to another one if that fails and the rules allow, and the answer back.

The counterpart of ``sim/forwarding.py``. An exchange belongs to one connection of a client and, while a try is under way, to one connection to an
app server.
"""

import re
from typing import TYPE_CHECKING

from ...core import admission, draws, retries, routing
from ...core.http.framing import chunk, last_chunk
from ...core.http.heads import RequestHead, ResponseHead
from ...core.outcomes import STATUS, Outcome
from ..live.headers import REQUEST, TRY, UNKNOWN, request_numbers
from . import over_link
from .connecting import open_upstream
from .deadline import NEVER
from .messages import answer_bytes, request_bytes
from .proxy import IDLE_UPSTREAMS
from .servers import Server

if TYPE_CHECKING:
    from .client import ClientConnection
    from .upstream import Upstream

REPLAY_LIMIT = retries.REPLAY_LIMIT
"""Bytes of a request's content that are kept to be sent again, and that may wait for a connection."""

IDEMPOTENT = frozenset(method.encode() for method in retries.IDEMPOTENT)

SHED = int(Outcome.SHED)
NO_SERVER = int(Outcome.NO_SERVER)
QUEUE_FULL = int(Outcome.QUEUE_FULL)
CONNECT_FAILED = int(Outcome.CONNECT_FAILED)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
UPSTREAM_TIMEOUT = int(Outcome.UPSTREAM_TIMEOUT)
_STATUS = {int(outcome): status for outcome, status in STATUS.items()}
_REASONS = {
    NO_SERVER: "no app server is available",
    SHED: "every app server has as many requests in flight as it may have",
    QUEUE_FULL: "the app server's queue is full",
    CONNECT_FAILED: "no connection to the app server",
    UPSTREAM_RESET: "the app server gave no valid answer",
    UPSTREAM_TIMEOUT: "no answer from the app server in time",
}
_UNKNOWN_TIMES = "-".join([UNKNOWN] * 4).encode()
_NO_CONTENT: list[bytes] = []
_PLANNED = REQUEST.encode() + b": "
_TRY = TRY.encode()
_four_numbers = re.compile(rb"(?:[0-9]{1,18}|x)(?:-(?:[0-9]{1,18}|x)){3}").fullmatch


class Exchange:
    """A request and what became of it."""

    __slots__ = ("_held", "_held_size", "_left", "_named", "_resent", "_retrying", "answered", "arrived", "attempt",
                 "chunking", "client", "close", "head", "index", "planned", "proxy", "received", "routed", "sent",
                 "server", "source", "stream", "tries", "trying", "upstream")  # fmt: skip

    def __init__(self, client: "ClientConnection", head: RequestHead, named: bytes = b"") -> None:
        proxy = client.proxy
        self.client = client
        self.proxy = proxy
        self.head = head
        self.arrived = self.routed = proxy.clock.now()
        self.tries = 0
        self.server: Server | None = None
        self.upstream: Upstream | None = None
        self.received = head.simple or (not head.chunked and head.length <= 0)
        self.answered = self.chunking = self.close = False
        self._held: list[bytes] | None = _NO_CONTENT if self.received else []
        self._held_size = 0
        self._resent = self._retrying = False
        self.sent = 0
        self.trying = self._left = False
        self.planned = False
        self._named = named
        if named or head.planned:
            self._plan((named or head.planned).decode("latin-1"))
        if not self.planned:
            proxy.foreign += 1
            self.source, self.index, self.attempt = -1, proxy.foreign, 1
            self.stream = proxy.foreign_stream

    def _plan(self, name: str) -> None:
        """The attempt of the plan that *name* says, if the plan can have it."""
        named = request_numbers(name)
        if named is None:
            return
        source, index, attempt = named
        sources = self.proxy.fleet.sources
        if source < len(sources) and index < draws.REQUEST_LIMIT and attempt < draws.ATTEMPT_LIMIT:
            self.planned = True
            self.source, self.index, self.attempt = named
            self.stream = sources[source].stream

    # Up.

    def start(self) -> None:
        """Send the request to a server, as soon as the proxy is through with it."""
        proxy = self.proxy
        if proxy.disturbed.slow_by:
            wait = proxy.disturbed.turn(self.arrived)
            proxy.delays.call_later(wait, self._start_late)
        else:
            self._start()

    def _start_late(self) -> None:
        if not self._left:
            self.routed = self.proxy.clock.now()
            self._start()

    def _start(self) -> None:
        proxy = self.proxy
        proxy.sequence += 1
        role = routing.wanted_role(proxy.sequence, *proxy.share)
        failure = self._forward(role, 0)
        if failure:
            if failure in (NO_SERVER, SHED):
                proxy.unserved += 1
            self._fail(failure)

    def _forward(self, role: int, exclude: int) -> int:
        """Begin a try at a server of *role*; the outcome that prevents it, or 0."""
        proxy = self.proxy
        now = self.routed if self.tries == 0 else proxy.clock.now()
        bits = 0
        if proxy.needs_bits:
            purpose = draws.ROUTE + draws.TRY * self.tries
            bits = draws.draw(self.stream, self.index, self.attempt, purpose)
        affinity = self.client.affinity(self) if proxy.needs_affinity else 0
        slot = proxy.servers.route(role, exclude, bits, affinity, now)
        if slot < 0:
            return SHED if slot == routing.SHED else NO_SERVER
        if not admission.fits_descriptors(proxy.descriptors, proxy.limit):
            return CONNECT_FAILED
        proxy.descriptors += 1
        server = self.server = proxy.servers.begin(slot)
        self.trying = True
        self.tries += 1
        self.sent = now
        self._resent = False
        if proxy.upstream_timeout >= 0:
            self.client.answer_due.set(proxy.upstream_timeout)
        if proxy.link is not None:
            over_link.send(self, self._send)
        else:
            self._send_to(server)
        return 0

    def _send(self, tries: int) -> None:
        server = self.server
        if self.trying and tries == self.tries and server is not None:
            self._send_to(server)

    def _send_to(self, server: Server) -> None:
        upstream = server.take(self.sent)
        if upstream is not None:
            self._attach(upstream)
        else:
            self.proxy.spawn(self._connect(server, self.tries))

    async def _connect(self, server: Server, tries: int) -> None:
        upstream = await open_upstream(self.proxy, server)
        if not self.trying or tries != self.tries:
            if upstream is not None:
                server.keep(upstream, IDLE_UPSTREAMS)
        elif upstream is not None and not upstream.closed:
            self._attach(upstream)
        else:
            self.failure_heard(UPSTREAM_RESET if self._resent else CONNECT_FAILED)

    _write = staticmethod(request_bytes)

    def _attach(self, upstream: "Upstream") -> None:
        """Send what there is of the request over *upstream*."""
        self.upstream = upstream
        data = self._write(self.head, self.client.address)
        if self._named:
            data = b"".join((data[:-2], _PLANNED, self._named, b"\r\n\r\n"))
        if self.tries > 1 and self.planned:
            data = b"%b%b: %d\r\n\r\n" % (data[:-2], _TRY, self.tries)
        upstream.begin(self, data)
        if self._held:
            upstream.write(b"".join(self._held))
            if self._held_size > REPLAY_LIMIT:
                self._held = None
                self.client.resume_content()

    # The request's content, as it arrives.

    def content(self, piece: bytes) -> None:
        """A piece of the request's content."""
        if piece:
            self._pass_on(chunk(piece) if self.head.chunked else piece)

    def content_ended(self, trailers: list[bytes]) -> None:
        """The request's content is complete."""
        self.received = True
        if self.head.chunked:
            self._pass_on(last_chunk(trailers))

    def _pass_on(self, data: bytes) -> None:
        upstream = self.upstream
        if upstream is not None:
            upstream.write(data)
        held = self._held
        if held is None:
            return
        held.append(data)
        self._held_size += len(data)
        if self._held_size > REPLAY_LIMIT:
            if upstream is not None:
                self._held = None
            else:
                self.client.pause_content()

    # Down.

    def interim(self, head: ResponseHead) -> None:
        """An answer before the answer (1xx)."""
        if self.head.minor == 1 and (head.status != 100 or self.head.expect):
            self.client.write(answer_bytes(head, False, b"", b""))

    def wants_other_server(self, head: ResponseHead) -> bool:
        """Whether the answer is a full queue's and the request goes to another server. Then this try has ended."""
        if head.cause != b"queue_full" or head.status != 503:
            return False
        if not self._may_retry(QUEUE_FULL):
            return False
        self.upstream = None
        self._end_try(True)
        if not self._retry():
            self._fail(QUEUE_FULL)
        return True

    def answer(self, head: ResponseHead, app: bytes, piece: bytes) -> None:
        """The answer's head, what the app server says of times, and the first piece of the content."""
        request = self.head
        if request.simple and head.simple and not self.proxy.stopping:
            # As below, at once: the client's connection stays, and the content goes on as it is.
            self.answered = True
            if self.planned:
                self.client.write(answer_bytes(head, False, b"", self._times(app or head.app)) + piece)
            else:
                self.client.write((head.written or answer_bytes(head, False, b"", b"")) + piece)
            return
        without = request.method == b"HEAD" or head.status == 304 or head.status == 204
        self.answered = True
        self.chunking = not without and request.minor == 1 and (head.chunked or head.length < 0)
        close = not request.keep_alive or not self.received or self.proxy.stopping
        if not without and not self.chunking and head.length < 0:
            close = True
        self.close = close
        chunked = self.chunking or (without and head.chunked and request.minor == 1)
        option = b"close" if close else (b"" if request.minor == 1 else b"keep-alive")
        times = self._times(app or head.app) if self.planned else b""
        data = answer_bytes(head, chunked, option, times)
        self.client.write(data + (chunk(piece) if self.chunking else piece))

    def answer_content(self, piece: bytes) -> None:
        """A further piece of the answer's content."""
        if piece:
            self.client.write(chunk(piece) if self.chunking else piece)

    def answer_ended(self, status: int, trailers: list[bytes], now: int) -> None:
        """The answer is complete at *now* (ns)."""
        if self.chunking:
            self.client.write(last_chunk(trailers))
        self.upstream = None
        self._end_try(status >= 500, now)
        self._leave()
        self.client.finished(self.close)

    def switched(self, head: ResponseHead) -> None:
        """The server speaks another protocol from here on (101)."""
        self.answered = True
        self.client.answer_due.clear()
        self.client.write(answer_bytes(head, False, b"upgrade", b""))
        self.client.tunnel()

    def _times(self, app: bytes) -> bytes:
        """The value of ``windtunnel-times``; the app server's four numbers go on as they are."""
        server = self.server.number if self.server is not None else 0
        four = app if _four_numbers(app) else _UNKNOWN_TIMES
        return b"%d-%d-%b-%d-%d" % (self.arrived, self.routed, four, server, self.tries)

    # Failures.

    def failure_heard(self, outcome: int) -> None:
        """The server, or the machine that it was on, says that there will be no answer: news that comes over the link."""
        if self.proxy.disturbed.on and self.trying:
            wait = over_link.delay(self, draws.ANSWER_LATENCY)
            self.proxy.delays.call_later(wait, self._failed_late, self.tries, outcome)
        else:
            self.try_failed(outcome)

    def _failed_late(self, tries: int, outcome: int) -> None:
        if self.trying and tries == self.tries:
            self.try_failed(outcome)

    def try_failed(self, outcome: int) -> None:
        """This try has ended without an answer, or in the middle of it."""
        upstream, self.upstream = self.upstream, None
        stale = (
            outcome == UPSTREAM_RESET and upstream is not None and upstream.is_stale() and not self._resent
        )
        if upstream is not None:
            upstream.abort()
        if self.answered:
            self._end_try(True)
            self._leave()
            self.client.broken()
            return
        if stale and self.head.method in IDEMPOTENT and self._held is not None and self.server is not None:
            # The server may have closed the kept connection before it saw the request (RFC 9112, section 9.3.1).
            self._resent = True
            self.server.drop_all()
            self.proxy.spawn(self._connect(self.server, self.tries))
            return
        self._end_try(True)
        if not (self._may_retry(outcome) and self._retry()):
            self._fail(outcome)

    def reset_by_link(self) -> None:
        """The link has closed the connection of this try."""
        self._resent = True
        self.try_failed(UPSTREAM_RESET)

    def timed_out(self) -> None:
        """No answer in time."""
        if self.trying:
            self.try_failed(UPSTREAM_TIMEOUT)

    def _may_retry(self, outcome: int) -> bool:
        proxy, spec = self.proxy, self.proxy.spec
        return retries.proxy_retries(
            outcome, self.head.method in IDEMPOTENT, self._held is not None, self.tries, spec.retry_attempts,
            proxy.active, proxy.retrying, spec.retry_budget,
        )  # fmt: skip

    def _retry(self) -> bool:
        """Send the request to another server than that which has just failed it; False if there is none."""
        assert self.server is not None
        failed = self.server.number
        if self._forward(self.proxy.servers.role(failed), failed):
            return False
        if not self._retrying:
            self._retrying = True
            self.proxy.retrying += 1
        return True

    def _fail(self, outcome: int) -> None:
        self._leave()
        self.client.answer_due.clear()
        times = self._times(b"").decode() if self.planned else ""
        self.client.answer(_STATUS[outcome], outcome, _REASONS[outcome], times)

    def abandon(self) -> None:
        """The client is gone: nobody waits for the answer any more."""
        self._leave()
        upstream, self.upstream = self.upstream, None
        if self.trying and self.server is not None:
            self.trying = False
            self.proxy.give_back(self)
            self.proxy.servers.abandon(self.server.number, self.sent, self.proxy.clock.now())
        if upstream is not None:
            upstream.close()

    def _end_try(self, failed: bool, now: int = -1) -> None:
        self.client.answer_due.at = NEVER
        assert self.server is not None, "a try has ended that never began"
        self.trying = False
        proxy = self.proxy
        proxy.give_back(self)
        proxy.servers.end(self.server.number, failed, self.sent, now if now >= 0 else proxy.clock.now())

    def _leave(self) -> None:
        self._left = True
        self.proxy.active -= 1
        if self._retrying:
            self._retrying = False
            self.proxy.retrying -= 1
