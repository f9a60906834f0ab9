"""What a probe saw, put into the trace of a request: each routing decision with its candidates, each try, each call; and the registry's reads and writes around it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...core.probed import Call, Candidate, Choice, Probed, Read, Request, Try
from ...core.probed import Write as Written
from ...core.trace.ids import Ids
from ...core.trace.schema import LISTS_READ, SAMPLES_WRITTEN, registry_call
from ..stations import WAITS
from .spans import APP, CLIENT, INTERNAL, PROXY, REGISTRY, SERVER, Note, Service, Span, Trace, Value

MOST_CANDIDATES = 50
"""Of those that a decision saw so many are named, those with the fewest requests in flight first."""

_PROBE_BIT = 1 << 40
_ATTEMPT_SHIFT = 20
MONITORS = Service("monitors")


def with_probe(trace: Trace, told: Request, lists: Read | None) -> Trace:
    """*trace* with what was *told* of its request; *lists*: when the proxy had read the table that it routed by."""
    return _Probing(trace, told, lists).trace()


def registry_traces(ids: Ids, probed: Probed, window: tuple[int, int]) -> Iterator[Trace]:
    """What was read and written within *window* (ns), with the last time before it that the proxy read the lists."""
    start, end = window
    before = probed.table_read(start)
    since = start if before is None else before.time
    for number, read in enumerate(probed.reads):
        if since <= read.time <= end:
            servers: dict[str, Value] = {f"windtunnel.{role}": getattr(read, role) for role in ("serving", "canary", "standby")}  # fmt: skip
            yield Trace((_exchange(ids, "read", number, LISTS_READ, PROXY, read.time, servers),))
    for number, write in enumerate(probed.writes):
        if start <= write.time <= end:
            yield Trace((_write(ids, number, write),))


def _write(ids: Ids, number: int, write: Written) -> Span:
    servers: dict[str, Value] = {"windtunnel.servers": write.servers}
    span = _exchange(ids, "write", number, SAMPLES_WRITTEN, MONITORS, write.time, servers)
    if write.error:
        span.error = span.attributes["error.type"] = write.error
    return span


def _exchange(
    ids: Ids, kind: str, number: int, operation: str, service: Service, time: int, more: dict[str, Value]
) -> Span:
    key = ids.control(f"registry {kind}", number)
    said = registry_call(operation, REGISTRY.name)
    return Span(
        key.trace, key.span(0, 0), "", said.name, said.kind, service, time, time, said.attributes | more
    )


def named(candidates: Sequence[Candidate]) -> tuple[list[str], list[str]]:
    """Those that could be taken, and those that could not, in words; the fewest in flight first."""
    free = sorted((one for one in candidates if not one.barred), key=_weight)
    barred = [f"{one.server} ({one.barred})" for one in candidates if one.barred]
    costs = any(one.cost for one in free)
    words = [
        f"{one.server} ({one.in_flight} in flight{f', cost {one.cost / 1e6:.3g} ms' if costs else ''})"
        for one in free
    ]
    return _cut(words), _cut(barred)


def _weight(one: Candidate) -> tuple[float, int, int]:
    return one.cost, one.in_flight, one.server


def _cut(words: list[str]) -> list[str]:
    more = len(words) - MOST_CANDIDATES
    return words if more <= 0 else [*words[:MOST_CANDIDATES], f"and {more:,} more"]


class _Probing:
    """The spans of one request while they are added."""

    def __init__(self, trace: Trace, told: Request, lists: Read | None) -> None:
        self._trace = trace
        self._told = told
        self._lists = lists
        self._spans = [replace(span) for span in trace.spans]
        self._made = 0

    def trace(self) -> Trace:
        """All of it, parents before their children."""
        attempts = sorted({one.attempt for one in self._told.choices})
        for attempt in attempts:
            proxy = self._at_proxy(attempt)
            if proxy is None:
                continue
            choices = [one for one in self._told.choices if one.attempt == attempt]
            proxy.notes = (*proxy.notes, *map(self._note, choices))
            tries = [one for one in self._told.tries if one.attempt == attempt]
            spans = {one.number: self._try(one, proxy) for one in tries} if len(tries) > 1 else {}
            for call in self._told.calls:
                if call.attempt == attempt:
                    self._call(call, self._caller(call, len(tries), spans.get(call.number, proxy)))
        return replace(self._trace, spans=tuple(self._spans))

    def _at_proxy(self, attempt: int) -> Span | None:
        """The proxy's span of an attempt."""
        clients = {s.id for s in self._spans if s.attributes.get("windtunnel.attempt") == attempt}
        return next((s for s in self._spans if s.parent in clients and s.kind == SERVER), None)

    def _caller(self, call: Call, tries: int, otherwise: Span) -> Span:
        """The stretch of the server's time that the call is in, or the server, if these are recorded of its try; else that try."""
        if call.number < tries:
            return otherwise
        around = [span for span in self._spans if span.start <= call.start <= span.end]
        for span in around:
            if span.station == WAITS:
                return span
        return next((span for span in around if span.kind == SERVER and span.service.name == APP), otherwise)

    def _note(self, choice: Choice) -> Note:
        free, barred = named(choice.candidates)
        attributes: dict[str, Value] = {
            "windtunnel.try": choice.number, "windtunnel.algorithm": choice.algorithm, "windtunnel.role": choice.role,
            "windtunnel.candidates": free, "windtunnel.barred": barred,
        }  # fmt: skip
        if self._lists is not None:
            attributes["windtunnel.lists_read_ns"] = self._lists.time
        if choice.server:
            attributes["windtunnel.server"] = choice.server
        else:
            attributes["windtunnel.outcome"] = choice.outcome
        return Note(choice.time, "routing", attributes)

    def _try(self, one: Try, proxy: Span) -> Span:
        address = f"server-{one.server}"
        attributes: dict[str, Value] = {
            "server.address": address, "windtunnel.server": one.server, "windtunnel.try": one.number, "windtunnel.outcome": one.outcome,
        }  # fmt: skip
        if one.status:
            attributes["http.response.status_code"] = one.status
        failed = "" if one.outcome in ("", "ok") else one.outcome
        if failed:
            attributes["error.type"] = str(one.status) if one.outcome == "app_error" else failed
        end = proxy.end if one.end < 0 else min(one.end, proxy.end)
        return self._add(
            one.attempt, proxy, f"try {one.number}", CLIENT, PROXY, one.start, end, attributes, failed
        )

    def _call(self, call: Call, parent: Span) -> None:
        if call.start > parent.end:
            return  # Of a server that goes on for a try which is over.
        attributes: dict[str, Value] = {
            "server.address": call.dependency, "windtunnel.call": call.place, "windtunnel.cached": call.cached,
        }  # fmt: skip
        end = parent.end if call.end < 0 else min(call.end, parent.end)
        failed = "" if call.succeeded or call.end < 0 else "call_failed"
        if failed:
            attributes["error.type"] = failed
        name = f"call {call.dependency}" + (" (cached)" if call.cached else "")
        span = self._add(
            call.attempt, parent, name, CLIENT, parent.service, call.start, end, attributes, failed
        )
        if call.served > call.start:
            waited = min(call.served, end)
            service = Service(call.dependency)
            self._add(
                call.attempt,
                span,
                "queue",
                INTERNAL,
                service,
                call.start,
                waited,
                {"windtunnel.call": call.place},
            )

    def _add(
        self, attempt: int, parent: Span, name: str, kind: int, service: Service, start: int, end: int,
        attributes: dict[str, Value], failed: str = "",
    ) -> Span:  # fmt: skip
        self._made += 1
        base = int(self._trace.root.id, 16)
        name_of = f"{base ^ (_PROBE_BIT | attempt << _ATTEMPT_SHIFT | self._made):016x}"
        span = Span(
            parent.trace, name_of, parent.id, name, kind, service, start, max(start, end), attributes, failed
        )
        self._spans.append(span)
        return span
