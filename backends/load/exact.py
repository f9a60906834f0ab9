"""A source of exact bytes: each of its connections sends what the scenario says, piece by piece, and the answers that come are those of its messages, in order.

How many messages there are, and which answer each is due, was decided by ``core.http`` when the plan was made, as for a rehearsal.
"""

import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from ...core.http.statuses import REFUSALS
from ...core.model import SECOND, SourceSpec, WireMessage
from ...core.outcomes import NAMES, Outcome
from ...scenarios.fuzz.wire import HALF_CLOSE, RESET, WAIT, addressed
from ..fuzz.replies import Reply, read_replies
from ..live.headers import CAUSE
from .answers import BadAnswer, Head
from .attempt import Attempt
from .channel import Channel
from .source import Source
from .unread import UnreadChannel

if TYPE_CHECKING:
    from .clients import Clients

OK, UNREAD = int(Outcome.OK), int(Outcome.UNREAD)
APP_ERROR, BAD_REQUEST = int(Outcome.APP_ERROR), int(Outcome.BAD_REQUEST)
CLIENT_TIMEOUT = int(Outcome.CLIENT_TIMEOUT)
_CAUSES = {name: number for number, name in enumerate(NAMES)}
_RESETS = struct.pack("ii", 1, 0)


def exact_outcome(message: WireMessage, head: Head, planned: int) -> int:
    """The outcome of the answer *head* to *message*, whose endpoint plans the status *planned*.

    What is expected is ok. What is not: a refusal is a bad request, as in the model, and anything else where the scenario expects some status is an application's error:
    it was answered otherwise than it ought to be.
    """
    if message.expected and head.status == message.expected:
        return OK
    if head.cause:
        return head.cause
    if head.status in REFUSALS and (message.status or head.status != planned):
        return BAD_REQUEST
    return APP_ERROR if message.expected else head.outcome(planned)


class _Steps(Channel):
    """What both kinds of connection have in common: *begin* is when the opener began (ns), *joined*: so many messages of the connection have; *surplus*: more came than was asked for."""

    begin: int
    joined: int
    surplus = False
    source: "ExactSource"

    def _establish(self) -> None:
        self.established = True
        self.outbox = []
        self._step(0)

    def _step(self, number: int) -> None:
        """Send piece *number* and those after it, as far as they are due."""
        pieces, reactor = self.source.pieces, self.world.reactor
        while number < len(pieces):
            if self.closed or self.lost or self.sock is None:
                return
            due, data = self.begin + pieces[number][0], pieces[number][1]
            if due > reactor.now():
                reactor.at(due, self._step, number)
                return
            if data:
                self._send([data])
            number += 1
        if self.source.exact.end != WAIT:
            reactor.at(max(self.begin + self.source.exact.over, reactor.now()), self.source.leave, self)

    def join(self, attempt: Attempt) -> None:
        """*attempt* is the next message of this connection."""
        attempt.channel = self
        self.joined += 1
        self.pending[attempt] = None
        self.written.append(attempt)


class ExactChannel(_Steps):
    """A connection whose answers are read. *rest*: bytes that are no whole answer yet; *early*: answers to messages that have not begun; *halved*: we send no more."""

    source: "ExactSource"

    def __init__(self, source: "ExactSource", opener: Attempt) -> None:
        self.begin = opener.start
        self.joined = 1
        self.rest = b""
        self.early: deque[Head] = deque()
        self.halved = False
        super().__init__(source, opener)

    def join(self, attempt: Attempt) -> None:
        """See _Steps."""
        super().join(attempt)
        if self.early:
            self._deliver(self.written.popleft(), self.early.popleft())

    def _establish(self) -> None:
        self.written.extendleft(reversed(self.outbox))
        super()._establish()

    def _take(self, data: bytes) -> None:
        self.rest += data
        replies = read_replies(
            self.rest, self.source.exact.methods[self.answers + len(self.early) :], not data
        )
        self.rest = replies.rest
        total = len(self.source.spec.wire)
        for number, reply in enumerate(replies.complete):
            head = _head(reply)
            last = self.joined == total and len(self.written) == 1
            self.surplus = last and bool(self.rest or number + 1 < len(replies.complete))
            if self.written:
                self._deliver(self.written.popleft(), head)
            elif self.joined < total:
                self.early.append(head)
        if replies.wrong and self.written:
            self.incomprehensible(BadAnswer(replies.wrong))
        elif not data:
            self._gone(self.failure or self._error_after_end())

    def _gone(self, code: int) -> None:
        if self.halved and not self.closed and not self.lost:
            self._end(CLIENT_TIMEOUT, 0)
        else:
            super()._gone(code)


