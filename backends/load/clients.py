"""All clients of our share of the plan, and the run's course: its seconds and its end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...core.network import link_delay
from ...scenarios.plan import Plan
from ..live.tracing import Tracing
from .attempt import Attempt
from .channel import Channel
from .client_link import ClientLink
from .exact import ExactSource
from .figures import Figures
from .frames import FrameWriter
from .heads import Heads
from .losses import reset_means_evicted
from .reactor import Reactor
from .share import OpenRow, Share
from .source import Source
from .targets import Target
from .traced import ClientSpans, TracedHeads
from .waiting import FOREVER

_MOST_ROWS = 64
"""So many due rows are begun before answers are looked at."""


class Clients:
    """The sources of *plan*. *unfinished* requests by row, with their last attempt; *turns* of closed clients that are planned."""

    def __init__(
        self, plan: Plan, share: Share, open_rows: Iterator[OpenRow], target: Target, rows: FrameWriter,
        say: Callable[[str, str, dict[str, Any]], None], tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.share = share
        self.target = target
        self.rows = rows
        self.reactor = Reactor()
        self.spans = ClientSpans(tracing, plan, target.authority) if tracing is not None else None
        self.heads = Heads(plan.fleet, target.authority)
        if self.spans is not None:
            self.heads = TracedHeads(plan, target.authority, self.spans)
        self.figures = Figures()
        self.evicting = reset_means_evicted(plan.fleet.proxy)
        self.flat = plan.fleet.client_link.latency == 0 and plan.fleet.client_link.jitter == 0
        self.unfinished: dict[int, Attempt] = {}
        self.turns = 0
        self.live_start = 0
        self.shortages = 0
        self.bad_answers = 0
        self.link = ClientLink(self.reactor, share.parts)
        self._say = say
        self._rows = open_rows
        self._row: OpenRow | None = None
        self._begun = 0
        self._connections = 0
        self.sources = [
            (ExactSource if spec.wire else Source)(self, number, spec)
            for number, spec in enumerate(plan.fleet.sources)
        ]

    def begin(self, live_start: int, zero: int) -> None:
        """The scenario's zero is *live_start* on the live clock, *zero* on CLOCK_MONOTONIC."""
        self.live_start = live_start
        if self.spans is not None:
            self.spans.begin(live_start)
        self.reactor.zero = zero
        self._row = next(self._rows, None)
        self.reactor.steady = self._fire
        for source in self.sources:
            source.begin()

    def _fire(self) -> int:
        """Begin the rows that are due; when the next one is."""
        row, sources, now = self._row, self.sources, self.reactor.now
        for _ in range(_MOST_ROWS):
            if row is None:
                self._row = None
                return FOREVER
            if row[0] > now():
                break
            sources[row[2]].start(row[0], row[1], row[3], row[4])
            row = next(self._rows, None)
        self._row = row
        return FOREVER if row is None else row[0]

    @property
    def idle(self) -> bool:
        """Whether every request has its outcome, and none is to come."""
        return not self.unfinished and not self.turns and self._row is None

    def end(self) -> None:
        """The run is over: whatever has no outcome is unfinished."""
        now = self.reactor.now()
        for attempt in list(self.unfinished.values()):
            attempt.source.give_up(attempt, now)
        for source in self.sources:
            source.close()

    # What sources and channels ask for.

    def begun(self, time: int) -> int:
        """A request planned for *time* begins now."""
        self.figures.offered += 1
        return self.sent(time)

    def sent(self, time: int) -> int:
        """Something planned for *time* is sent now."""
        now = self.reactor.now()
        self.figures.late.add(max(now - time, 0))
        return now

    def next_row(self) -> int:
        """The number of the request that begins: unique among all parts."""
        self._begun += 1
        return self.share.part + self.share.parts * (self._begun - 1)

    def next_connection(self) -> int:
        """The number of a connection, from 1, likewise."""
        self._connections += 1
        return 1 + self.share.part + self.share.parts * (self._connections - 1)

    def arrival(self, stream: int, index: int, attempt: int, purpose: int) -> int:
        """When a message that leaves now is at the other end of the client link."""
        link = self.plan.fleet.client_link
        now = self.reactor.now()
        delay = link_delay(link.latency, link.jitter, stream, index, attempt, purpose)
        return now + delay + self.link.extra(now, stream, index, attempt, purpose)

    def disturb(self, wrong: Sequence[Mapping[str, float]]) -> None:
        """What is wrong with the link from now on, towards the proxy and back: fields of core.toxics.TOXIC."""
        self.link.disturb(wrong)
        # For good: what is sent later must not overtake what is late already.
        self.flat = False
        for channel in self._established():
            self.link.watch(channel)

    def _established(self) -> Iterator[Channel]:
        """Every connection that is open at the clients' end."""
        used = (attempt.channel for attempt in self.unfinished.values())
        kept = (channel for source in self.sources for channel in (*source.idle, *source.slots.values()))
        for channel in dict.fromkeys((*used, *kept)):
            if channel is not None and channel.established and not channel.closed:
                yield channel

    def shortage(self, code: int) -> None:
        """This machine had no descriptor or port for a connection."""
        self.shortages += 1
        if self.shortages == 1:
            self._say(
                "warning", "no room for another connection: the generator waits for it", {"errno": code}
            )

    def bad_answer(self, reason: str) -> None:
        """Bytes came that are no answer."""
        self.bad_answers += 1
        if self.bad_answers == 1:
            self._say("warning", f"bytes that are no answer: {reason}", {})
