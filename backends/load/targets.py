"""Where load, and news of alerts, may go: to loopback, or to what the user has named. Checked on resolved addresses, before anything is sent."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

from ...core.errors import UsageError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """A checked target: every connection goes to this very *address* (as ``socket.connect`` takes it), whatever the name resolves to later."""

    family: int
    address: Any
    authority: str
    """``HOST:PORT`` as the user wrote it, for the Host header."""


def check_target(host: str, port: int, allowed: Iterable[str] = (), what: str = "load is") -> Target:
    """The target at *host* and *port*; *what* is to go there, for the error. Raises UsageError unless every address of it is loopback or one of those of *allowed* (names or addresses)."""
    found = _resolve(host, port)
    permitted: set[_Address] | None = None
    for _, address in found:
        if _plain(address[0]).is_loopback:
            continue
        if permitted is None:
            permitted = {_plain(place[0]) for name in allowed for _, place in _resolve(name, port)}
        if _plain(address[0]) not in permitted:
            raise UsageError(
                f"expected a target on loopback or one that was allowed by name, got {host} ({address[0]}): "
                f"{what} never sent to anyone else"
            )
    family, address = found[0]
    name = f"[{host}]" if ":" in host else host
    return Target(family, address, name if port == 80 else f"{name}:{port}")


def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    if not 0 < port < 65_536:
        raise UsageError(f"expected a port from 1 to 65535, got {port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"expected a host name that resolves, got {host!r}: {error}") from None
    return [(int(family), address) for family, _, _, _, address in found]


def _plain(text: Any) -> _Address:
    """An address without its zone; IPv4 in IPv6 as IPv4."""
    address = ipaddress.ip_address(str(text).split("%", 1)[0])
    return getattr(address, "ipv4_mapped", None) or address