class UnreadExactChannel(UnreadChannel, _Steps):
    """A connection that is never read."""

    source: "ExactSource"

    def __init__(self, source: "ExactSource", opener: Attempt) -> None:
        self.begin = opener.start
        self.joined = 1
        super().__init__(source, opener)

    def _establish(self) -> None:
        self.written.extendleft(reversed(self.outbox))
        super()._establish()


class ExactSource(Source):
    """See the module. *pieces* are for our target."""

    def __init__(self, world: "Clients", number: int, spec: SourceSpec) -> None:
        super().__init__(world, number, spec)
        self.exact = world.plan.exact[number]
        steps = addressed([(data, 0.0) for _, data in self.exact.pieces], world.target.authority.encode())
        times = [time for time, _ in self.exact.pieces]
        times += times[-1:] * (len(steps) - len(times))
        self.pieces = [(time, data) for time, (data, _) in zip(times, steps, strict=True)]
        self._current: ExactChannel | UnreadExactChannel | None = None
        patience = self.client.timeout
        self._patient = patience >= 0 and (self.exact.end == WAIT or patience < self.exact.over)

    def _send(self, attempt: Attempt) -> None:
        self.world.unfinished[attempt.row] = attempt
        if self._patient:
            self._wait_for(attempt)
        current = self._current
        if attempt.index % len(self.spec.wire) and current is not None and not current.closed:
            current.join(attempt)
            return
        self.open += 1
        if self.exact.reads:
            self._current = ExactChannel(self, attempt)
        else:
            self._current = self.slots[len(self.slots)] = UnreadExactChannel(self, attempt)

    def answered(self, attempt: Attempt, head: Head) -> None:
        """See Source."""
        channel = attempt.channel
        if not attempt.pending or not isinstance(channel, _Steps):
            return
        del channel.pending[attempt]
        message = self.spec.message(attempt.index)
        assert message is not None, "a source of exact bytes without messages"
        planned = self.world.plan.fleet.endpoints[attempt.endpoint].status
        outcome = APP_ERROR if channel.surplus else exact_outcome(message, head, planned)
        if outcome == OK and not self.exact.reads:
            outcome = UNREAD
        if self.exact.reads and not channel.pending and (attempt.index + 1) % len(self.spec.wire) == 0:
            channel.close()
            self._lost(channel)
        self._finish(attempt, outcome, head)

    def leave(self, channel: Channel) -> None:
        """The client has sent all, and goes."""
        if channel.closed or channel.sock is None:
            return
        if self.exact.end == HALF_CLOSE and isinstance(channel, ExactChannel) and not channel.halved:
            channel.halved = True
            try:
                channel.sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                # It is gone already, which reading tells.
                channel.failure = error.errno or 0
            self.world.reactor.at(self.world.reactor.now() + SECOND, self.leave, channel)
            return
        if self.exact.end == RESET:
            channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
        channel.close()
        self._lost(channel)
        self._fail_pending(channel, CLIENT_TIMEOUT, 0)


def _head(reply: Reply) -> Head:
    return Head(reply.status, 0, reply.closing, b"", _CAUSES.get(reply.one(CAUSE), 0))
