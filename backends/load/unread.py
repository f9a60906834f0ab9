"""Connections of the chaos monkey: requests go out one behind another, and what comes back stays in the kernel.

That an answer is there is found out by peeking: when the socket tells of a change (edges only; what lies unread would otherwise report itself for ever), and only if
more bytes lie there than before. An answer counts when its head has come, for its body may never fit.
"""

import array
import fcntl
import socket
import termios

from ...core.outcomes import Outcome
from .answers import BadAnswer, Head
from .attempt import Attempt
from .channel import Channel
from .waiting import EDGE, READ, WRITE

_LOOK_AGAIN = 10_000_000
"""Where changes cannot be watched for, we look so often (ns)."""
_MOST_PEEKED = 1 << 24
_ENDS = 0x2000 | 0x10 | 0x8  # EPOLLRDHUP, EPOLLHUP, EPOLLERR

OK = int(Outcome.OK)
UNREAD = int(Outcome.UNREAD)


class _Peek:
    """One buffer for all connections: what is peeked is looked at once, at once."""

    data = bytearray(1 << 16)


class UnreadChannel(Channel):
    """A connection that is never read. *seen* bytes of what lies there have been looked at."""

    __slots__ = ("seen",)

    reads = False

    def _register(self, sock: socket.socket, ready: bool) -> None:
        self.seen = 0
        if self.world.reactor.waiter.edges:
            self.world.reactor.watch(sock.fileno(), self, READ | WRITE | EDGE)
        else:
            self.world.reactor.at(self.world.reactor.now() + _LOOK_AGAIN, self._look)

    def _look(self) -> None:
        self.ready(READ | WRITE)
        if self.sock is not None:
            self.world.reactor.at(self.world.reactor.now() + _LOOK_AGAIN, self._look)

    def _received(self, events: int) -> None:
        sock = self.sock
        assert sock is not None
        lying = array.array("i", [0])
        fcntl.ioctl(sock.fileno(), termios.FIONREAD, lying)
        if self.seen < lying[0] <= _MOST_PEEKED and not self._peek(sock, lying[0]):
            return
        if events & _ENDS:
            self._gone(self.failure or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _peek(self, sock: socket.socket, lying: int) -> bool:
        """Look at the bytes that have not been seen; whether they are what they should be."""
        if lying > len(_Peek.data):
            _Peek.data = bytearray(2 * lying)
        try:
            size = sock.recv_into(_Peek.data, lying, socket.MSG_PEEK)
        except OSError:
            return True  # The end of the connection is told by the events.
        data = bytes(memoryview(_Peek.data)[self.seen : size])
        self.seen = size
        try:
            self.reader.feed(data)
        except BadAnswer as error:
            self.incomprehensible(error)
            return False
        heads = self.reader.heads
        for head in heads:
            if self.written:
                self._deliver(self.written.popleft(), head)
        heads.clear()
        return True


def unread_outcome(head: Head, attempt: Attempt, planned: int) -> int:
    """The outcome of an answer that nobody reads."""
    outcome = head.outcome(planned)
    return UNREAD if outcome == OK and attempt.channel is not None and not attempt.channel.reads else outcome
