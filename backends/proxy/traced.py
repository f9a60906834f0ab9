"""The proxy while tracing is on: whose trace a request belongs to, the ``traceparent`` that goes on, and the spans of what is kept.

Without tracing none of this is there (``listener`` chooses). A request whose trace is not kept costs a look at its ``traceparent``, which goes on as it came; one that is kept gets its
spans when it is over, from the moments that the exchange knows anyway.
"""

import re

from ...core.http.arrivals import Arrival, known_alone, next_request
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
from .proxy import Proxy
from .servers import Server

_PARENT = b"\r\ntraceparent: "
_VALUE = len(_PARENT)
_ALPHABET = b"0123456789abcdef-"
_goes_on = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]").fullmatch
"""A valid one that is not sampled."""
_OUTCOMES = {name.encode(): number for number, name in enumerate(NAMES)}
OK, APP_ERROR, PENDING = int(Outcome.OK), int(Outcome.APP_ERROR), int(Outcome.PENDING)
QUEUE_FULL = int(Outcome.QUEUE_FULL)


class TracedClient(ClientConnection):
    """A client's connection. A ``traceparent`` is taken out of a head before that is looked up among those seen before: no two have the same."""

    __slots__ = ("_named", "_parent")

    def __init__(self, proxy: Proxy, address: str) -> None:
        super().__init__(proxy, address)
        self._named: RequestHead | None = None
        self._parent = b""

    def _arrive(self, data: bytes, searched: int) -> Arrival | None:
        end = data.find(b"\r\n\r\n")
        at = data.find(_PARENT, 0, end) if end >= 0 else -1
        value = at + _VALUE
        parent = data[value : value + LENGTH] if at >= 0 else b""
        if (
            not parent
            or data[value + LENGTH : value + LENGTH + 2] != b"\r\n"
            or parent.translate(None, _ALPHABET)
        ):
            # What is none is read as a line like any other, or refused.
            return next_request(data, searched)
        rest = data[:at] + data[value + LENGTH :]
        head = known_alone(rest)
        arrival = Arrival(head, b"", b"") if head is not None else next_request(rest, 0)
        if arrival is not None:
            self._named, self._parent = arrival.head, parent
        return arrival

    def _exchange_of(self, head: RequestHead, named: bytes) -> Exchange:
        parent = self._parent if head is self._named else b""
        self._named = None
        tracing = self.proxy.tracing
        assert tracing is not None, "a traced client without tracing"
        found: Context | bytes
        if head.trace:
            found = _context_of(tracing, head, parent)
        elif not parent:
            found = tracing.next_root()
        elif _goes_on(parent) and tracing.sampler.parent_based:
            found = parent
        else:
            found = tracing.begin(parent.decode("latin-1"), [])
        if isinstance(found, Context):
            if found.sampled:
                return TracedExchange(self, head, named, tracing, found)
            passed = _lines(found, found.parent or found.own)
        else:
            passed = b"traceparent: %b\r\n" % found
        return PassedExchange(self, head, named, passed)


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


class PassedExchange(Exchange):
    """A request of a trace that is not kept: the lines *passed* go on in place of those that it came with."""

    __slots__ = ("_passed",)

    def __init__(self, client: ClientConnection, head: RequestHead, named: bytes, passed: bytes) -> None:
        super().__init__(client, head, named)
        self._passed = passed

    def _write(self, head: RequestHead, address: bytes) -> bytes:
        return b"%b%b\r\n" % (bare_request_bytes(head, address)[:-2], self._passed)


class TracedExchange(Exchange):
    """A request of a trace that is kept. *_id*: its span's."""

    __slots__ = ("_app", "_context", "_id", "_made", "_outcome", "_status", "_tracing")

    def __init__(
        self, client: ClientConnection, head: RequestHead, named: bytes, tracing: Tracing, context: Context
    ) -> None:
        super().__init__(client, head, named)
        self._tracing = tracing
        self._context = context
        self._app = b""
        self._status = 0
        self._outcome = PENDING
        self._made: list[_Try] = []
        if self.planned and context.parent:
            self._id = beside(context.parent, AT_ATTEMPT, AT_PROXY)
        else:
            self._id = context.own or tracing.span_id()

    def _write(self, head: RequestHead, address: bytes) -> bytes:
        lines = _lines(self._context, self._try_id(self.tries))
        return b"%b%b\r\n" % (bare_request_bytes(head, address)[:-2], lines)

    def _try_id(self, number: int) -> str:
        return beside(self._id, AT_PROXY, try_place(number, TO_SERVER))

    # What becomes of it.

    def answer(self, head: ResponseHead, app: bytes, piece: bytes) -> None:
        """See Exchange."""
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
        if self.server is not None:
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
        self._outcome = PENDING
        if self.trying and self.server is not None:
            self._note_try(self.server, self.proxy.clock.now(), PENDING)
        super().abandon()

    def _leave(self) -> None:
        super()._leave()
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
        self._stretches(now)

    def _stretches(self, now: int) -> None:
        """The way to the last server and the answer's back, as far as they are known: app servers tell the times of planned requests only."""
        if not self._made:
            self._stretch(self._id, ANSWER, self.routed, now)
        elif self.planned:
            last = self._made[-1]
            numbers = read_numbers(self._app.decode("latin-1"), 4) or (-1,) * 4
            arrived, served = numbers[0], numbers[3]
            there = min(arrived, last.end) if arrived >= 0 else last.end
            self._stretch(self._try_id(last.number), UPSTREAM, last.start, there)
            # A full queue answers at once.
            back = served if served >= 0 else arrived if last.outcome == QUEUE_FULL else -1
            if back >= 0:
                self._stretch(self._id, ANSWER, max(back, last.start), now)

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
