"""Where instances of a local fleet listen: each on an address of its own, of loopback or of its network namespace, all on the flight's port.

Linux answers on all of 127.0.0.0/8; elsewhere only 127.0.0.1 exists, and instances differ by port instead.
"""

import sys
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
NETWORK = "127.1"
"""The first two numbers of instances' addresses, unless they are in namespaces."""
OWN_ADDRESSES = sys.platform == "linux"
_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one flight: *port* is common to all instances, each with an address of its *own* in *network*; or they share one, at the ports that follow it."""

    port: int
    own: bool = OWN_ADDRESSES
    network: str = NETWORK

    def endpoint(self, number: int) -> tuple[str, int]:
        """Host and port of instance *number* (from 1)."""
        if not 0 < number < _MOST:
            raise ValueError(f"expected an instance number from 1 to {_MOST - 1}, got {number}")
        if self.own:
            return f"{self.network}.{number >> 8}.{number & 255}", self.port
        if self.port + number >= _MOST:
            raise ValueError(f"expected a port below {_MOST}, got {self.port + number} for instance {number}")
        return LOOPBACK, self.port + number

    def address(self, number: int) -> str:
        """``http://IP:PORT`` of instance *number*, as the registry lists it."""
        host, port = self.endpoint(number)
        return url(host, port)

    def number(self, address: str) -> int:
        """The instance at *address*, or 0 if it is none of ours."""
        host, port = split(address)
        if not self.own:
            return port - self.port if host == LOOPBACK and 0 < port - self.port < _MOST else 0
        parts = host.split(".")
        if port != self.port or len(parts) != 4 or parts[:2] != self.network.split("."):
            return 0
        if not (parts[2].isdigit() and parts[3].isdigit()):
            return 0
        high, low = int(parts[2]), int(parts[3])
        return high << 8 | low if max(high, low) < 256 else 0


def url(host: str, port: int) -> str:
    """``http://HOST[:PORT]`` as the registry writes it: port 80 is omitted, an IPv6 address bracketed."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}" if port == 80 else f"http://{name}:{port}"


def split(address: str) -> tuple[str, int]:
    """Host and port of ``[http://]HOST[:PORT]``. Raises ValueError."""
    rest = address.removeprefix("http://").rstrip("/")
    host, separator, port = rest.rpartition(":")
    if not separator or rest.endswith("]"):
        host, port = rest, "80"
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"expected http://HOST[:PORT], got {address!r}")
    return host, int(port)
