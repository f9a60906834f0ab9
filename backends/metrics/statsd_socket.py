"""Where an application sends its StatsD lines: a UDP socket on loopback, read by a thread."""

import socket
import threading

from ..live.addresses import LOOPBACK
from .custom_values import CustomValues

ADDRESS = "WINDTUNNEL_STATSD"
"""In the environment of an application: ``HOST:PORT``. (``windtunnel.record_metric`` sends there.)"""

FOREIGN_HOST, FOREIGN_PORT = "STATSD_HOST", "STATSD_PORT"
"""What StatsD clients of others look for; left alone where the user has set it."""

_LARGEST = 65_535
_BUFFER = 1 << 20


class StatsdSocket:
    """Hands datagrams to *values*. Once a second has brought too many it reads no more of them until the next (:meth:`second`); the kernel drops what does not fit meanwhile."""

    def __init__(self, values: CustomValues) -> None:
        self._values = values
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((LOOPBACK, 0))
        self.address = "{}:{}".format(*self._socket.getsockname())
        self._next = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="statsd", daemon=True)
        self._thread.start()

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """What to add to the environment *given* of an application."""
        host, _, port = self.address.partition(":")
        own = {ADDRESS: self.address}
        if FOREIGN_HOST not in given and FOREIGN_PORT not in given:
            own |= {FOREIGN_HOST: host, FOREIGN_PORT: port}
        return own

    def second(self) -> None:
        """Another second begins."""
        self._next.set()

    def _read(self) -> None:
        while not self._ended:
            data = self._socket.recv(_LARGEST)
            self._next.clear()
            if not self._ended and not self._values.datagram(data):
                self._next.wait(1.0)

    def close(self) -> None:
        """Read no more."""
        self._ended = True
        self._next.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
