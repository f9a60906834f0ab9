"""What faults do inside the proxy: to the links between it and app servers (core.toxics), and to its own speed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core import draws
from ...core.appserver import slowed
from ...core.closing import check_time, closing_time, linger, over_limit, withheld
from ...core.model import FleetSpec
from ...core.ports import Clock
from ...core.toxics import carriage, disturbance, healthy, with_link

if TYPE_CHECKING:
    from .exchange import Exchange

CLIENTS = 0
"""The number of the link between clients and proxy."""

NEVER = -(1 << 62)
"""Instead of a time (ns): it does not happen."""


class Disturbed:
    """*on*: whether anything is wrong with a link. Times of links are the scenario's, whose zero a command tells, so that what is drawn by time is drawn as in the rehearsal.

    *slow_by*: what a request that is read now takes the proxy's one thread beside its real time (ns). The scenario's ``cpu_per_request`` is what *factor* multiplies.
    """

    __slots__ = ("_busy_until", "_clock", "_cpu", "_ended", "_places", "_start", "_toxics", "on", "slow_by")

    def __init__(self, fleet: FleetSpec, clock: Clock) -> None:
        self.on = False
        self.slow_by = 0
        self._clock = clock
        self._cpu = fleet.proxy.cpu_per_request
        self._toxics: Any = healthy(1)
        self._places: set[int] = set()
        self._start = 0
        self._busy_until = 0
        self._ended = 0

    def link(self, place: int, wrong: Sequence[Mapping[str, float]], start: int) -> None:
        """What is wrong with the link of server *place* from now on, towards it and back: fields of core.toxics.TOXIC. *start*: the scenario's zero (ns)."""
        self._start = start
        self._toxics = with_link(self._toxics, place, wrong)
        if any(wrong):
            self._places.add(place)
        else:
            self._places.discard(place)
        self.on = bool(self._places)

    def extra(self, server: int, stream: int, index: int, attempt: int, purpose: int) -> int:
        """How much later (ns) a message that leaves now arrives."""
        if server not in self._places:
            return 0
        now = self._clock.now() - self._start
        return disturbance(self._toxics, server, now, stream, index, attempt, purpose)

    def check_extra(self, server: int) -> int:
        """How much later (ns) a health check that begins now is answered."""
        if server not in self._places:
            return 0
        return check_time(0, self._toxics, server, self._clock.now() - self._start)

    # The connection of a try; the drawn share of connections is that of the rehearsal.

    def carry(self, exchange: "Exchange", way: int, purpose: int, size: int) -> tuple[int, bool]:
        """How much later (ns) than its latency *size* bytes of a try that leave now are through, or NEVER; and whether the link closes the connection for them."""
        server = _server(exchange)
        if server not in self._places:
            return 0, False
        key, line = (exchange.stream, exchange.index, exchange.attempt), 2 * server + way
        if withheld(self._toxics, line, *key, exchange.tries):
            return NEVER, False
        now = self._clock.now() - self._start
        extra = carriage(self._toxics, line, now, size, *key, purpose + draws.TRY * exchange.tries)
        return extra, over_limit(self._toxics, line, size, *key, exchange.tries)

    def closes_in(self, exchange: "Exchange") -> int:
        """How long it is (ns, past if negative) until the link closes the connection of a try; NEVER if it does not."""
        server = _server(exchange)
        if server not in self._places:
            return NEVER
        time = closing_time(
            self._toxics, server, exchange.stream, exchange.index, exchange.attempt, exchange.tries,
            exchange.sent - self._start,
        )  # fmt: skip
        return time - (self._clock.now() - self._start) if time >= 0 else NEVER

    def try_lingers(self, exchange: "Exchange") -> int:
        """How long (ns) the descriptor of a try that ends now stays taken."""
        server = _server(exchange)
        return linger(self._toxics, server, exchange.stream, exchange.index, exchange.attempt, exchange.tries)

    def client_lingers(self) -> int:
        """How long (ns) the descriptor of a client's connection that ends now stays taken; the share is drawn for connections in the order in which they end."""
        self._ended += 1
        return linger(self._toxics, CLIENTS, 0, self._ended, 0, 0)

    def slow(self, factor: float) -> None:
        """Requests that are read from now on take *factor* times as long."""
        self.slow_by = max(0, slowed(self._cpu, factor) - self._cpu)

    def turn(self, now: int) -> int:
        """How long (ns) a request that is read *now* waits until the slow proxy is through with it: requests are read one after another."""
        self._busy_until = max(now, self._busy_until) + self.slow_by
        return self._busy_until - now


def _server(exchange: "Exchange") -> int:
    return exchange.server.number if exchange.server is not None else CLIENTS
