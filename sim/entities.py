"""What moves through the fleet: requests, their attempts, the connections that carry them, the jobs they become."""

from collections import deque
from typing import NamedTuple

from ..core.demand import body_size
from ..core.model import ClientSpec, EndpointSpec, SourceSpec, WireMessage
from ..core.order import lane, request_number
from ..core.outcomes import Outcome

PENDING = int(Outcome.PENDING)
OK = int(Outcome.OK)
APP_ERROR = int(Outcome.APP_ERROR)


class Request:
    """A planned request; *cpu* and *io* are the demands of its first attempt."""

    __slots__ = ("attempt", "attempts", "cpu", "done", "endpoint", "index", "io", "number", "row",
                 "source", "spec", "stream", "time")  # fmt: skip

    def __init__(
        self, source: int, spec: SourceSpec, index: int, endpoint: int, time: int, cpu: int, io: int
    ) -> None:
        self.source = source
        self.spec = spec
        self.stream = spec.stream
        self.index = index
        self.number = request_number(source, index)
        self.endpoint = endpoint
        self.time = time
        self.cpu = cpu
        self.io = io
        self.row = -1
        self.attempts: list[Attempt] = []

    @property
    def body(self) -> int:
        """Bytes of its content."""
        body = self.spec.body
        return 0 if body is None else body_size(body.kind, body.a, body.b, self.stream, self.index)


class Attempt:
    """One attempt of a request, with the times it reached each station (-1: not); *message*: what it is on the wire, if its source says exact bytes."""

    __slots__ = ("answered", "arrived", "connection", "cpu_done", "end", "lane", "message", "number", "outcome",
                 "proxy", "request", "retrying", "routed", "sent_upstream", "served", "server", "start", "started",
                 "status", "tries", "upstream", "written")  # fmt: skip

    def __init__(self, request: Request, number: int, start: int) -> None:
        self.request = request
        self.message: WireMessage | None = request.spec.message(request.index)
        self.number = number
        self.lane = lane(number)
        self.start = start
        self.proxy = self.routed = self.arrived = self.started = self.cpu_done = self.served = -1
        self.answered = self.end = -1
        self.outcome = PENDING
        self.status = 0
        self.server = 0
        self.tries = 0
        self.connection: Connection | None = None
        self.upstream = False
        self.sent_upstream = -1
        self.retrying = False
        self.written: tuple[int, ...] | None = None

    def row(self) -> tuple[int, ...]:
        """The row of columns.ATTEMPTS, as it was when the attempt had its outcome."""
        if self.written is None:
            self.written = self._row()
        return self.written

    def _row(self) -> tuple[int, ...]:
        connection = self.connection.id if self.connection else -1
        return (
            self.request.row, self.number, self.start, self.proxy, self.routed, self.arrived, self.started,
            self.cpu_done, self.served, self.answered, self.end, self.outcome, self.status, self.server,
            self.tries, connection,
        )  # fmt: skip


class Origin(NamedTuple):
    """What keys the draws and the order of a connection's own messages: the attempt that opened it."""

    stream: int
    request: int
    attempt: int
    number: int
    lane: int


class Connection:
    """A client connection, as its two ends see it.

    The client's end: *outbox* until established, *pending* attempts without an answer, *client_closed*. The proxy's end: *accepted*,
    *busy* with an attempt, *inbox* of requests that wait behind it (or for the connection to be accepted), *unread* bytes,
    *proxy_closed*, *gone* once the client's close has arrived. *row* is its place in the proxy's idle list. Both directions deliver in
    order: nothing arrives before *until* of its direction (core.toxics). *carried*: bytes of content, for a limit that began at *limited_since*;
    *full*: when it is closed for having carried too much.
    """

    __slots__ = ("accepted", "busy", "carried", "client", "client_closed", "established", "full", "gone", "id",
                 "idle_since", "inbox", "limited_since", "opened", "origin", "outbox", "pending",
                 "proxy_closed", "row", "slot", "source", "stalled", "syn_sent", "syn_tries", "unread", "until")  # fmt: skip

    def __init__(self, id: int, opener: Attempt, client: ClientSpec, syn_sent: int) -> None:
        request = opener.request
        self.id = id
        self.origin = Origin(request.stream, request.index, opener.number, request.number, opener.lane)
        self.source = request.source
        self.client = client
        self.syn_sent = syn_sent
        self.syn_tries = 0
        self.established = False
        self.client_closed = False
        self.outbox: list[Attempt] = []
        self.pending: dict[Attempt, None] = {}
        self.slot = -1
        self.accepted = False
        self.busy: Attempt | None = None
        self.inbox: deque[Attempt] = deque()
        self.unread = 0
        self.stalled = False
        self.proxy_closed = False
        self.gone = False
        self.row = 0
        self.idle_since = -1
        self.opened = 0
        self.until = [0, 0]
        self.carried = [0, 0]
        self.limited_since = [0, 0]
        self.full = -1


class Job:
    """An attempt's upstream try at an app server. *error*: the status it will fail with, 0 if it does not; *frozen*: how long its server had
    been paused in all when its CPU time began (ns)."""

    __slots__ = ("attempt", "body", "call", "cpu", "endpoint", "error", "frozen", "io", "lane", "number", "server",
                 "tries")  # fmt: skip

    def __init__(self, attempt: Attempt, endpoint: EndpointSpec, server: int, cpu: int, io: int) -> None:
        self.attempt = attempt
        self.endpoint = endpoint
        self.server = server
        self.tries = attempt.tries
        self.lane = lane(attempt.number, attempt.tries)
        self.number = attempt.request.number
        self.cpu = cpu
        self.io = io
        self.call = 0
        self.error = 0
        self.frozen = 0
        self.body = attempt.request.body

    def answer_size(self, outcome: int) -> int:
        """Bytes of the content of an answer with this outcome."""
        return self.endpoint.size if outcome in (OK, APP_ERROR) else 0

    @property
    def current(self) -> bool:
        """Whether the proxy still waits for this very try."""
        return self.attempt.upstream and self.attempt.tries == self.tries
