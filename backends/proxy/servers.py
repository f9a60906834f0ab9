"""The app servers that the proxy knows: the core's table of them, their addresses, and the connections kept to them."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ...core import health, load_index, routing, table
from ...core.model import SECOND, FleetSpec
from ...core.ports import Clock
from ...core.ports import Servers as Listed
from ...core.table import CANARY, SERVING
from ...core.tallies import count_try, no_counters
from ..live.addresses import NETWORK, OWN_ADDRESSES, Addresses, split, url
from .rows import as_array, as_lists

if TYPE_CHECKING:
    from .upstream import Upstream

FOREIGN = 1 << 20
"""Numbers of servers that are none of our instances begin here."""

_host = re.compile(r"[A-Za-z0-9._\-]+|[0-9A-Fa-f:.]+").fullmatch
_IDLE_AGE = 4 * SECOND
"""Kept connections are used no later than this: servers of several kinds close them after five seconds."""

Emit = Callable[[str, Mapping[str, Any]], None]


class Timers(Protocol):
    """The part of an event loop that is needed here."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        """See asyncio."""
        ...


class Server:
    """One app server: where it is, how many requests were sent to it, and the idle connections kept to it, oldest first."""

    __slots__ = ("address", "host", "idle", "listed", "number", "port", "sent")

    def __init__(self, number: int, address: str, host: str, port: int) -> None:
        self.number = number
        self.address = address
        self.host = host
        self.port = port
        self.sent = 0
        self.listed = True
        self.idle: list[Upstream] = []

    def take(self, now: int) -> "Upstream | None":
        """The idle connection used last, if one is fresh enough at *now* (ns)."""
        idle = self.idle
        while idle:
            upstream = idle.pop()
            if not upstream.closed and now - upstream.used_at < _IDLE_AGE:
                return upstream
            upstream.abort()
        return None

    def keep(self, upstream: "Upstream", most: int) -> None:
        """Keep an idle connection, at most *most* of them."""
        if not self.listed or len(self.idle) >= most:
            upstream.abort()
        else:
            self.idle.append(upstream)

    def forget(self, upstream: "Upstream") -> None:
        """An idle connection was closed by its server."""
        if upstream in self.idle:
            self.idle.remove(upstream)

    def drop_old(self, now: int) -> None:
        """Close the connections that nobody has used for too long."""
        old = [upstream for upstream in self.idle if now - upstream.used_at >= _IDLE_AGE]
        if old:
            self.idle = self.idle[len(old) :]
            for upstream in old:
                upstream.abort()

    def drop_all(self) -> None:
        """Close every idle connection."""
        idle, self.idle = self.idle, []
        for upstream in idle:
            upstream.abort()


class Servers:
    """The table of the core, kept as lists, with what its decisions say put into effect."""

    __slots__ = ("_clock", "_foreign", "_instances", "_load", "_observing", "_slots", "_timers", "_told", "_tracked",
                 "_unparsable", "_warn", "_weight", "by_number", "count", "counters", "emit", "last", "rows", "spec")  # fmt: skip

    def __init__(
        self, fleet: FleetSpec, instance_port: int, clock: Clock, timers: Timers, emit: Emit,
        warn: Callable[[str], None], own_addresses: bool = OWN_ADDRESSES, network: str = NETWORK,
    ) -> None:  # fmt: skip
        self.spec = fleet.proxy
        self.emit = emit
        self.by_number: dict[int, Server] = {}
        self.rows = as_lists(table.empty_table(0))
        self.count = 0
        self.last = [0, 0]
        self.counters: list[int] = no_counters().tolist()
        self._weight = fleet.app.weight
        self._instances = Addresses(instance_port, own_addresses, network) if instance_port else None
        self._foreign: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._unparsable: set[str] = set()
        self._clock = clock
        self._timers = timers
        self._warn = warn
        self._load: Any = [0]
        self._tracked = routing.needs_index(self.spec.routing) or self.spec.max_in_flight >= 0
        self._observing = self.spec.routing == routing.PEAK_EWMA
        self._slots: dict[int, int] = {}

    # Who there is.

    def update(self, listed: Listed) -> None:
        """Take over the registry's lists."""
        roles: dict[int, int] = {}
        for role, addresses in ((SERVING, listed.serving), (CANARY, listed.canary)):
            for server in self._known(addresses):
                roles[server.number] = role
        before = as_array(self.rows, table.SERVER)
        after = table.update(before, roles, self._weight, self._clock.now())
        if after is not before:
            self.rows = as_lists(after)
            numbers = self.rows["id"]
            self.count = len(numbers)
            self._slots = {number: slot for slot, number in enumerate(numbers)}
            if routing.needs_index(self.spec.routing):
                self._load = load_index.build_index(after).tolist()
        for number, server in list(self.by_number.items()):
            server.listed = number in roles
            if not server.listed:
                server.drop_all()
                if number not in self._slots:
                    del self.by_number[number]

    def _known(self, addresses: Iterable[str]) -> list[Server]:
        """The servers at *addresses*; what is no address is said once and left out."""
        found = []
        for address in addresses:
            try:
                host, port = split(address)
            except ValueError:
                host, port = "", 0
            if not _host(host):
                if address not in self._unparsable:
                    self._unparsable.add(address)
                    self._warn(f"the registry lists {address!r}; expected http://HOST[:PORT]")
                continue
            number = self._number(url(host, port))
            server = self.by_number.get(number)
            if server is None:
                server = self.by_number[number] = Server(number, url(host, port), host, port)
            found.append(server)
        return found

    def know(self, numbers: Mapping[str, int]) -> None:
        """Instances by their addresses, where these do not tell their numbers."""
        self._told = dict(numbers)

    def _number(self, address: str) -> int:
        if address in self._told:
            return self._told[address]
        ours = self._instances.number(address) if self._instances else 0
        return ours or self._foreign.setdefault(address, FOREIGN + len(self._foreign))

    # One request.

    def route(self, role: int, exclude: int, bits: int, affinity: int, now: int) -> int:
        """The slot for a request of *role*, or routing.NO_SERVER or SHED."""
        spec = self.spec
        last = self.last
        return routing.route(
            spec.routing, self.rows, self._load, self.count, role, spec.max_in_flight, spec.slow_start, now,
            bits, exclude, last[role], last[1 - role], affinity,
        )  # fmt: skip

    def begin(self, slot: int) -> Server:
        """A request goes to the server in *slot*."""
        rows = self.rows
        number = rows["id"][slot]
        server = self.by_number[number]
        self.last[rows["role"][slot]] = number
        rows["in_flight"][slot] += 1
        server.sent += 1
        if self._tracked:
            self._load_changed(slot)
        return server

    def role(self, number: int) -> int:
        """The role of server *number*."""
        slot = self._slots.get(number, -1)
        return self.rows["role"][slot] if slot >= 0 else SERVING

    def abandon(self, number: int, sent: int, now: int) -> None:
        """Nobody waits for a request that was *sent* (ns) to server *number* any more."""
        slot = self._slots[number]
        self.rows["in_flight"][slot] -= 1
        if self._tracked:
            self._load_changed(slot)
        count_try(self.counters, self.rows["role"][slot], now - sent, True)

    def end(self, number: int, failed: bool, sent: int, now: int) -> None:
        """A request that was *sent* (ns) to server *number* was answered, or *failed*."""
        slot = self._slots[number]
        rows = self.rows
        rows["in_flight"][slot] -= 1
        if self._tracked:
            self._load_changed(slot)
        count_try(self.counters, rows["role"][slot], now - sent, failed)
        if self._observing and not failed:
            routing.observe_latency(rows, slot, now, now - sent)
        outlier = self.spec.outlier
        if outlier is None:
            return
        until = health.record_result(
            self.rows, self.count, slot, failed, now, outlier.consecutive_5xx, outlier.base_ejection_time,
            outlier.max_ejection_percent,
        )  # fmt: skip
        if until:
            load_index.load_changed(self.rows, self._load, slot)
            self.emit("ejected", {"server": number, "until": int(until)})
            self._uneject_later(number, int(until))

    def _uneject_later(self, number: int, until: int) -> None:
        self._timers.call_later((until - self._clock.now()) / SECOND, self._uneject, number, until)

    def _uneject(self, number: int, until: int) -> None:
        now = self._clock.now()
        if now < until:
            # The loop's timers round to milliseconds.
            self._timers.call_later((until - now) / SECOND + 0.001, self._uneject, number, until)
            return
        slot = self._slots.get(number, -1)
        if slot >= 0 and health.uneject(self.rows, slot, now):
            load_index.load_changed(self.rows, self._load, slot)
            self.emit("unejected", {"server": number})

    def _load_changed(self, slot: int) -> None:
        rows = self.rows
        if self._load[0]:
            load_index.load_changed(rows, self._load, slot)
        cap = self.spec.max_in_flight
        if cap < 0:
            return
        before = rows["breaker"][slot]
        opened = health.breaker(before, rows["in_flight"][slot], cap)
        if opened != before:
            rows["breaker"][slot] = opened
            name = "breaker_opened" if opened else "breaker_closed"
            self.emit(name, {"server": rows["id"][slot]})

    # What active checks say.

    def listed(self) -> list[Server]:
        """The servers that the registry lists."""
        return [server for server in self.by_number.values() if server.listed]

    def checked(self, number: int, passed: bool) -> None:
        """Server *number* was checked."""
        spec = self.spec.health
        slot = self._slots.get(number, -1)
        if spec is None or slot < 0 or not self.rows["listed"][slot]:
            return
        change = health.check(self.rows, slot, passed, spec.healthy_threshold, spec.unhealthy_threshold)
        if change:
            load_index.load_changed(self.rows, self._load, slot)
            self.emit("healthy" if change > 0 else "unhealthy", {"server": number})

    def describe(self) -> dict[str, dict[str, Any]]:
        """Every server by its address, for people and for sidecars."""
        rows = self.rows
        found = {}
        for number, slot in self._slots.items():
            server = self.by_number[number]
            found[server.address] = {
                "number": number,
                "role": "canary" if rows["role"][slot] == CANARY else "serving",
                "requests": server.sent,
                "in_flight": rows["in_flight"][slot],
                "available": bool(rows["available"][slot]),
            }
        return found
