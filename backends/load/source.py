"""A source of requests: how its clients begin attempts, wait for answers, give up and try again.

The behaviour is that of sim.clients, message by message; what differs is that here answers come from outside.
"""

from collections import deque
from typing import TYPE_CHECKING

from ...core.demand import SHORTEST_TURN, choose_endpoint
from ...core.draws import BACKOFF, ENDPOINT, THINK, draw
from ...core.model import FLOOD, PER_REQUEST, POOL, SECOND, SourceSpec
from ...core.outcomes import GOOD, Outcome, retryable
from ...core.retries import backoff
from .answers import Head
from .attempt import Attempt
from .channel import Channel
from .frames import pack_attempt, pack_request
from .unread import UnreadChannel, unread_outcome

if TYPE_CHECKING:
    from .clients import Clients

CLIENT_TIMEOUT = int(Outcome.CLIENT_TIMEOUT)
UNFINISHED = int(Outcome.UNFINISHED)
_GOOD = frozenset(map(int, GOOD))
_UNKNOWN = (-1,) * 6


class Source:
    """Source *number* of the plan, as much of it as is our share.

    *idle* connections of its pool (most recently used last), how many are *open*, who is *waiting* for one; a flood's connections by *slot*.
    """

    def __init__(self, world: "Clients", number: int, spec: SourceSpec) -> None:
        self.world = world
        self.number = number
        self.spec = spec
        self.client = spec.client
        self.connections = world.share.connections(spec) if spec.client.mode == POOL else 0
        self.maximum = world.share.maximum(spec)
        self.issued = 0
        self.idle: list[Channel] = []
        self.open = 0
        self.waiting: deque[Attempt] = deque()
        self.slots: dict[int, Channel] = {}
        self._lingering: deque[tuple[int, Channel]] = deque()
        self._patience: deque[Attempt] = deque()
        self._watching = False

    # Requests begin.

    def begin(self) -> None:
        """Every closed client of ours sends its first request when the source begins."""
        if self.spec.start < self.spec.end:
            for client in self.world.share.clients(self.spec):
                self._schedule_turn(self.spec.start, client)

    def _schedule_turn(self, time: int, index: int) -> None:
        self.world.turns += 1
        self.world.reactor.at(time, self._turn, time, index)

    def _turn(self, time: int, index: int) -> None:
        self.world.turns -= 1
        if 0 <= self.maximum <= self.issued:
            return
        mix = self.world.plan.mixes[self.number]
        endpoint = choose_endpoint(mix, draw(self.spec.stream, index, 0, ENDPOINT))
        self.start(time, index, endpoint, 0)

    def start(self, time: int, index: int, endpoint: int, headers: int) -> None:
        """A request that is due begins."""
        world = self.world
        now = world.begun(time)
        self.issued += 1
        attempt = Attempt(self, world.next_row(), index, endpoint, headers, time, now)
        self._send(attempt)

    def _send(self, attempt: Attempt) -> None:
        self.world.unfinished[attempt.row] = attempt
        client = self.client
        if client.timeout >= 0:
            self._wait_for(attempt)
        if client.mode == PER_REQUEST:
            self._connect(attempt)
        elif client.mode == FLOOD:
            self._flood(attempt)
        elif self.idle:
            self.idle.pop().transmit(attempt)
        elif self.open < self.connections:
            self._connect(attempt)
        else:
            self.waiting.append(attempt)

    def _flood(self, attempt: Attempt) -> None:
        """A flood's requests go over its connections in turn, behind one another, whether or not there was an answer."""
        slot = attempt.index % self.client.connections
        channel = self.slots.get(slot)
        if channel is None or channel.closed:
            self.open += 1
            channel = self.slots[slot] = UnreadChannel(self, attempt)
            channel.slot = slot
        elif channel.established:
            channel.transmit(attempt)
        else:
            channel.outbox.append(attempt)
            channel.pending[attempt] = None
            attempt.channel = channel

    def _connect(self, attempt: Attempt) -> None:
        self.open += 1
        Channel(self, attempt)

    # Patience: all attempts of a source wait equally long, so that they give up in the order in which they began.

    def _wait_for(self, attempt: Attempt) -> None:
        patience = self._patience
        while patience and not patience[0].pending:
            patience.popleft()
        patience.append(attempt)
        if not self._watching:
            self._watching = True
            self.world.reactor.at(attempt.start + self.client.timeout, self._give_up)

    def _give_up(self) -> None:
        patience = self._patience
        now = self.world.reactor.now()
        while patience and (not patience[0].pending or patience[0].start + self.client.timeout <= now):
            attempt = patience.popleft()
            if attempt.pending:
                self._timed_out(attempt)
        self._watching = bool(patience)
        if patience:
            self.world.reactor.at(patience[0].start + self.client.timeout, self._give_up)

    def _timed_out(self, attempt: Attempt) -> None:
        channel = attempt.channel
        if channel is None:
            self._finish(attempt, CLIENT_TIMEOUT)
        else:
            channel.close()
            self._lost(channel)
            self._fail_pending(channel, CLIENT_TIMEOUT, 0)

    # Answers and endings.

    def answered(self, attempt: Attempt, head: Head) -> None:
        """An answer has arrived at the client (whether or not it is ever read)."""
        if not attempt.pending:
            return
        channel = attempt.channel
        assert channel is not None, "an answer without a connection"
        del channel.pending[attempt]
        if self.client.mode == PER_REQUEST:
            channel.closed = True
            self.open -= 1
            self._linger(channel)
        elif self.client.mode == POOL and not channel.closed:
            self._release(channel, head.closes)
        planned = self.world.plan.fleet.endpoints[attempt.endpoint].status
        self._finish(attempt, unread_outcome(head, attempt, planned), head)

    def _linger(self, channel: Channel) -> None:
        """The connection has had its answer, and the proxy was asked to close it; it has a second for that.

        Whoever closes first keeps the port for a minute (TIME_WAIT, RFC 9293, 3.6): at 5,000 connections a second ours would be used up in six.
        """
        lingering = self._lingering
        now = self.world.reactor.now()
        while lingering and (lingering[0][1].sock is None or lingering[0][0] <= now):
            lingering.popleft()[1].drop()
        lingering.append((now + SECOND, channel))

    def _release(self, channel: Channel, closes: bool) -> None:
        """A pooled connection is free: the first attempt that still waits takes it."""
        if closes:
            channel.drop()
            self._lost(channel)
            return
        while self.waiting:
            attempt = self.waiting.popleft()
            if attempt.pending:
                channel.transmit(attempt)
                return
        self.idle.append(channel)

    def notice(self, channel: Channel, cause: int, status: int) -> None:
        """The client learns that a connection is closed or refused: what was under way on it fails."""
        if channel.closed:
            return
        if not channel.pending and channel in self.idle:
            self.idle.remove(channel)
        self._lost(channel)
        self._fail_pending(channel, cause, status)

    def _lost(self, channel: Channel) -> None:
        """A connection less: who waited for one may open another."""
        channel.closed = True
        self.open -= 1
        while self.client.mode == POOL and self.waiting:
            attempt = self.waiting.popleft()
            if attempt.pending:
                self._connect(attempt)
                return

    def _fail_pending(self, channel: Channel, outcome: int, status: int) -> None:
        pending, channel.pending = list(channel.pending), {}
        for attempt in pending:
            attempt.status = status
            self._finish(attempt, outcome)

    def _finish(self, attempt: Attempt, outcome: int, head: Head | None = None) -> None:
        """An attempt has its outcome: another follows, or the request has it too."""
        world = self.world
        now = world.reactor.now()
        self._record(attempt, outcome, now, head)
        client = self.client
        if attempt.number <= client.retries and retryable(outcome):
            bits = draw(self.spec.stream, attempt.index, attempt.number, BACKOFF)
            time = now + backoff(client.backoff, client.jitter, attempt.number, bits)
            world.reactor.at(time, self._again, attempt, time)
            return
        self._done(attempt, outcome, now)
        spec = self.spec
        if spec.concurrency > 0:
            index = attempt.index + spec.concurrency
            think = spec.think.sample(draw(spec.stream, index, 0, THINK)) if spec.think else 0
            time = max(now + think, attempt.time + SHORTEST_TURN)
            if time < spec.end:
                self._schedule_turn(time, index)

    def _again(self, attempt: Attempt, time: int) -> None:
        self._send(attempt.following(self.world.sent(time)))

    def _record(self, attempt: Attempt, outcome: int, now: int, head: Head | None) -> None:
        attempt.pending = False
        times, tries, answered = _UNKNOWN, 0, -1
        if head is not None:
            answered = now
            attempt.status = head.status
            stations = head.stations() if head.times else None
            if stations is not None:
                began = self.world.live_start
                times = tuple([time - began if time >= 0 else -1 for time in stations[:6]])  # type: ignore[assignment]
                attempt.server, tries = max(stations[6], 0), max(stations[7], 0)
        channel = attempt.channel
        attempt.earlier += pack_attempt(
            attempt.row, attempt.number, attempt.start, *times, answered, now, outcome, attempt.status,
            attempt.server, tries, -1 if channel is None else channel.id,
        )  # fmt: skip
        if self.world.spans is not None:
            self.world.spans.attempt(self, attempt, outcome, now, times[0])

    def _done(self, attempt: Attempt, outcome: int, now: int) -> None:
        world = self.world
        del world.unfinished[attempt.row]
        latency = now - attempt.time
        row = pack_request(
            attempt.row, self.number, attempt.index, attempt.endpoint, attempt.time, latency, outcome,
            attempt.status, attempt.number, attempt.server,
        )  # fmt: skip
        world.rows.add(row, attempt.earlier)
        if world.spans is not None:
            world.spans.request(self, attempt, outcome, now)
        world.figures.completed += 1
        world.figures.failed += outcome not in _GOOD
        world.figures.latency.add(latency)

    def close(self) -> None:
        """Give back the connections on which nothing is under way."""
        for channel in (*self.idle, *self.slots.values(), *(channel for _, channel in self._lingering)):
            channel.drop()

    def give_up(self, attempt: Attempt, now: int) -> None:
        """The run is over before the request of *attempt*, its last one, has an outcome."""
        if attempt.pending:
            self._record(attempt, UNFINISHED, now, None)
        self._done(attempt, UNFINISHED, now)
        if attempt.channel is not None:
            attempt.channel.drop()
