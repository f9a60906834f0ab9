"""The proxy while tracing is on: whose trace a request belongs to, the ``traceparent`` that goes on, and the spans of what is kept.

Without tracing none of this is there (``listener`` chooses). A request whose trace is not kept costs a look at its ``traceparent``, which goes on as it came; one that is kept gets its
spans when it is over, from the moments that the exchange knows anyway.
"""

import re
from typing import TYPE_CHECKING

from ...core.http.arrivals import Arrival, next_request
from ...core.http.heads import RequestHead, ResponseHead
from ...core.outcomes import NAMES, STATUS, Outcome
from ...core.trace import schema
from ...core.trace.context import LENGTH, STATE
from ...core.trace.ids import beside
from ...core.trace.schema import (
    ANSWER,
    AT_ATTEMPT,
    AT_PROXY,
    IN_PROXY,
    LEAF,
    TO_SERVER,
    UPSTREAM,
    Asked,
    try_place,
)
from ..live.headers import read_numbers
from ..live.tracing import Context, Tracing
from .client import ClientConnection
from .exchange import Exchange
from .messages import bare_request_bytes
from .servers import Server

if TYPE_CHECKING:
    pass

_PARENT = b"\r\ntraceparent: "
_VALUE = len(_PARENT)
_unsampled = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][02468ace]").fullmatch
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_OUTCOMES = {name.encode(): number for number, name in enumerate(NAMES)}
OK, APP_ERROR, PENDING = int(Outcome.OK), int(Outcome.APP_ERROR), int(Outcome.PENDING)
QUEUE_FULL = int(Outcome.QUEUE_FULL)


class TracedClient(ClientConnection):
    """A client's connection. A ``traceparent`` is taken out of a head before that is looked up among those seen before: no two have the same."""

    __slots__ = ("_parent",)

    def _arrive(self, data: bytes, searched: int) -> Arrival | None:
        self._parent = b""
        end = data.find(b"\r\n\r\n")
        at = data.find(_PARENT, 0, end) if end >= 0 else -1
        if at >= 0 and data[at + _VALUE + LENGTH : at + _VALUE + LENGTH + 2] == b"\r\n":
            self._parent = data[at + _VALUE : at + _VALUE + LENGTH]
            data = data[:at] + data[at + _VALUE + LENGTH :]
            searched = 0
        return next_request(data, searched)

    def _begin(self, head: RequestHead, named: bytes) -> None:
        super()._begin(head, named)
        self._parent = b""

    def _exchange_of(self, head: RequestHead, named: bytes) -> Exchange:
        return TracedExchange(self, head, named, self._parent)

    def connection_made(self, transport: object) -> None:
        """See asyncio."""
        self._parent = b""
        super().connection_made(transport)  # type: ignore[arg-type]


class _Try:
    """A try that is over; times are ns on the live clock."""

    __slots__ = ("end", "number", "outcome", "server", "start", "status")

    def __init__(self, number: int, server: Server, start: int, end: int, outcome: int, status: int) -> None:
        self.number = number
        self.server = server
        self.start = start
        self.end = end
        self.outcome = outcome
        self.status = status


