"""The link between clients and proxy, at the clients' end: what faults do to content and connections there. The counterpart of ``sim/links.py``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.closing import carried_since, closing_time, over_limit, withheld
from ...core.outcomes import Outcome
from ...core.toxics import carriage, disturbance, healthy, with_link

if TYPE_CHECKING:
    from .attempt import Attempt
    from .channel import Channel
    from .reactor import Reactor

CLIENTS = 0
"""The number of the link."""

NEVER = -1

REFUSED = int(Outcome.REFUSED)


class Carried:
    """What a connection has carried in each direction for a limit that began at *since*, and when it is *full*: closed for having carried too much (NEVER: not)."""

    __slots__ = ("bytes", "full", "since")

    def __init__(self) -> None:
        self.bytes = [0, 0]
        self.since = [0, 0]
        self.full = NEVER


class ClientLink:
    """*parts*: so many generators share the link, and its bandwidth."""

    def __init__(self, reactor: "Reactor", parts: int) -> None:
        self._reactor = reactor
        self._parts = parts
        self._toxics: Any = healthy(1)

    def disturb(self, wrong: Sequence[Mapping[str, float]]) -> None:
        """What is wrong with the link from now on, towards the proxy and back: fields of core.toxics.TOXIC."""
        shared = [dict(fields) for fields in wrong]
        for fields in shared:
            if "rate" in fields:
                fields["rate"] /= self._parts
        self._toxics = with_link(self._toxics, CLIENTS, shared)

    def extra(self, now: int, stream: int, index: int, attempt: int, purpose: int) -> int:
        """How much later (ns) a message that leaves now arrives."""
        return disturbance(self._toxics, CLIENTS, now, stream, index, attempt, purpose)

    def carry(
        self, channel: "Channel", attempt: "Attempt", way: int, purpose: int, size: int, arrival: int
    ) -> int:
        """When content that would arrive at *arrival* does so, in order, NEVER if not at all; a connection that has carried too much is closed then."""
        stream, (index, opener) = channel.source.spec.stream, channel.key
        if withheld(self._toxics, way, stream, index, opener, 0):
            return NEVER
        now = self._reactor.now()
        arrival += carriage(self._toxics, way, now, size, stream, attempt.index, attempt.number, purpose)
        arrival = channel.until[way] = max(arrival, channel.until[way])
        carried = channel.carried
        if carried is None:
            carried = channel.carried = Carried()
        before = carried_since(self._toxics, way, carried.bytes[way], carried.since[way])
        carried.since[way] = int(self._toxics["limit_since"][way])
        carried.bytes[way] = before + size
        if over_limit(self._toxics, way, before + size, stream, index, opener, 0):
            carried.full = arrival if carried.full < 0 else min(carried.full, arrival)
            self._reactor.at(arrival, self._due, channel)
            return NEVER
        return arrival

    def opened(self, channel: "Channel") -> None:
        """The handshake is complete, over a link with which something may be wrong."""
        channel.opened = self._reactor.now()
        self.watch(channel)

    def watch(self, channel: "Channel") -> None:
        """The link may have to close *channel*, which is established, at some time."""
        time = self._closes(channel)
        if time >= 0:
            self._reactor.at(max(time, self._reactor.now()), self._due, channel)

    def _closes(self, channel: "Channel") -> int:
        stream, (index, opener) = channel.source.spec.stream, channel.key
        return closing_time(self._toxics, CLIENTS, stream, index, opener, 0, channel.opened)

    def _due(self, channel: "Channel") -> None:
        if channel.closed:
            return
        now = self._reactor.now()
        full = NEVER if channel.carried is None else channel.carried.full
        if 0 <= self._closes(channel) <= now or 0 <= full <= now:
            channel.reset()
            channel.source.notice(channel, REFUSED, 0)
