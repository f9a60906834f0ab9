"""The clients: they send what the plan says, wait, give up, try again, or never read."""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core import draws
from ..core.admission import SYN_GIVE_UP_S, syn_delay
from ..core.demand import SHORTEST_TURN, choose_endpoint, cpu_demand, io_demand
from ..core.model import FLOOD, NONE, PER_REQUEST, POOL, SECOND, WIRE, Link, SourceSpec
from ..core.network import link_delay
from ..core.order import Kind, lane, request_number
from ..core.outcomes import Outcome, retryable
from ..core.retries import backoff
from ..core.toxics import UPSTREAM, disturbance
from ..scenarios.plan import COLUMNS, Plan
from .entities import PENDING, Attempt, Connection, Request
from .links import CLIENTS, Links
from .recorder import Recorder
from .timeline import Timeline

if TYPE_CHECKING:
    from .proxy import Proxy

CLIENT_TIMEOUT = int(Outcome.CLIENT_TIMEOUT)
UNFINISHED = int(Outcome.UNFINISHED)

Row = tuple[int, int, int, int, int, int]


class Pool:
    """The connections of a source: *idle* ones (most recently used last), how many are *open*, and who waits for one."""

    def __init__(self, spec: SourceSpec) -> None:
        self.idle: list[Connection] = []
        self.open = 0
        self.waiting: deque[Attempt] = deque()
        self.slots: list[Connection | None] = (
            [None] * spec.client.connections if spec.client.mode in (FLOOD, WIRE) else []
        )


