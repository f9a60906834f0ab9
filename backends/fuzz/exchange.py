"""One connection: the bytes of a wire go out as its steps say, what comes is read meanwhile, and how it ended is told."""

import select
import socket
import struct
import time
from typing import NamedTuple

from ...scenarios.fuzz.wire import CLOSE, HALF_CLOSE, RESET, Wire, addressed
from ..load.targets import Target
from .replies import Replies, read_replies

ANSWERED, CLOSED, BROKEN, SILENT, REFUSED, LEFT = HOWS = (
    "answered", "closed", "reset", "hang", "refused", "left",
)  # fmt: skip
"""How a connection ended: all answers came; the peer closed it, reset it, sent no more in time, did not accept it; the client left."""

UNSURE = 0.3
"""Seconds in which something comes, where perhaps nothing has to come."""
QUIET = 0.03
"""Seconds without a byte after which no further answer is waited for, where nobody knows how many come."""
LARGEST = 32 << 20
"""Bytes of answers that are read."""

_CHUNK = 1 << 16
_RESETS = struct.pack("ii", 1, 0)
_CONNECT = 5.0


class Exchange(NamedTuple):
    """What was *sent* and *received*, and *how* it ended (one of HOWS)."""

    sent: bytes
    received: bytes
    how: str
    replies: Replies
    seconds: float

    @property
    def statuses(self) -> tuple[int, ...]:
        """Of all answers that came."""
        return tuple(reply.status for reply in self.replies.complete)


def fire(target: Target, wire: Wire, patience: float, quiet: float = QUIET) -> Exchange:
    """Send *wire* to *target* and read for at most *patience* s after the last byte; where nobody knows how many answers come, until none has come for *quiet* s. Never raises OSError."""
    began = time.monotonic()
    try:
        peer = socket.socket(target.family, socket.SOCK_STREAM)
    except OSError:
        return Exchange(b"", b"", REFUSED, read_replies(b"", (), True), 0.0)
    with peer:
        peer.settimeout(min(_CONNECT, max(patience, 1.0)))
        try:
            peer.connect(target.address)
        except OSError:
            return Exchange(b"", b"", REFUSED, read_replies(b"", (), True), time.monotonic() - began)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setblocking(False)
        return _Talk(peer, wire, patience, quiet).run(target.authority.encode(), began)


class _Talk:
    def __init__(self, peer: socket.socket, wire: Wire, patience: float, quiet: float) -> None:
        self._peer = peer
        self._wire = wire
        self._patience = patience
        self._quiet = quiet
        self._sent = bytearray()
        self._received = bytearray()
        self._ended = ""
        self._replies = read_replies(b"", (), False)

    def run(self, authority: bytes, began: float) -> Exchange:
        """Send, read, and tell."""
        for data, pause in addressed([(step.data, step.pause) for step in self._wire.steps], authority):
            self._send(data)
            if pause > 0 and not self._ended:
                self._read_for(pause)
            if self._ended:
                break
        how = self._finish()
        return Exchange(
            bytes(self._sent), bytes(self._received), how, self._replies, time.monotonic() - began
        )

    def _finish(self) -> str:
        if self._wire.end in (CLOSE, RESET) and not self._ended:
            if self._wire.end == RESET:
                self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
            return LEFT
        if self._wire.end == HALF_CLOSE and not self._ended:
            try:
                self._peer.shutdown(socket.SHUT_WR)
            except OSError:
                self._ended = BROKEN
        self._read_answers()
        # What the end of the connection completes.
        self._replies = read_replies(bytes(self._received), self._wire.methods, bool(self._ended))
        wanted = self._wire.answers
        if 0 <= wanted <= len(self._replies.complete) or (
            wanted < 0 and self._replies.complete and not self._ended
        ):
            return ANSWERED
        return self._ended or SILENT

    def _send(self, data: bytes) -> None:
        """All of *data*, reading meanwhile; a peer that takes nothing for so long as the patience lasts is silent."""
        view = memoryview(data)
        due = time.monotonic() + self._patience
        while view and not self._ended:
            try:
                count = self._peer.send(view[:_CHUNK])
                self._sent += view[:count]
                view = view[count:]
                due = time.monotonic() + self._patience
                continue
            except BlockingIOError:
                pass  # The peer takes no more just now: wait for it below.
            except OSError:
                # What was answered before it broke may still be there.
                self._read_now()
                self._ended = self._ended or BROKEN
                return
            if time.monotonic() >= due:
                # Whoever does not read answers is not read from for ever either.
                return
            readers = [self._peer] if self._wire.reads else []
            readable, _, _ = select.select(readers, [self._peer], [], 0.1)
            if readable:
                self._read_now()

    def _read_for(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        while (left := due - time.monotonic()) > 0 and not self._ended:
            if not self._wire.reads:
                time.sleep(left)
                return
            if select.select([self._peer], [], [], left)[0]:
                self._read_now()

    def _read_answers(self) -> None:
        unsure = min(max(UNSURE, self._quiet), self._patience)
        patience = self._patience if self._wire.complete else unsure
        due = time.monotonic() + patience
        while not self._ended and self._wire.reads:
            done = self._enough()
            left = self._quiet if done is None else (0.0 if done else due - time.monotonic())
            if left < 0:
                return
            if not select.select([self._peer], [], [], min(left, max(due - time.monotonic(), 0.0)))[0]:
                if done is not False or time.monotonic() >= due:
                    return
                continue
            self._read_now()

    def _enough(self) -> bool | None:
        """Whether all answers are there; None: perhaps."""
        self._replies = read_replies(bytes(self._received), self._wire.methods, bool(self._ended))
        if self._replies.wrong or len(self._received) > LARGEST:
            return True
        count = len(self._replies.complete)
        if self._wire.answers >= 0:
            return count >= self._wire.answers
        return None if count and not self._replies.rest else False

    def _read_now(self) -> None:
        try:
            while not self._ended:
                data = self._peer.recv(_CHUNK)
                self._received += data
                if not data:
                    self._ended = CLOSED
                if len(self._received) > LARGEST:
                    return
        except BlockingIOError:
            pass  # All that has come is read.
        except OSError:
            self._ended = BROKEN