class TracedExchange(Exchange):
    """A request of a trace. *_id*: its span's, empty if the trace is not kept; *_passed*: the lines that go on in that case."""

    __slots__ = ("_app", "_context", "_id", "_made", "_outcome", "_passed", "_status", "_tracing")

    def __init__(self, client: ClientConnection, head: RequestHead, named: bytes, parent: bytes) -> None:
        super().__init__(client, head, named)
        tracing = client.proxy.tracing
        assert tracing is not None, "a traced exchange without tracing"
        self._tracing: Tracing = tracing
        self._id = ""
        self._passed = b""
        self._app = b""
        self._status = 0
        self._outcome = PENDING
        self._made: list[_Try] = []
        if (
            parent and not head.trace and tracing.sampler.parent_based and _unsampled(parent)
            and parent[3:35] != _NO_TRACE and parent[36:52] != _NO_SPAN
        ):  # fmt: skip
            self._passed = b"traceparent: %b\r\n" % parent
            return
        self._context = context = _context_of(tracing, head, parent)
        if not context.sampled:
            span = context.parent or tracing.span_id()
            self._passed = _lines(context, span)
        elif self.planned and context.parent:
            self._id = beside(context.parent, AT_ATTEMPT, AT_PROXY)
        else:
            self._id = tracing.span_id()

    def _write(self, head: RequestHead, address: bytes) -> bytes:
        lines = self._passed or _lines(self._context, self._try_id(self.tries))
        return b"%b%b\r\n" % (bare_request_bytes(head, address)[:-2], lines)

    def _try_id(self, number: int) -> str:
        return beside(self._id, AT_PROXY, try_place(number, TO_SERVER))

    # What becomes of it.

    def answer(self, head: ResponseHead, app: bytes, piece: bytes) -> None:
        """See Exchange."""
        if self._id:
            self._app, self._status = app or head.app, head.status
            self._outcome = _OUTCOMES.get(head.cause, APP_ERROR if head.status >= 500 else OK)
        super().answer(head, app, piece)

    def wants_other_server(self, head: ResponseHead) -> bool:
        """See Exchange."""
        self._outcome, self._status = QUEUE_FULL, head.status
        return super().wants_other_server(head)

    def try_failed(self, outcome: int) -> None:
        """See Exchange."""
        self._outcome, self._status = outcome, 0
        super().try_failed(outcome)

    def _end_try(self, failed: bool, now: int = -1) -> None:
        now = now if now >= 0 else self.proxy.clock.now()
        if self._id and self.server is not None:
            self._note_try(self.server, now, self._outcome)
        super()._end_try(failed, now)

    def _note_try(self, server: Server, now: int, outcome: int) -> None:
        self._made.append(_Try(self.tries, server, self.sent, now, outcome, self._status))
        if outcome not in (OK, PENDING, APP_ERROR):
            words = NAMES[outcome].replace("_", " ")
            text = f"try {self.tries} at server {server.number} failed: {words}"
            self._tracing.log(self._context, self._try_id(self.tries), "warning", text)

    def _fail(self, outcome: int) -> None:
        self._outcome, self._status = outcome, STATUS[Outcome(outcome)]
        super()._fail(outcome)

    def abandon(self) -> None:
        """See Exchange."""
        if self._id:
            self._outcome = PENDING
            if self.trying and self.server is not None:
                self._note_try(self.server, self.proxy.clock.now(), PENDING)
        super().abandon()

    def _leave(self) -> None:
        super()._leave()
        if self._id:
            self._record(self.proxy.clock.now())

    def _record(self, now: int) -> None:
        """Its spans: it is over."""
        tracing, context, head = self._tracing, self._context, self.head
        path = head.target.decode("latin-1").partition("?")[0]
        asked = Asked(head.method.decode(), path, tracing.route(path))
        host = head.host.decode("latin-1").rpartition(":")[0] or head.host.decode("latin-1")
        said = schema.in_proxy(asked, host, len(self._made), Outcome(self._outcome), self._status)
        tracing.add(context, self._id, context.parent, said, self.arrived, now, afar=True)
        self._stretch(self._id, IN_PROXY, self.arrived, min(self.routed, now))
        for one in self._made:
            address = one.server.address.removeprefix("http://")
            said = schema.proxy_try(
                asked, address, one.server.number, one.number, Outcome(one.outcome), one.status
            )
            tracing.add(context, self._try_id(one.number), self._id, said, one.start, one.end)
        numbers = read_numbers(self._app.decode("latin-1"), 4) if self._app and self._made else None
        if numbers is not None:
            arrived, served = numbers[0], numbers[3]
            last = self._made[-1]
            if arrived >= 0:
                self._stretch(self._try_id(last.number), UPSTREAM, last.start, min(arrived, last.end))
            if served >= 0:
                self._stretch(self._id, ANSWER, max(served, last.start), now)

    def _stretch(self, parent: str, station: int, start: int, end: int) -> None:
        self._tracing.stretch(
            self._context, beside(self._id, AT_PROXY, LEAF + station), parent, station, start, end
        )


def _context_of(tracing: Tracing, head: RequestHead, parent: bytes) -> Context:
    """The trace that a request names, or a new one. More than one ``traceparent`` is none."""
    parents = [parent.decode("latin-1")] if parent else []
    states: list[str] = []
    for line in head.trace:
        name, _, value = line.decode("latin-1").partition(": ")
        (states if name.lower() == STATE else parents).append(value)
    return tracing.begin(parents[0] if len(parents) == 1 else "", states)


def _lines(context: Context, span: str) -> bytes:
    state = f"{STATE}: {context.state}\r\n" if context.state else ""
    return f"traceparent: {context.header(span)}\r\n{state}".encode("latin-1")
