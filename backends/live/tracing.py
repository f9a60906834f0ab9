"""Traces as a live role records them: which are kept, the ids, and the log lines that belong to them.

A role has this only when tracing is on: when the environment names an OTLP endpoint (otel_environment), or the conductor says so (Settings.traced), which asks for ids in logs, and for
``traceparent`` to be passed on, also where nothing is exported. Spans are made when they are over: what is not kept costs no object.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from ...core.model import SECOND
from ...core.trace.context import RANDOM, SAMPLED, Parent, read_parent, read_state
from ...core.trace.ids import FIRST_BIT, Fresh, TraceKey, trace_key
from ...core.trace.probability import state_of
from ...core.trace.schema import STRETCHES, Said, resource_attributes
from ...core.trace.spans import INTERNAL, Note, Service, Span
from ...scenarios.paths import DEFAULT_PATH, PathMatcher
from .otel_environment import Environment
from .settings import Settings

if TYPE_CHECKING:
    from . import otel_export
    from .role import RoleLink

FLIGHT = "flight"
LINES_A_SECOND = 50

T = TypeVar("T")


class Context:
    """The trace that a request belongs to: *trace* id, the span that asked (*parent*, empty: it begins here, with the span *own*), whether it is *sampled*; *flags* and *state* as they
    are passed on.
    """

    __slots__ = ("flags", "own", "parent", "sampled", "state", "trace")

    def __init__(self, trace: str, parent: str, flags: int, state: str, own: str = "") -> None:
        self.own = own
        self.trace = trace
        self.parent = parent
        self.sampled = bool(flags & SAMPLED)
        self.flags = flags
        self.state = state

    def header(self, span: str) -> str:
        """The traceparent that *span* sends."""
        return str(Parent(self.trace, span, self.flags))


class Tracing:
    """Of one role, which is *service*."""

    def __init__(
        self, service: Service, settings: Settings, link: "RoleLink", environment: Environment
    ) -> None:
        self.service = service
        self.sampler = environment.sampler
        self.clock = link.clock
        self.settings = settings
        self._link = link
        seed = settings.fleet.seed
        # A role that comes back under the same name begins at another time.
        self._fresh = Fresh(seed, f"live/{service.name}/{service.instance}/{link.clock.now()}")
        self._local = threading.local()
        paths = [endpoint.path for endpoint in settings.fleet.endpoints]
        self._matcher = PathMatcher(paths)
        self._routes = [*paths, DEFAULT_PATH]
        self._second = self._lines = 0
        self._export: otel_export.Export | None = None
        if environment.traces or environment.logs:
            from .otel_export import Export as Exporting

            self._export = Exporting(environment.traces, environment.logs, self._attributes, self._complain)
            link.log_to(lambda line: self._log(line))

    def _attributes(self, service: Service) -> dict[str, Any]:
        fleet = self.settings.fleet
        return resource_attributes(
            service.name, service.instance, service.version, fleet.name, FLIGHT, self.settings.fingerprint, fleet.seed
        )  # fmt: skip

    def _complain(self, text: str) -> None:
        self._link.log("warning", f"traces are not exported: {text}")
        self._link.status("not_exported", {"error": text})

    def _log(self, line: Mapping[str, Any]) -> None:
        if self._export is not None:
            self._export.log(self.service, dict(line))

    # Requests.

    def fresh(self) -> TraceKey:
        """The ids of a trace, or of a span, that nobody has named."""
        return self._fresh.next()

    def span_id(self) -> str:
        """The id of a span that nobody has named."""
        return self._fresh.next().span(0, 0)

    def begin(self, parent: str, states: list[str]) -> Context:
        """The trace of a request that came with this ``traceparent`` (empty: none) and these ``tracestate`` lines."""
        found = read_parent(parent) if parent else None
        if found is None:
            key = self._fresh.next()
            return self.root(key.trace, key.span(0, 0))
        flags = found.flags & (SAMPLED | RANDOM)
        if not self.sampler.parent_based:
            keep = self.sampler.keeps(int(found.trace[16:], 16))
            flags = flags | SAMPLED if keep else flags & ~SAMPLED
        return Context(found.trace, found.span, flags, read_state(states) if states else "")

    def root(self, trace: str, own: str = "") -> Context:
        """A trace that begins here, with the span *own*."""
        if self.sampler.keeps(int(trace[16:], 16)):
            return Context(trace, "", RANDOM | SAMPLED, state_of(self.sampler.threshold), own)
        return Context(trace, "", RANDOM, "", own)

    def next_root(self) -> Context | bytes:
        """A trace that begins here: of one that is not kept, which most are, only the value of the ``traceparent`` that goes on."""
        high, low, base = self._fresh.draws()
        if not self.sampler.keeps(low):
            return b"00-%016x%016x-%016x-02" % (high | FIRST_BIT, low, base | FIRST_BIT)
        key = trace_key(high, low, base)
        return self.root(key.trace, key.span(0, 0))

    def add(
        self, context: Context, id_: str, parent: str, said: Said, start: int, end: int, service: Service | None = None,
        afar: bool = False, station: int = -1,
    ) -> None:  # fmt: skip
        """A span of a sampled trace is over; times are ns on the live clock."""
        if self._export is not None:
            span = Span(
                context.trace, id_, parent, said.name, said.kind, service or self.service, start, max(start, end),
                said.attributes, said.error, station,
            )  # fmt: skip
            self._export.span(span, context.state, afar)

    def stretch(self, context: Context, id_: str, parent: str, station: int, start: int, end: int, service: Service | None = None) -> None:  # fmt: skip
        """A stretch of time of a request, if it is not empty."""
        if end > start:
            said = Said(STRETCHES[station], INTERNAL, {}, "")
            self.add(context, id_, parent, said, start, end, service, station=station)

    def route(self, path: str) -> str:
        """The endpoint that a path belongs to."""
        return self._routes[self._matcher.number(path)]

    def log(self, context: Context, span: str, level: str, message: str) -> None:
        """A line of the log that belongs to *span*; LINES_A_SECOND at most, for a fleet that fails has many."""
        second = self.clock.now() // SECOND
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_A_SECOND:
            self._link.log(level, message, {"trace_id": context.trace, "span_id": span})

    # What is no request.

    @contextmanager
    def work(self) -> Iterator["Work"]:
        """Something with calls in it (timed) that are its spans: kept in any case, unless nothing is."""
        work = Work(self)
        self._local.work = work
        try:
            yield work
        finally:
            self._local.work = None
            if not self.sampler.off:
                work.finish()

    def timed(self, said: Callable[[str], Said], call: Callable[[], T]) -> T:
        """What *call* gives; a span says how long that took, *said* all else of it, told the error's type. By itself it is kept by the sampler, or because it failed."""
        start = self.clock.now()
        error = ""
        try:
            return call()
        except Exception as failure:
            error = type(failure).__name__
            raise
        finally:
            work: Work | None = getattr(self._local, "work", None)
            if work is not None:
                work.calls.append((said(error), start, self.clock.now()))
            else:
                self.alone(said(error), start, self.clock.now())

    def alone(self, said: Said, start: int, end: int) -> None:
        """Something that is a trace by itself is over. Nobody was told of it before, so that every failure can be kept."""
        key = self._fresh.next()
        context = self.root(key.trace)
        if said.error and not context.sampled and not self.sampler.off:
            context = Context(key.trace, "", RANDOM | SAMPLED, state_of(0))
        if context.sampled:
            self.add(context, key.span(0, 0), "", said, start, end)

    def end(self) -> None:
        """The role ends: send what is left, and say what was lost."""
        if self._export is not None:
            delivered, lost = self._export.end()
            self._link.status("traced", {"spans": delivered, "lost": lost})
            if lost:
                self._link.log("warning", f"{lost} spans were not exported", {"exported": delivered})

    def hand_in(self, span: Span, state: str) -> None:
        """As :meth:`add`, of a span that is whole already."""
        if self._export is not None:
            self._export.span(span, state, False)


