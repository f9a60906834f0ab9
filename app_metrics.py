"""What an application calls to record a metric of its own. It sends a line of StatsD, and imports next to nothing.

Whoever runs the application says where to: the sidecar of a flight, or of ``windtunnel app``, puts ``WINDTUNNEL_STATSD=HOST:PORT`` into its environment. Without that nothing is sent.
"""

import math
import os
import socket
from contextlib import suppress

from .backends.metrics.limits import BadMetric, checked_name

ADDRESS = "WINDTUNNEL_STATSD"

KINDS = {"gauge": "g", "counter": "c", "timer": "ms"}

_sockets: dict[str, socket.socket] = {}


def record_metric(name: str, value: float, kind: str = "gauge") -> bool:
    """Record that the metric *name* has this *value*: a ``gauge`` is what was recorded last, a ``counter`` is added up second by second, a ``timer`` (milliseconds) averaged.

    False, and nothing is done, outside of a sidecar (no ``WINDTUNNEL_STATSD`` in the environment). It never waits and never fails for want of somebody who listens. Raises ValueError for a name
    that is none, a value that is not finite, an unknown kind, or an address that is none.
    """
    checked_name(name)
    if kind not in KINDS:
        raise BadMetric(f"expected one of the kinds {', '.join(KINDS)}, got {kind!r}")
    number = float(value)
    if not math.isfinite(number) or (kind == "timer" and number < 0):
        raise BadMetric(f"expected a finite number{' from 0' if kind == 'timer' else ''}, got {value!r}")
    address = os.environ.get(ADDRESS, "")
    if not address:
        return False
    # A gauge below 0 is set to 0 first: with a sign it would be added to what it is (StatsD's rule).
    reset = f"{name}:0|g\n" if kind == "gauge" and number < 0 else ""
    with suppress(OSError):
        _socket(address).send(f"{reset}{name}:{number!r}|{KINDS[kind]}".encode("ascii"))
    return True


def _socket(address: str) -> socket.socket:
    """A socket that sends to *address*; one for the process."""
    found = _sockets.get(address)
    if found is None:
        host, separator, port = address.rpartition(":")
        if not separator or not port.isdigit():
            raise BadMetric(f"{ADDRESS}: expected HOST:PORT, got {address!r}")
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.setblocking(False)
        found.connect((host, int(port)))
        _sockets[address] = found
    return found