class Clients:
    """All sources of a plan."""

    def __init__(self, plan: Plan, timeline: Timeline, recorder: Recorder, block: int) -> None:
        self.plan = plan
        self.sources = plan.fleet.sources
        self.link: Link = plan.fleet.client_link
        self.links: Links
        self.timeline = timeline
        self.recorder = recorder
        self.pools = [Pool(source) for source in self.sources]
        self.proxy: Proxy
        self.issued = [0] * len(self.sources)
        self.unfinished = 0
        self.open_rows_left = True
        self._rows = self._open_rows(block)
        self._connections = 0

    # What the plan makes them send.

    def begin(self) -> None:
        """Schedule the first open row and every closed client's first request."""
        self._schedule_next_row()
        for source, spec in enumerate(self.sources):
            for client in range(max(spec.concurrency, 0)):
                if spec.start < spec.end:
                    self._schedule_turn(source, spec.start, client)

    def _open_rows(self, block: int) -> Iterator[Row]:
        for columns in self.plan.blocks(block):
            lists = [columns[name].tolist() for name in COLUMNS[:6]]
            yield from zip(*lists, strict=True)

    def _schedule_next_row(self) -> None:
        row = next(self._rows, None)
        if row is None:
            self.open_rows_left = False
            return
        number = request_number(row[1], row[2])
        self.timeline.at(row[0], Kind.START, row[1], number, lane(1), self._start_open, row)

    def _start_open(self, row: Row) -> None:
        time, source, index, endpoint, cpu, io = row
        self._start(Request(source, self.sources[source], index, endpoint, time, cpu, io))
        self._schedule_next_row()

    def _schedule_turn(self, source: int, time: int, index: int) -> None:
        number = request_number(source, index)
        self.timeline.at(time, Kind.START, source, number, lane(1), self._start_closed, source, index)

    def _start_closed(self, source: int, index: int) -> None:
        spec = self.sources[source]
        if 0 <= spec.maximum <= self.issued[source]:
            return
        endpoint = choose_endpoint(self.plan.mixes[source], draws.draw(spec.stream, index, 0, draws.ENDPOINT))
        request = Request(source, spec, index, endpoint, self.timeline.now(), 0, 0)
        request.cpu, request.io = self.demand(request, 1)
        self._start(request)

    def demand(self, request: Request, attempt: int) -> tuple[int, int]:
        """CPU and io demand (ns) of an attempt; the plan holds those of the first ones."""
        endpoint = self.plan.fleet.endpoints[request.endpoint]
        stream, index = request.stream, request.index
        cpu = cpu_demand(endpoint.cpu.kind, endpoint.cpu.a, endpoint.cpu.b, stream, index, attempt)
        if endpoint.io is None:
            return cpu, 0
        return cpu, io_demand(endpoint.io.kind, endpoint.io.a, endpoint.io.b, stream, index, attempt)

    def _start(self, request: Request) -> None:
        self.issued[request.source] += 1
        self.unfinished += 1
        self.recorder.begin(request)
        self._send(request, 1)

    # An attempt's life.

    def _send(self, request: Request, number: int) -> None:
        now = self.timeline.now()
        attempt = Attempt(request, number, now)
        request.attempts.append(attempt)
        client = request.spec.client
        if client.timeout >= 0:
            self.timeline.at(
                now + client.timeout, Kind.CLIENT_TIMEOUT, request.source, request.number, attempt.lane,
                self._timed_out, attempt,
            )  # fmt: skip
        pool = self.pools[request.source]
        if client.mode == PER_REQUEST:
            self._connect(attempt)
        elif client.mode in (FLOOD, WIRE):
            self._flood(pool, attempt)
        elif pool.idle:
            self._transmit(pool.idle.pop(), attempt)
        elif pool.open < client.connections:
            self._connect(attempt)
        else:
            pool.waiting.append(attempt)

    def _flood(self, pool: Pool, attempt: Attempt) -> None:
        """A flood's requests go over its connections in turn, behind one another, whether or not there was an answer; all messages of a wire over one of their own."""
        index, wire = attempt.request.index, len(attempt.request.spec.wire)
        slot = index % len(pool.slots)
        connection = None if wire and index % wire == 0 else pool.slots[slot]
        if connection is None or connection.client_closed:
            connection = self._connect(attempt)
            connection.slot = slot
            pool.slots[slot] = connection
        elif connection.established:
            self._transmit(connection, attempt)
        else:
            connection.outbox.append(attempt)
            connection.pending[attempt] = None
            attempt.connection = connection

    def _finish(self, attempt: Attempt, outcome: int, status: int = 0) -> None:
        now = self.timeline.now()
        request = attempt.request
        attempt.outcome, attempt.status, attempt.end = outcome, status, now
        attempt.row()
        client = request.spec.client
        if attempt.number <= client.retries and retryable(outcome):
            bits = draws.draw(request.stream, request.index, attempt.number, draws.BACKOFF)
            time = now + backoff(client.backoff, client.jitter, attempt.number, bits)
            self.timeline.at(
                time, Kind.RETRY, request.source, request.number, lane(attempt.number + 1),
                self._send, request, attempt.number + 1,
            )  # fmt: skip
            return
        self.recorder.finish(request, outcome, now)
        self.unfinished -= 1
        spec = request.spec
        if spec.concurrency > 0:
            index = request.index + spec.concurrency
            think = spec.think.sample(draws.draw(spec.stream, index, 0, draws.THINK)) if spec.think else 0
            time = max(now + think, request.time + SHORTEST_TURN)
            if time < spec.end:
                self._schedule_turn(request.source, time, index)

    def _timed_out(self, attempt: Attempt) -> None:
        if attempt.outcome != PENDING:
            return
        connection = attempt.connection
        if connection is None:
            self._finish(attempt, CLIENT_TIMEOUT)
        else:
            self._close(connection)
            self._fail_pending(connection, CLIENT_TIMEOUT)

    def _fail_pending(self, connection: Connection, outcome: int) -> None:
        """All that waits for an answer on *connection* has *outcome*."""
        pending, connection.pending = list(connection.pending), {}
        for attempt in pending:
            self._finish(attempt, outcome)

    def answered(self, attempt: Attempt, outcome: int, status: int) -> None:
        """An answer has arrived at the client (whether or not it is ever read)."""
        if attempt.outcome != PENDING:
            return
        attempt.answered = self.timeline.now()
        connection = attempt.connection
        assert connection is not None
        del connection.pending[attempt]
        mode = connection.client.mode
        message = attempt.message
        if mode == PER_REQUEST or (message is not None and message.closes):
            connection.client_closed = True
            self.links.closed(connection)
        elif mode == POOL and not connection.client_closed:
            self._release(connection)
        self._finish(attempt, outcome, status)

    # Connections.

    def delay(self, attempt: Attempt, purpose: int) -> int:
        """The time of a message about an attempt between client and proxy."""
        request = attempt.request
        return self._delay(request.stream, request.index, attempt.number, purpose)

    def connection_delay(self, connection: Connection, purpose: int) -> int:
        """The time of a connection's own message (SYN, close, ...) between client and proxy."""
        stream, index, attempt = connection.origin[:3]
        return self._delay(stream, index, attempt, purpose)

    def _delay(self, stream: int, index: int, attempt: int, purpose: int) -> int:
        delay = link_delay(self.link.latency, self.link.jitter, stream, index, attempt, purpose)
        now = self.timeline.now()
        return delay + disturbance(self.links.toxics, CLIENTS, now, stream, index, attempt, purpose)

    def _connect(self, attempt: Attempt) -> Connection:
        self._connections += 1
        now = self.timeline.now()
        connection = Connection(self._connections, attempt, attempt.request.spec.client, now)
        connection.outbox.append(attempt)
        connection.pending[attempt] = None
        attempt.connection = connection
        self.pools[connection.source].open += 1
        self._syn(connection, now + self.connection_delay(connection, draws.SYN_LATENCY))
        return connection

    def _syn(self, connection: Connection, arrival: int) -> None:
        connection.until[UPSTREAM] = max(connection.until[UPSTREAM], arrival)
        origin = connection.origin
        self.timeline.at(
            arrival, Kind.SYN, connection.id, origin.number, origin.lane, self.proxy.syn, connection
        )

    def syn_dropped(self, connection: Connection) -> None:
        """The SYN found no room: the client repeats it, or gives up in the end."""
        connection.syn_tries += 1
        wait = syn_delay(connection.syn_tries)
        origin = connection.origin
        if wait < 0:
            give_up = connection.syn_sent + SYN_GIVE_UP_S * SECOND
            self.timeline.at(
                give_up, Kind.CLIENT_NOTICE, connection.id, origin.number, origin.lane,
                self.notice, connection, CLIENT_TIMEOUT,
            )  # fmt: skip
            return
        sent = connection.syn_sent + wait * SECOND
        arrival = sent + self.connection_delay(connection, draws.SYN_RETRY + connection.syn_tries)
        self._syn(connection, max(arrival, self.timeline.now()))

    def connected(self, connection: Connection) -> None:
        """The handshake is complete at the client's end."""
        connection.established = True
        if connection.client_closed:
            return
        self.links.opened(connection)
        outbox, connection.outbox = connection.outbox, []
        for attempt in outbox:
            self._transmit(connection, attempt)

    def _transmit(self, connection: Connection, attempt: Attempt) -> None:
        attempt.connection = connection
        connection.pending[attempt] = None
        message, sent = attempt.message, self.timeline.now()
        if message is not None:
            if message.upload == NONE:
                return
            sent = max(sent, attempt.start + message.upload)
        arrival = sent + self.delay(attempt, draws.REQUEST_LATENCY)
        arrival = self.links.travel(
            connection, attempt, UPSTREAM, draws.REQUEST_LATENCY, attempt.request.body, arrival
        )
        if arrival < 0:
            return
        self.timeline.at(
            arrival, Kind.REQUEST, connection.id, attempt.request.number, attempt.lane,
            self.proxy.request, connection, attempt,
        )  # fmt: skip

    def _release(self, connection: Connection) -> None:
        """A pooled connection is free: the first attempt that still waits takes it."""
        waiting = self.pools[connection.source].waiting
        while waiting:
            attempt = waiting.popleft()
            if attempt.outcome == PENDING:
                self._transmit(connection, attempt)
                return
        self.pools[connection.source].idle.append(connection)

    def _close(self, connection: Connection) -> None:
        """The client closes; the proxy learns of it one message later."""
        origin = connection.origin
        arrival = self.timeline.now() + self.connection_delay(connection, draws.CLOSE_LATENCY)
        arrival = connection.until[UPSTREAM] = max(arrival, connection.until[UPSTREAM])
        self.timeline.at(
            arrival, Kind.CLIENT_CLOSE, connection.id, origin.number, origin.lane,
            self.proxy.client_close, connection,
        )  # fmt: skip
        self._lost(connection)

    def notice(self, connection: Connection, cause: int) -> None:
        """The client learns that the proxy closed or refused the connection: what was under way on it fails."""
        if connection.client_closed:
            return
        pool = self.pools[connection.source]
        if connection.client.mode == POOL and not connection.pending:
            pool.idle.remove(connection)
        self._lost(connection)
        self._fail_pending(connection, cause)

    def _lost(self, connection: Connection) -> None:
        """A connection less: who waited for one may open another."""
        connection.client_closed = True
        self.links.closed(connection)
        pool = self.pools[connection.source]
        pool.open -= 1
        while connection.client.mode == POOL and pool.waiting:
            attempt = pool.waiting.popleft()
            if attempt.outcome == PENDING:
                self._connect(attempt)
                return

    def end(self) -> None:
        """The run is over: whatever has no outcome is unfinished."""
        now = self.timeline.now()
        for request in self.recorder.unfinished():
            last = request.attempts[-1]
            if last.outcome == PENDING:
                last.outcome, last.end = UNFINISHED, now
            self.recorder.finish(request, UNFINISHED, now)