class Work:
    """A turn, or a beat, under way: its *calls* so far, and what it will say of itself."""

    def __init__(self, tracing: Tracing) -> None:
        self.calls: list[tuple[Said, int, int]] = []
        self._tracing = tracing
        self._key = tracing.fresh()
        self._start = tracing.clock.now()
        self._said: Said | None = None
        self._notes: tuple[Note, ...] = ()

    def says(self, said: Said, notes: tuple[Note, ...]) -> None:
        """What the whole says of itself; without it there is nothing to show."""
        self._said, self._notes = said, notes

    def finish(self) -> None:
        """It is over."""
        said, key, tracing = self._said, self._key, self._tracing
        if said is None:
            return
        state = state_of(0)
        end = tracing.clock.now()
        # What it saw is of a turn's own time, which may be a little before it began.
        notes = tuple(
            Note(min(max(one.time, self._start), end), one.name, one.attributes) for one in self._notes
        )
        tracing.hand_in(
            Span(key.trace, key.span(0, 0), "", said.name, said.kind, tracing.service, self._start, end, said.attributes, said.error, notes=notes),
            state,
        )  # fmt: skip
        for place, (call, begun, over) in enumerate(self.calls, 1):
            tracing.hand_in(
                Span(key.trace, key.span(0, place), key.span(0, 0), call.name, call.kind, tracing.service, begun, over, call.attributes, call.error),
                state,
            )  # fmt: skip


def begin_tracing(service: Service, settings: Settings, link: "RoleLink") -> Tracing | None:
    """The tracing of a role, None if it is off. Raises UsageError."""
    environment = Environment.read()
    if not (settings.traced or environment.traces):
        return None
    return Tracing(service, settings, link, environment)
