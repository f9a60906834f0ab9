"""The live proxy's books: sockets, descriptors, memory, who may be closed to make room; and all that its connections share.

The counterpart of ``sim/proxy.py``: the same decisions of the core, asked at the same moments, about real sockets.
"""

import asyncio
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core import admission, draws, routing
from ...core.model import SECOND, FleetSpec
from ...core.ports import Clock
from ...core.ports import Servers as Listed
from ..live.addresses import NETWORK, OWN_ADDRESSES
from .delays import Delays
from .disturbed import Disturbed
from .rows import add_row, empty_idle_list
from .servers import Emit, Servers

if TYPE_CHECKING:
    from ..live.tracing import Tracing
    from .client import ClientConnection
    from .exchange import Exchange

SPARE_DESCRIPTORS = 100
"""What the process needs besides its connections, and what is being closed while others are accepted."""

IDLE_UPSTREAMS = 256
"""Idle connections kept per server."""


class Proxy:
    """What all connections of one proxy share."""

    # Slots are read faster than the attributes of an object that has more than thirty.
    __slots__ = (
        "_by_row",
        "_down",
        "_free_rows",
        "_idle",
        "_own_limit",
        "_sampled",
        "_sharing",
        "active",
        "clock",
        "connections",
        "delays",
        "descriptors",
        "disturbed",
        "emit",
        "fleet",
        "foreign",
        "foreign_stream",
        "has_room",
        "keepalive_timeout",
        "limit",
        "link",
        "loop",
        "needs_affinity",
        "needs_bits",
        "requests",
        "retrying",
        "sequence",
        "servers",
        "share",
        "spec",
        "stopping",
        "tasks",
        "tracing",
        "unserved",
        "upstream_timeout",
        "warn",
        "went_down",
    )  # fmt: skip

    def __init__(
        self, fleet: FleetSpec, loop: AbstractEventLoop, clock: Clock, emit: Emit,
        warn: Callable[[str], None], instance_port: int = 0, descriptors: int = -1,
        own_addresses: bool = OWN_ADDRESSES, network: str = NETWORK,
    ) -> None:  # fmt: skip
        self.fleet = fleet
        self.spec = fleet.proxy
        self.loop = loop
        self.clock = clock
        self.emit = emit
        self.warn = warn
        self.servers = Servers(fleet, instance_port, clock, loop, emit, warn, own_addresses, network)
        self.foreign_stream = draws.key(fleet.seed, "foreign requests")
        self.foreign = 0
        self.sequence = 0
        self.share = routing.each(self.spec.canary_every)
        self.requests = 0
        self.unserved = 0
        self.active = 0
        self.retrying = 0
        self.descriptors = 0
        self.connections = 0
        self.stopping = False
        self.has_room: Callable[[], None] = lambda: None
        self.went_down: Callable[[], None] = lambda: None
        self.tracing: Tracing | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.keepalive_timeout = seconds(self.spec.keepalive_timeout)
        self.upstream_timeout = seconds(self.spec.upstream_timeout)
        self.needs_bits = routing.needs_bits(self.spec.routing, self.spec.slow_start)
        self.needs_affinity = self.spec.routing == routing.CONSISTENT_HASH
        self.delays = Delays(loop)
        self.disturbed = Disturbed(fleet, clock)
        self.link: Delays | None = None
        self.links_changed()
        self._idle = empty_idle_list()
        self._by_row: list[ClientConnection | None] = [None]
        self._free_rows: list[int] = []
        self._sampled = (0, time.process_time_ns())
        self._down = False
        # Without a limit in the scenario the process's own is shared as a proxy that evicts shares it: a descriptor for each side.
        given = self.spec.max_connections >= 0
        self.limit = self.spec.max_connections if given else max(2, descriptors - SPARE_DESCRIPTORS)
        if not given and descriptors < 0:
            self.limit = -1
        self._own_limit = self.limit
        self._sharing = self.spec.overload if given else admission.EVICT

    def refresh(self, listed: Listed, share: tuple[int, int] | None) -> None:
        """Take over the registry's lists and the canaries' share, in place of our own setting if there is one."""
        self.servers.update(listed)
        self.share = share or routing.each(self.spec.canary_every)

    def limit_descriptors(self, limit: int) -> None:
        """From now on it may have so many descriptors, if that is less than its own limit; -1: that alone counts. What is open stays open."""
        limits = [one for one in (limit, self._own_limit) if one >= 0]
        self.limit = min(limits, default=-1)

    def links_changed(self) -> None:
        """Messages to and from servers take time of their own only where the scenario, or a fault, says so."""
        late = self.fleet.upstream_link.latency > 0 or self.disturbed.on
        self.link = self.delays if late else None

    def spawn(self, work: Any) -> None:
        """Run a coroutine beside the connections."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def close(self) -> None:
        """Let go of every connection and of what runs beside them."""
        for connection in self.open_connections():
            connection.abort()
        for task in list(self.tasks):
            task.cancel()
        for server in self.servers.by_number.values():
            server.drop_all()
        self.delays.close()

    # Connections come.

    def verdict(self) -> int:
        """What is to be done with a connection that waits to be accepted (core.admission)."""
        spec = self.spec
        memory = spec.memory
        return admission.admit_connection(
            admission.fits_connection(self.descriptors, self.connections, self.limit, self._sharing),
            admission.fits_memory(memory.base, memory.each, self.connections, memory.total),
            spec.overload,
            spec.on_exhaustion,
            self._evictable(),
        )

    def _evictable(self) -> int:
        """The row that has been idle for the longest time. One whose answer is stalled in our own buffers is not idle."""
        while True:
            row = admission.idle_oldest(self._idle)
            connection = self._by_row[row]
            if connection is None or not connection.is_stalled():
                return row
            admission.idle_remove(self._idle, row)

    def evict(self) -> bool:
        """Close the connection that has been idle for the longest time; False if none is."""
        connection = self._by_row[self._evictable()]
        if connection is None:
            return False
        connection.abort()
        return True

    def open(self, connection: "ClientConnection") -> None:
        """*connection* is accepted. Until its first request has arrived it is idle too."""
        self.descriptors += 1
        self.connections += 1
        if self._free_rows:
            row = self._free_rows.pop()
        else:
            row = add_row(self._idle)
            self._by_row.append(None)
        connection.row = row
        self._by_row[row] = connection
        admission.idle_push(self._idle, row)

    def release(self, connection: "ClientConnection") -> None:
        """*connection* is closed."""
        row = connection.row
        admission.idle_remove(self._idle, row)
        self._by_row[row] = None
        self._free_rows.append(row)
        later = self.disturbed.on and self.disturbed.client_lingers()
        if later > 0:
            self.delays.call_later(later, self._gave_back, 1)
        else:
            self._gave_back(1)

    def give_back(self, exchange: "Exchange") -> None:
        """The try of *exchange* has ended: its descriptor is free, perhaps later (slow_close)."""
        later = self.disturbed.on and self.disturbed.try_lingers(exchange)
        if later > 0:
            self.delays.call_later(later, self._gave_back, 0)
        else:
            self.descriptors -= 1

    def _gave_back(self, connections: int) -> None:
        self.descriptors -= 1
        self.connections -= connections
        self.has_room()

    def busy(self, row: int) -> None:
        """The connection in *row* has a request."""
        admission.idle_remove(self._idle, row)
        self.requests += 1
        self.active += 1

    def rest(self, row: int) -> None:
        """The connection in *row* has nothing to do, from now on."""
        if self._idle["idle"][row]:
            admission.idle_remove(self._idle, row)
        admission.idle_push(self._idle, row)

    def crash(self, cause: str) -> None:
        """The process dies."""
        if not self._down:
            self._down = True
            self.emit("proxy_down", {"cause": cause, "connections": self.connections})
            self.went_down()

    def open_connections(self) -> "list[ClientConnection]":
        """Every connection of a client."""
        return [connection for connection in self._by_row if connection is not None]

    # What is told.

    def memory(self) -> int:
        """Bytes in use, as the model accounts for them."""
        return self.spec.memory.base + self.spec.memory.each * self.connections

    def sample(self) -> dict[str, int]:
        """Counters, those of time and requests since the sample before."""
        requests, cpu = self._sampled
        self._sampled = (self.requests, time.process_time_ns())
        return {
            "requests": self.requests - requests,
            "in_flight": self.active,
            "memory": self.memory(),
            "connections": self.connections,
            "descriptors": self.descriptors,
            "cpu_ns": self._sampled[1] - cpu,
        }


def seconds(nanoseconds: int) -> float:
    """For timers of event loops."""
    return nanoseconds / SECOND
