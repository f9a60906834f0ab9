"""Which places, and which addresses, a flight gets."""

import json
import os
from ipaddress import ip_network

from ....core.errors import BackendFailure
from ....scenarios.plan import Plan
from ...live.addresses import NETWORK, Addresses
from ..ports import port_row
from ..redis_server import free_port
from .namespaces import Namespaces
from .naming import run
from .places import Places

_PRIVATE = [f"10.{number}" for number in range(160, 224)]
"""Of private use (RFC 1918); flights that start together begin to look at different places."""
_BENCHMARKS = ["198.18", "198.19"]
"""For measurements of networks (RFC 2544); where somebody has routed all that is private."""


def places_of(network: str) -> Places:
    """Those of a flight on ``loopback`` or in ``namespaces``. Raises BackendFailure."""
    return Places() if network == "loopback" else Namespaces(os.getpid(), free_network(os.getpid()))


def addresses_of(plan: Plan, places: Places) -> Addresses:
    """Those of app servers. A program of the user's may listen on all addresses of where it runs: where that is shared, instances differ by port."""
    if plan.program is None or places.network != NETWORK:
        return Addresses(free_port(), network=places.network)
    return Addresses(port_row(), own=False)


def free_network(pid: int) -> str:
    """The first two numbers of a network that overlaps with no route of this machine. Raises BackendFailure if all are taken."""
    routes = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    taken = [ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    begin = pid % len(_PRIVATE)
    for network in (*_PRIVATE[begin:], *_PRIVATE[:begin], *_BENCHMARKS):
        if not any(ip_network(f"{network}.0.0/16").overlaps(one) for one in taken):
            return network
    raise BackendFailure(
        f"expected a network that this machine does not use, from {_PRIVATE[0]}.0.0/16 to {_PRIVATE[-1]}.0.0/16, or 198.18.0.0/15"
    )
