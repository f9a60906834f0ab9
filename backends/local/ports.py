"""Ports for programs of the user's own: in a row, and where the kernel hands out none by itself.

A program may listen on all addresses of the machine, so that instances must differ by port; and a port that the kernel has given to somebody's
outgoing connection could not be listened on.
"""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

LOWEST = 10_240
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL = 32_768
_STEP = 200
"""So many ports in a row are looked at; there may be more instances than that, but not soon."""


def port_row() -> int:
    """A port after which the next ones are free on every address. Raises OSError if there is no such row."""
    highest = _first_ephemeral()
    places = (highest - LOWEST) // _STEP
    for turn in range(places):
        # Flights that start together begin to look at different places.
        port = LOWEST + (os.getpid() * 7 + turn) % places * _STEP
        if _all_free(port):
            return port
    raise OSError(f"expected {_STEP} free ports in a row between {LOWEST} and {highest}")


def _first_ephemeral() -> int:
    """Where the kernel's own choice begins, if that leaves room below."""
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL
    return first if first >= LOWEST + 10 * _STEP else _EPHEMERAL


def _all_free(port: int) -> bool:
    with ExitStack() as probes:
        for number in range(1, _STEP):
            probe = probes.enter_context(socket.socket())
            try:
                probe.bind(("0.0.0.0", port + number))
            except OSError:
                return False
    return True
