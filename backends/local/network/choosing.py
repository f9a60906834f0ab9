"""Which places, and which addresses, a flight gets."""

import os

from ....core.errors import BackendFailure
from ....scenarios.plan import Plan
from ...live.addresses import NETWORK, Addresses
from ..ports import port_row
from ..redis_server import free_port
from .namespaces import Namespaces
from .naming import run
from .places import Places

_FIRST, _NETWORKS = 160, 64


def places_of(network: str) -> Places:
    """Those of a flight on ``loopback`` or in ``namespaces``. Raises BackendFailure."""
    return Places() if network == "loopback" else Namespaces(os.getpid(), free_network(os.getpid()))


def addresses_of(plan: Plan, places: Places) -> Addresses:
    """Those of app servers. A program of the user's may listen on all addresses of where it runs: where that is shared, instances differ by port."""
    if plan.program is None or places.network != NETWORK:
        return Addresses(free_port(), network=places.network)
    return Addresses(port_row(), own=False)


def free_network(pid: int) -> str:
    """Two numbers with which no address or route of this machine begins. Raises BackendFailure if all are taken."""
    taken = run("ip", "-4", "route", "show", "table", "all") + run("ip", "-4", "-o", "address", "show")
    for turn in range(_NETWORKS):
        network = f"10.{_FIRST + (pid + turn) % _NETWORKS}"
        if f" {network}." not in f" {taken.replace(chr(10), ' ')}":
            return network
    raise BackendFailure(
        f"expected a network from 10.{_FIRST}.0.0/16 to 10.{_FIRST + _NETWORKS - 1}.0.0/16 that this machine does not use"
    )
