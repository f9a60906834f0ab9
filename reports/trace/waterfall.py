"""A request's trace as lines of a chart: its spans one below the other, and what happened meanwhile on the same axis."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..wording import duration, moment
from .logs import APPLICATION, FROM, LEVEL, LOG, MESSAGE
from .spans import APP, CLIENTS, Note, Service, Span, Trace
from .traces import overlapping

MOST_BESIDE = 12
"""Of what happened meanwhile so many lines are shown."""

_PHASES = ("pending", "booting", "draining", "updating", "failed")
"""Phases of a server's life that are worth a line; serving is not."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: *label* at *depth*, whose it is, from *start* to *end* (ns, also outside of the chart), what is *told* beside it, and whether something went wrong."""

    label: str
    depth: int
    service: str
    start: int
    end: int
    told: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A chart from *start* to *end* (ns): the request's lines, those of what happened meanwhile, and how many more of these there were."""

    start: int
    end: int
    lines: tuple[Line, ...]
    beside: tuple[Line, ...]
    more: int


def waterfall(trace: Trace, control: Sequence[Trace]) -> Waterfall:
    """The chart of a request's *trace*, with what overlaps of *control*."""
    root = trace.root
    servers = {str(span.attributes.get("windtunnel.server", "")) for span in trace.spans}
    children: dict[str, list[Span]] = {}
    for span in trace.spans[1:]:
        children.setdefault(span.parent, []).append(span)
    window = (root.start, root.end)
    beside = sorted(_beside(control, window, servers), key=lambda one: (one[0], one[1].start, one[1].label))
    shown = sorted((line for _, line in beside[:MOST_BESIDE]), key=lambda line: (line.start, line.label))
    return Waterfall(
        *window, tuple(_lines(root, children, 0)), tuple(shown), max(len(beside) - MOST_BESIDE, 0)
    )


def _lines(span: Span, children: dict[str, list[Span]], depth: int) -> Iterator[Line]:
    told = duration(span.duration)
    if span.error:
        status = span.attributes.get("http.response.status_code")
        told += f"  {span.error}{f' {status}' if status else ''}"
    yield Line(_label(span, depth), depth, span.service.name, span.start, span.end, told, bool(span.error))
    for note in span.notes:
        if note.name == LOG:
            yield _logged(note, depth + 1, span.service.name)
    for child in sorted(children.get(span.id, ()), key=lambda one: (one.start, one.end)):
        yield from _lines(child, children, depth + 1)


def _logged(note: Note, depth: int, service: str) -> Line:
    said = note.attributes
    label = f"{said[FROM]}: {said[MESSAGE]}" if said[FROM] == APPLICATION else str(said[MESSAGE])
    return Line(label, depth, service, note.time, note.time, str(said[LEVEL]), said[LEVEL] == "error")


def _label(span: Span, depth: int) -> str:
    if span.station >= 0 or "windtunnel.call" in span.attributes:
        return span.name
    match span.service.name:
        case CLIENTS.name if depth:
            return f"attempt {span.attributes['windtunnel.attempt']}"
        case CLIENTS.name:
            return span.name
        case service if service == APP:
            return owner(span.service)
        case service if "windtunnel.try" in span.attributes:
            return f"{span.name} at server {span.attributes['windtunnel.server']}"
        case service:
            to = span.attributes.get("windtunnel.server") if "url.full" in span.attributes else None
            return f"{service} to server {to}" if to else service


def owner(service: Service) -> str:
    """``server 3``, ``server 3 (v2)``, ``proxy``."""
    if service.name != APP or not service.instance:
        return service.name
    return f"server {service.instance}" + (f" ({service.version})" if service.version else "")


def _beside(
    control: Sequence[Trace], window: tuple[int, int], servers: set[str]
) -> Iterator[tuple[int, Line]]:
    """(how far it matters, less is more; line) of what happened within *window*."""
    start, end = window
    for trace in overlapping(control, window):
        root = trace.root
        mine = 0 if root.service.instance in servers and root.service.instance else 2
        if root.service.name == APP and len(trace.spans) > 1:
            for span in trace.spans[1:]:
                if span.name in _PHASES and span.start <= end and span.end >= start:
                    why = f" ({root.error})" if span.name == "failed" and root.error else ""
                    failed = span.name == "failed"
                    yield mine, _line(f"{owner(root.service)} {span.name}{why}", root.service, span, failed)
            continue
        if root.service.name == "autoscaler" and not root.duration:
            if "windtunnel.actions" not in root.attributes:
                continue
            yield 1, _line(f"autoscaler: {root.attributes['windtunnel.actions']}", root.service, root, False)
            continue
        yield 0 if root.service.name == "chaos" else 1, _line(root.name, root.service, root, bool(root.error))
        for span in trace.spans[1:]:
            if span.start <= end and span.end >= start:
                yield 2, _line(span.name, root.service, span, False)


def _line(label: str, service: Service, span: Span, failed: bool) -> Line:
    told = f"at {moment(span.start)}" if not span.duration else f"{moment(span.start)} to {moment(span.end)}"
    return Line(label, 0, service.name, span.start, span.end, told, failed)
