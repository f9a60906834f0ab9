"""The load generator while tracing is on: ``traceparent`` on planned requests, and the clients' spans of what is kept.

The ids are those that ``core.trace.ids`` derives of source and number, so that what the live roles record of a request and what is rebuilt from the run's rows are one trace. Sources
of exact bytes send those and nothing else: their requests' traces begin anew at the proxy.
"""

from typing import TYPE_CHECKING

import numpy as np

from ...core.outcomes import Outcome
from ...core.trace import schema
from ...core.trace.context import PARENT, RANDOM, SAMPLED, STATE
from ...core.trace.ids import FIRST_BIT, Ids, TraceKey, number_of, scope_of, trace_key
from ...core.trace.probability import state_of
from ...core.trace.schema import AT_ATTEMPT, CONNECTION, EARLIER, LEAF, ROOT, Asked, Said
from ...core.trace.spans import CLIENTS, INTERNAL, Service
from ...scenarios.plan import Plan
from ..live.clock import EPOCH
from ..live.tracing import FLIGHT, Context, Tracing
from .heads import OURS, Heads

if TYPE_CHECKING:
    from .attempt import Attempt
    from .source import Source

_CHUNK_BITS = 10
_MOST_CHUNKS = 64
"""Ids are drawn for so many requests at once, and kept for so many times as many."""


class ClientSpans:
    """Of the requests of *plan*, which are sent to *authority*."""

    def __init__(self, tracing: Tracing, plan: Plan, authority: str) -> None:
        self._tracing = tracing
        self._fleet = plan.fleet
        self._fingerprint = plan.fingerprint
        self._authority = authority
        self._services = [Service(CLIENTS.name, source.name) for source in plan.fleet.sources]
        self._zero = 0
        self._ids = Ids(0, "")
        self._chunks: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self._reached: dict[int, int] = {}
        self._state = f"{STATE}: {state_of(tracing.sampler.threshold)}\r\n".encode()

    def begin(self, live_start: int) -> None:
        """The scenario's zero is *live_start* on the live clock."""
        self._zero = live_start
        self._ids = Ids(self._fleet.seed, scope_of(self._fingerprint, FLIGHT, EPOCH + live_start))

    def _draws(self, source: int, index: int) -> tuple[int, int, int]:
        """What the ids of a request's trace are made of (core.trace.ids.trace_key)."""
        place = source, index >> _CHUNK_BITS
        chunk = self._chunks.get(place)
        if chunk is None:
            if len(self._chunks) >= _MOST_CHUNKS:
                self._chunks.clear()
            first = place[1] << _CHUNK_BITS
            wide = np.arange(first, first + (1 << _CHUNK_BITS), dtype=np.int64)
            drawn = self._ids.requests(self._fleet.sources[source].name, wide)
            chunk = self._chunks[place] = list(zip(*(one.tolist() for one in drawn), strict=True))
        return chunk[index & ((1 << _CHUNK_BITS) - 1)]

    def lines(self, source: int, index: int, attempt: int) -> bytes:
        """The header lines of an attempt."""
        high, low, base = self._draws(source, index)
        kept = self._tracing.sampler.keeps(low)
        flags, state = (SAMPLED | RANDOM, self._state) if kept else (RANDOM, b"")
        span = number_of(base, attempt, AT_ATTEMPT)
        return b"traceparent: 00-%016x%016x-%016x-%02x\r\n%b" % (high | FIRST_BIT, low, span, flags, state)

    def _kept(self, source: "Source", attempt: "Attempt") -> tuple[TraceKey, Context] | None:
        """The trace of a request; None of one that is not kept."""
        high, low, base = self._draws(source.number, attempt.index)
        if not self._tracing.sampler.keeps(low):
            return None
        key = trace_key(high, low, base)
        return key, self._tracing.root(key.trace)

    def attempt(self, source: "Source", attempt: "Attempt", outcome: int, now: int, proxy: int) -> None:
        """An attempt is over at *now*; it was at the proxy at *proxy* (ns of the scenario, -1: not known)."""
        kept = self._kept(source, attempt)
        if kept is None:
            return
        key, context = kept
        number = attempt.number
        reached = self._reached.get(attempt.row, attempt.time)
        if attempt.start > reached:
            waited = Said(schema.LATE if number == 1 else schema.BACKOFF, INTERNAL, {}, "")
            self._add(source, context, key, (number, LEAF + EARLIER), key.span(0, ROOT), waited, reached, attempt.start)  # fmt: skip
        self._reached[attempt.row] = now
        path = self._fleet.endpoints[attempt.endpoint].path
        channel = -1 if attempt.channel is None else attempt.channel.id
        said = schema.client_attempt(
            Asked(source.spec.method, path, path), self._authority, number, channel, Outcome(outcome), attempt.status
        )  # fmt: skip
        self._add(source, context, key, (number, AT_ATTEMPT), key.span(0, ROOT), said, attempt.start, now)
        if attempt.start < proxy <= now:
            said = Said(schema.STRETCHES[CONNECTION], INTERNAL, {}, "")
            parent = key.span(number, AT_ATTEMPT)
            self._add(source, context, key, (number, LEAF + CONNECTION), parent, said, attempt.start, proxy)

    def request(self, source: "Source", attempt: "Attempt", outcome: int, now: int) -> None:
        """A request is over at *now*; *attempt* was its last."""
        kept = self._kept(source, attempt)
        if kept is None:
            return
        key, context = kept
        self._reached.pop(attempt.row, None)
        said = schema.whole_request(
            attempt.row, source.spec.name, attempt.index, attempt.number, self._fleet.endpoints[attempt.endpoint].path,
            Outcome(outcome), attempt.status,
        )  # fmt: skip
        self._add(source, context, key, (0, ROOT), "", said, attempt.time, now)

    def _add(
        self, source: "Source", context: Context, key: TraceKey, place: tuple[int, int], parent: str, said: Said, start: int, end: int,
    ) -> None:  # fmt: skip
        self._tracing.add(
            context, key.span(*place), parent, said, self._zero + start, self._zero + end, self._services[source.number]
        )  # fmt: skip


class TracedHeads(Heads):
    """Heads with the lines of *spans*; a header set that has its own does not count."""

    ours = OURS | {PARENT, STATE}

    def __init__(self, plan: Plan, authority: str, spans: ClientSpans) -> None:
        super().__init__(plan.fleet, authority)
        self._spans = spans

    def head(self, source: int, endpoint: int, headers: int, index: int, attempt: int) -> bytes:
        """See Heads."""
        data = super().head(source, endpoint, headers, index, attempt)
        return b"%b%b\r\n" % (data[:-2], self._spans.lines(source, index, attempt))
