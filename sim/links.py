"""The links: what is wrong with them, and what becomes of content and connections because of it."""

from collections.abc import Callable, Mapping, Sequence

from ..core import draws
from ..core.closing import carried_since, closing_time, linger, over_limit, withheld
from ..core.order import Kind, lane
from ..core.toxics import UPSTREAM, carriage, healthy, with_link
from .entities import Attempt, Connection, Job
from .timeline import Timeline

CLIENTS = 0
"""The number of the link between clients and proxy; a server's has the server's."""

NEVER = -1


class Links:
    """All links of the fleet. *close* and *fail* end a client's connection and an upstream one, because their link closes it."""

    def __init__(
        self, timeline: Timeline, close: Callable[[Connection], None], fail: Callable[[Attempt], None]
    ) -> None:
        self.timeline = timeline
        self.toxics = healthy(1)
        self._close = close
        self._fail = fail
        self._open: dict[int, Connection] = {}
        self._tries: dict[Attempt, None] = {}

    def disturb(self, number: int, toxic: Sequence[Mapping[str, float]]) -> None:
        """See sim.plane.Plane.disturb_link. What is open may have to be closed."""
        self.toxics = with_link(self.toxics, number, toxic)
        if number == CLIENTS:
            for connection in self._open.values():
                self._watch(connection)
        for attempt in self._tries:
            if attempt.server == number:
                self._watch_try(attempt)

    # Between clients and proxy.

    def opened(self, connection: Connection) -> None:
        """The handshake is complete at the client's end."""
        connection.opened = self.timeline.now()
        self._open[connection.id] = connection
        self._watch(connection)

    def closed(self, connection: Connection) -> None:
        """The client has done with it."""
        self._open.pop(connection.id, None)

    def _watch(self, connection: Connection) -> None:
        time = self._closes(connection)
        if time >= 0:
            self._close_at(connection, max(time, self.timeline.now()))

    def _closes(self, connection: Connection) -> int:
        stream, index, attempt = connection.origin[:3]
        return closing_time(self.toxics, CLIENTS, stream, index, attempt, 0, connection.opened)

    def _close_at(self, connection: Connection, time: int) -> None:
        origin = connection.origin
        self.timeline.at(
            time, Kind.LINK_CLOSE, connection.id, origin.number, origin.lane, self._close_due, connection
        )

    def _close_due(self, connection: Connection) -> None:
        now = self.timeline.now()
        if connection.client_closed:
            return
        if 0 <= self._closes(connection) <= now or 0 <= connection.full <= now:
            self._close(connection)

    def travel(
        self, connection: Connection, attempt: Attempt, way: int, purpose: int, size: int, arrival: int
    ) -> int:
        """When content that would arrive at *arrival* does so, in order, NEVER if not at all; a connection that has carried too much is closed then."""
        stream, index, opener = connection.origin[:3]
        request, now = attempt.request, self.timeline.now()
        if withheld(self.toxics, way, stream, index, opener, 0):
            return NEVER
        arrival += carriage(
            self.toxics, way, now, size, request.stream, request.index, attempt.number, purpose
        )
        arrival = max(arrival, connection.until[way])
        before = carried_since(self.toxics, way, connection.carried[way], connection.limited_since[way])
        connection.limited_since[way] = int(self.toxics["limit_since"][way])
        connection.carried[way] = before + size
        connection.until[way] = arrival
        if over_limit(self.toxics, way, before + size, stream, index, opener, 0):
            connection.full = arrival if connection.full < 0 else min(connection.full, arrival)
            self._close_at(connection, arrival)
            return NEVER
        return arrival

    # Between proxy and servers: each try has a connection of its own.

    def sent(self, attempt: Attempt) -> None:
        """A try goes to its server."""
        self._tries[attempt] = None
        self._watch_try(attempt)

    def ended(self, attempt: Attempt) -> None:
        """Nobody waits for the try any more."""
        self._tries.pop(attempt, None)

    def _watch_try(self, attempt: Attempt) -> None:
        time = self._try_closes(attempt)
        if time >= 0:
            self.timeline.at(
                max(time, self.timeline.now()), Kind.TRY_CLOSE, attempt.server, attempt.request.number,
                lane(attempt.number, attempt.tries), self._try_close_due, attempt, attempt.tries,
            )  # fmt: skip

    def _try_closes(self, attempt: Attempt) -> int:
        request = attempt.request
        return closing_time(
            self.toxics, attempt.server, request.stream, request.index, attempt.number, attempt.tries,
            attempt.sent_upstream,
        )  # fmt: skip

    def _try_close_due(self, attempt: Attempt, tries: int) -> None:
        waits = attempt.upstream and attempt.tries == tries
        if waits and 0 <= self._try_closes(attempt) <= self.timeline.now():
            self._fail(attempt)

    def travel_try(self, job: Job, way: int, purpose: int, size: int, arrival: int) -> tuple[int, bool]:
        """When content of a try that would arrive at *arrival* does so, NEVER if not at all; and whether its connection is closed then instead, for it has carried too much."""
        request, number, now = job.attempt.request, job.attempt.number, self.timeline.now()
        stream, index, line = request.stream, request.index, 2 * job.server + way
        if withheld(self.toxics, line, stream, index, number, job.tries):
            return NEVER, False
        arrival += carriage(
            self.toxics, line, now, size, stream, index, number, purpose + draws.TRY * job.tries
        )
        full = over_limit(self.toxics, line, size, stream, index, number, job.tries)
        if way == UPSTREAM and not full and 0 <= self._try_closes(job.attempt) <= arrival:
            return NEVER, False
        return arrival, full

    # Descriptors.

    def lingers(self, connection: Connection) -> int:
        """How much longer (ns) the proxy keeps what a client's connection takes."""
        stream, index, attempt = connection.origin[:3]
        return linger(self.toxics, CLIENTS, stream, index, attempt, 0)

    def try_lingers(self, attempt: Attempt) -> int:
        """How much longer (ns) the proxy keeps a try's descriptor."""
        request = attempt.request
        return linger(
            self.toxics, attempt.server, request.stream, request.index, attempt.number, attempt.tries
        )
