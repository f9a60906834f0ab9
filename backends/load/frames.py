"""Rows on their way from a generator to the conductor: frames of finished requests.

A frame is the number of requests and of attempts, two little-endian 32-bit integers, then the raw bytes of both arrays (core.columns).
A request and all its attempts are in one frame.
"""

import fcntl
import os
import struct
from collections import deque
from collections.abc import Callable

import numpy as np

from ...core.columns import ATTEMPT_ROW, ATTEMPTS, REQUEST_ROW, REQUESTS, Rows

_HEADER = struct.Struct("<II")
_CODES = {"<i8": "q", "<i4": "i", "<i2": "h", "<i1": "b"}


def _packed(columns: tuple[tuple[str, str], ...]) -> struct.Struct:
    return struct.Struct("<" + "".join(_CODES[kind] for _, kind in columns))


pack_request: Callable[..., bytes] = _packed(REQUESTS).pack
"""The bytes of a row of requests from its columns' values, in order."""
pack_attempt: Callable[..., bytes] = _packed(ATTEMPTS).pack
"""The bytes of a row of attempts, likewise."""

_PIECE = 1 << 16
_MOST_WAITING = 1 << 30


class FrameWriter:
    """Collects packed rows and writes them to file descriptor *target*, never waiting for its reader before :meth:`finish`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._requests = bytearray()
        self._attempts = bytearray()
        self._waiting: deque[memoryview] = deque()
        self._bytes = 0
        flags = fcntl.fcntl(target, fcntl.F_GETFL)
        fcntl.fcntl(target, fcntl.F_SETFL, flags | os.O_NONBLOCK)

    def add(self, request: bytes, attempts: bytes) -> None:
        """A finished request and its attempts, packed."""
        self._requests += request
        self._attempts += attempts

    def hand_over(self) -> None:
        """Make a frame of what was added since the last one."""
        if not self._requests:
            return
        requests, attempts = self._requests, self._attempts
        self._requests, self._attempts = bytearray(), bytearray()
        counts = len(requests) // REQUEST_ROW.itemsize, len(attempts) // ATTEMPT_ROW.itemsize
        for part in (_HEADER.pack(*counts), requests, attempts):
            self._waiting.append(memoryview(part))
            self._bytes += len(part)
        if self._bytes > _MOST_WAITING:
            raise RuntimeError(f"rows of {self._bytes} bytes wait to be read: nobody reads them")

    @property
    def waiting(self) -> bool:
        """Whether bytes are left to write."""
        return bool(self._waiting)

    def write(self) -> None:
        """Write some of what waits, as much as the reader takes at once."""
        if not self._waiting:
            return
        part = self._waiting.popleft()
        try:
            written = os.write(self.target, part[:_PIECE])
        except BlockingIOError:
            written = 0
        self._bytes -= written
        if written < len(part):
            self._waiting.appendleft(part[written:])

    def finish(self) -> None:
        """Write everything, however long the reader takes. Raises BrokenPipeError if it has gone."""
        self.hand_over()
        os.set_blocking(self.target, True)
        while self._waiting:
            self.write()


class FrameReader:
    """Takes what a FrameWriter wrote, in pieces of any size, and gives back the arrays."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[Rows, Rows]]:
        """The (requests, attempts) of every frame that *data* completes."""
        self._held += data
        frames = []
        position = 0
        while len(self._held) - position >= _HEADER.size:
            requests, attempts = _HEADER.unpack_from(self._held, position)
            middle = position + _HEADER.size + requests * REQUEST_ROW.itemsize
            end = middle + attempts * ATTEMPT_ROW.itemsize
            if end > len(self._held):
                break
            rows = bytes(self._held[position + _HEADER.size : middle]), bytes(self._held[middle:end])
            frames.append((np.frombuffer(rows[0], REQUEST_ROW), np.frombuffer(rows[1], ATTEMPT_ROW)))
            position = end
        del self._held[:position]
        return frames

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete yet; 0 after a whole number of frames."""
        return len(self._held)
