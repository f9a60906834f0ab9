"""The proxy's front: sockets, the accept queue, eviction, memory, the one event loop's CPU time."""

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from ..core import admission, draws
from ..core.appserver import slowed
from ..core.model import FLOOD, PER_REQUEST, FleetSpec
from ..core.order import Kind, lane
from ..core.outcomes import Outcome
from ..core.toxics import DOWNSTREAM
from .clients import Clients
from .entities import Attempt, Connection
from .host import EventLoop
from .links import Links
from .timeline import Timeline

if TYPE_CHECKING:
    from .dataplane import DataPlane

OK = int(Outcome.OK)
REFUSED = int(Outcome.REFUSED)
EVICTED = int(Outcome.EVICTED)
UNREAD = int(Outcome.UNREAD)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
APP_ERROR = int(Outcome.APP_ERROR)


class Proxy:
    """Accepts connections, reads requests, writes answers; what lies behind it is Forwarding's."""

    def __init__(self, fleet: FleetSpec, timeline: Timeline, clients: Clients, plane: "DataPlane") -> None:
        self.fleet = fleet
        self.spec = fleet.proxy
        self.timeline = timeline
        self.clients = clients
        self.plane = plane
        self.forwarding = plane.new_forwarding(self)
        self.down = False
        self.descriptors = 0
        self.limit = fleet.proxy.max_connections
        self.connections = 0
        self.requests = 0
        self.unserved = 0
        self.loop = EventLoop(plane.host, timeline)
        self.slow = 1.0
        self.accept_queue: deque[Connection] = deque()
        # Descriptors whose connection has ended, those of clients among them, and which process keeps them.
        self._lingering = [0, 0]
        self._process = 0
        self.links = Links(timeline, self._link_closed, self._try_closed)
        self._idle = admission.empty_connections(64)
        self._rows: list[Connection | None] = [None]
        self._free_rows: list[int] = []

    # Connections come.

    def syn(self, connection: Connection) -> None:
        """A SYN arrives: accepted at once, queued, dropped, or reset."""
        if connection.client_closed:
            return
        if self.down:
            self._notify(connection, REFUSED)
            return
        verdict = admission.WAIT if self.accept_queue else self._accept(connection)
        if verdict == admission.RESET:
            self._notify(connection, REFUSED)
        elif verdict == admission.GO_DOWN:
            self.crash("memory")
            self._notify(connection, REFUSED)
        elif verdict == admission.ACCEPT:
            self._complete_handshake(connection)
        elif admission.queue_connection(len(self.accept_queue), self.spec.backlog):
            self.accept_queue.append(connection)
            self._complete_handshake(connection)
        else:
            self.clients.syn_dropped(connection)

    def _complete_handshake(self, connection: Connection) -> None:
        origin = connection.origin
        time = self.timeline.now() + self.clients.connection_delay(connection, draws.SYNACK_LATENCY)
        connection.until[DOWNSTREAM] = time
        self.timeline.at(
            time, Kind.CONNECTED, connection.id, origin.number, origin.lane,
            self.clients.connected, connection,
        )  # fmt: skip

    def _accept(self, connection: Connection) -> int:
        """Take a descriptor and memory for *connection*, closing idle ones if that is the rule."""
        spec = self.spec
        while True:
            oldest = admission.idle_oldest(self._idle)
            verdict = admission.admit_connection(
                admission.fits_connection(self.descriptors, self.connections, self.limit, spec.overload),
                admission.fits_memory(
                    spec.memory.base, spec.memory.each, self.connections, spec.memory.total
                ),
                spec.overload,
                spec.on_exhaustion,
                oldest,
            )
            if verdict == admission.MAKE_ROOM:
                self._evict(oldest)
                continue
            if verdict == admission.ACCEPT:
                self._open(connection)
            return verdict

    def _open(self, connection: Connection) -> None:
        connection.accepted = True
        self.descriptors += 1
        self.connections += 1
        connection.row = self._free_rows.pop() if self._free_rows else self._new_row()
        self._rows[connection.row] = connection
        # Until its first request has arrived a connection is idle too.
        self._rest(connection)

    def _new_row(self) -> int:
        row = len(self._rows)
        self._rows.append(None)
        if row >= len(self._idle):
            self._idle = np.concatenate((self._idle, admission.empty_connections(len(self._idle))))
        return row

    def admit_waiting(self) -> None:
        """Accept from the queue as long as there is room."""
        while self.accept_queue and not self.down:
            connection = self.accept_queue[0]
            if connection.gone:
                self.accept_queue.popleft()
                continue
            verdict = self._accept(connection)
            if verdict == admission.WAIT:
                return
            if verdict == admission.GO_DOWN:
                self.crash("memory")
                return
            self.accept_queue.popleft()
            if verdict == admission.RESET:
                self._notify(connection, REFUSED)
            elif connection.inbox:
                self._begin(connection, connection.inbox.popleft())

    # Connections go.

    def _evict(self, row: int) -> None:
        connection = self._rows[row]
        assert connection is not None, f"row {row} of the idle list holds no connection"
        self._release(connection)
        self._notify(connection, EVICTED)

    def _release(self, connection: Connection) -> None:
        """Give back what *connection* holds."""
        admission.idle_remove(self._idle, connection.row)
        self._rows[connection.row] = None
        self._free_rows.append(connection.row)
        origin = connection.origin
        self._give_back(self.links.lingers(connection), connection.id, origin.number, origin.lane, 1)
        if connection.stalled:
            self.descriptors -= 1
            connection.stalled = False
        connection.proxy_closed = True
        connection.busy = None
        connection.inbox.clear()

    def end_upstream(self, attempt: Attempt) -> None:
        """Close the upstream connection of an attempt's try."""
        self.links.ended(attempt)
        self._give_back(
            self.links.try_lingers(attempt), attempt.server, attempt.request.number,
            lane(attempt.number, attempt.tries), 0,
        )  # fmt: skip

    def _give_back(self, later: int, entity: int, number: int, order: int, connections: int) -> None:
        """A descriptor, and so many *connections*, are free, *later*; a process that dies keeps nothing."""
        if later > 0 and not self.down:
            self._lingering[0] += 1
            self._lingering[1] += connections
            time = self.timeline.now() + later
            self.timeline.at(
                time, Kind.LINGERED, entity, number, order, self._lingered, self._process, connections
            )
            return
        self.descriptors -= 1
        self.connections -= connections

    def _lingered(self, process: int, connections: int) -> None:
        if process == self._process:
            self._lingering[0] -= 1
            self._lingering[1] -= connections
            self.descriptors -= 1
            self.connections -= connections
            self.admit_waiting()

    def _link_closed(self, connection: Connection) -> None:
        """The link has closed the connection: both ends know."""
        self.client_close(connection)
        self.clients.notice(connection, REFUSED)

    def _try_closed(self, attempt: Attempt) -> None:
        """The link has closed the upstream connection."""
        self.forwarding.fail(attempt, UPSTREAM_RESET)

    def _notify(self, connection: Connection, cause: int) -> None:
        """Tell the client that its connection is closed or refused."""
        connection.proxy_closed = True
        origin = connection.origin
        time = self.timeline.now() + self.clients.connection_delay(connection, draws.NOTICE_LATENCY)
        self.timeline.at(
            max(time, connection.until[DOWNSTREAM]), Kind.CLIENT_NOTICE, connection.id,
            origin.number, origin.lane, self.clients.notice, connection, cause,
        )  # fmt: skip

    def client_close(self, connection: Connection) -> None:
        """The client's close arrives: what it asked for is abandoned."""
        connection.gone = True
        if connection.proxy_closed or not connection.accepted:
            return
        if connection.busy is not None and not connection.stalled:
            self.forwarding.abandon(connection.busy)
        self._release(connection)
        self.admit_waiting()

    def _rest(self, connection: Connection) -> None:
        """The connection has nothing to do: it may be evicted, and its keep-alive time runs."""
        now = self.timeline.now()
        admission.idle_push(self._idle, connection.row)
        connection.idle_since = now
        if self.spec.keepalive_timeout >= 0:
            self.timeline.at(
                now + self.spec.keepalive_timeout, Kind.KEEPALIVE, connection.id, 0, 0,
                self._keepalive, connection, now,
            )  # fmt: skip

    def _keepalive(self, connection: Connection, since: int) -> None:
        if connection.proxy_closed or connection.busy is not None or connection.idle_since != since:
            return
        if _half_sent(connection):
            return
        self._release(connection)
        self._notify(connection, EVICTED)
        self.admit_waiting()

    # Requests come, answers go.

    def request(self, connection: Connection, attempt: Attempt) -> None:
        """A request's bytes arrive."""
        if connection.proxy_closed:
            return
        attempt.proxy = self.timeline.now()
        if connection.accepted and connection.busy is None:
            self._begin(connection, attempt)
        else:
            connection.inbox.append(attempt)

    def _begin(self, connection: Connection, attempt: Attempt) -> None:
        connection.busy = attempt
        admission.idle_remove(self._idle, connection.row)
        self.requests += 1
        self.forwarding.active += 1
        event = (
            Kind.ROUTE, connection.id, attempt.request.number, attempt.lane, self.forwarding.route, (connection, attempt),
        )  # fmt: skip
        self.loop.compute(slowed(self.spec.cpu_per_request, self.slow), event)

    def respond(self, attempt: Attempt, outcome: int, status: int) -> None:
        """Write the answer; the connection is closed, rests, or turns to its next request."""
        connection = attempt.connection
        assert connection is not None
        assert connection.busy is attempt, "an answer for a request that its connection is not busy with"
        message = attempt.message
        if message is not None and message.outcome and outcome == OK:
            outcome = message.outcome
        size = self.fleet.endpoints[attempt.request.endpoint].size if outcome in (OK, APP_ERROR) else 0
        unread = connection.client.mode == FLOOD
        if unread and outcome == OK:
            outcome = UNREAD
        time = self.timeline.now() + self.clients.delay(attempt, draws.RESPONSE_LATENCY)
        time = self.links.travel(connection, attempt, DOWNSTREAM, draws.RESPONSE_LATENCY, size, time)
        if time >= 0:
            self.timeline.at(
                time, Kind.CLIENT_ANSWER, connection.id, attempt.request.number, attempt.lane,
                self.clients.answered, attempt, outcome, status,
            )  # fmt: skip
        if unread and not admission.fits_socket_buffer(connection.unread, size, self.fleet.socket_buffer):
            self._stall(connection)
        else:
            connection.unread += size if unread else 0
            connection.busy = None
            if connection.client.mode == PER_REQUEST or (message is not None and message.closes):
                self._release(connection)
            elif connection.inbox:
                self._begin(connection, connection.inbox.popleft())
            else:
                self._rest(connection)
        self.admit_waiting()

    def _stall(self, connection: Connection) -> None:
        """The answer does not fit into the kernel's buffers: the connection and its upstream one stay taken."""
        connection.stalled = True
        self.descriptors += 1
        if self.spec.write_timeout >= 0:
            self.timeline.at(
                self.timeline.now() + self.spec.write_timeout, Kind.WRITE_TIMEOUT, connection.id, 0, 0,
                self._write_timed_out, connection,
            )  # fmt: skip

    def _write_timed_out(self, connection: Connection) -> None:
        if connection.stalled:
            self._release(connection)
            self._notify(connection, EVICTED)
            self.admit_waiting()

    # Death and return.

    def crash(self, cause: str) -> None:
        """The process dies: every connection is reset, everything in flight is lost."""
        assert not self.down, "a proxy that is down cannot crash"
        self.down = True
        self.plane.emit("proxy_down", {"cause": cause, "connections": self.connections})
        self.forwarding.forget()
        for connection in [*self._rows, *self.accept_queue]:
            if connection is None or connection.gone:
                continue
            if connection.busy is not None and not connection.stalled:
                self.forwarding.disown(connection.busy)
            if connection.accepted:
                self._release(connection)
            self._notify(connection, REFUSED)
        self.accept_queue.clear()
        self._process += 1
        self.descriptors -= self._lingering[0]
        self.connections -= self._lingering[1]
        self._lingering = [0, 0]
        self.loop.end()
        self.plane.proxy_down()

    def restart(self) -> None:
        """A new process takes over, with nothing open and nothing remembered of its servers."""
        self.down = False
        self.plane.emit("proxy_up", {})


def _half_sent(connection: Connection) -> bool:
    """Whether part of a message is there that will become complete or be refused: then no keep-alive time runs."""
    first = next(iter(connection.pending), None)
    return first is not None and first.message is not None and first.message.upload >= 0
