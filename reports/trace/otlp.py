"""OTLP in JSON lines: a TracesData object a line (OpenTelemetry Protocol File Exporter; JSON protobuf encoding of OTLP: ids in hex, 64-bit integers as
text, enums as numbers).
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from ...core.trace.schema import CONVENTIONS, SCOPE, resource_attributes
from .spans import Link, Note, Service, Span, Trace, Value

EPOCH = 1_577_836_800 * 1_000_000_000
"""2020-01-01T00:00:00Z in Unix time (ns): the zero of virtual time in files, which want a time of day. Flights say when theirs was."""

SPANS_IN_A_LINE = 1_000

_LOCAL, _FROM_AFAR = 0x103, 0x303
"""A span's flags: W3C's sampled and random trace id (bits 0 and 1); that it is known whether the parent is another process's (8), and that it is (9)."""
_ERROR = 2

_MOST_TEXTS = 100_000
"""So many texts are kept encoded."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all spans of a run have in common: *zero* is the scenario's zero in Unix time (ns)."""

    scenario: str
    fingerprint: str
    seed: int
    world: str
    version: str
    zero: int = EPOCH


class OtlpWriter:
    """Writes traces to *file*. The text is put together from parts that are encoded once: an encoder that walks through mappings takes five times as long."""

    def __init__(self, file: TextIO, origin: Origin) -> None:
        self._file = file
        self._origin = origin
        self._resources: dict[Service, str] = {}
        self._held: dict[Service, list[str]] = {}
        self._count = 0
        self._texts: dict[str, str] = {}
        self._pairs: dict[tuple[str, str], str] = {}
        self.spans = 0

    def write(self, trace: Trace) -> None:
        """Take in one trace."""
        services = {span.id: span.service for span in trace.spans}
        state = f',"traceState":"{trace.state()}"' if trace.kept else ""
        for span in trace.spans:
            flags = _LOCAL if not span.parent or services.get(span.parent) == span.service else _FROM_AFAR
            if not span.parent and trace.kept:
                span.attributes["windtunnel.sample"] = trace.kept
                span.attributes["windtunnel.sample.weight"] = float(trace.weight)
            self._held.setdefault(span.service, []).append(self._span(span, flags, state))
        self._count += len(trace.spans)
        if self._count >= SPANS_IN_A_LINE:
            self.flush()

    def flush(self) -> None:
        """Write what is held as a line."""
        if not self._count:
            return
        scope = f'{{"name":"{SCOPE}","version":{self._text(self._origin.version)}}}'
        line = ",".join(
            f'{{"resource":{self._resource(service)},"scopeSpans":[{{"scope":{scope},"spans":[{",".join(spans)}],'
            f'"schemaUrl":"{CONVENTIONS}"}}],"schemaUrl":"{CONVENTIONS}"}}'
            for service, spans in self._held.items()
        )
        self._file.write(f'{{"resourceSpans":[{line}]}}\n')
        self.spans += self._count
        self._held, self._count = {}, 0

    def _resource(self, service: Service) -> str:
        if service not in self._resources:
            origin = self._origin
            attributes = resource_attributes(
                service.name, service.instance, service.version, origin.scenario, origin.world, origin.fingerprint, origin.seed
            )  # fmt: skip
            self._resources[service] = f'{{"attributes":{self._attributes(attributes)}}}'
        return self._resources[service]

    def _span(self, span: Span, flags: int, state: str) -> str:
        zero = self._origin.zero
        parent = f',"parentSpanId":"{span.parent}"' if span.parent else ""
        attributes = f',"attributes":{self._attributes(span.attributes)}' if span.attributes else ""
        status = f'{{"code":{_ERROR},"message":{self._text(span.error)}}}' if span.error else "{}"
        events = f',"events":[{",".join(map(self._event, span.notes))}]' if span.notes else ""
        links = f',"links":[{",".join(map(self._link, span.links))}]' if span.links else ""
        return (
            f'{{"traceId":"{span.trace}","spanId":"{span.id}"{parent}{state},"flags":{flags},"name":{self._text(span.name)},'
            f'"kind":{span.kind},"startTimeUnixNano":"{zero + span.start}","endTimeUnixNano":"{zero + span.end}"'
            f'{attributes}{events}{links},"status":{status}}}'
        )

    def _event(self, note: Note) -> str:
        time = self._origin.zero + note.time
        attributes = self._attributes(note.attributes)
        return f'{{"timeUnixNano":"{time}","name":{self._text(note.name)},"attributes":{attributes}}}'

    def _link(self, link: Link) -> str:
        attributes = self._attributes({"windtunnel.link": link.what})
        return f'{{"traceId":"{link.trace}","spanId":"{link.span}","attributes":{attributes}}}'

    def _attributes(self, attributes: Mapping[str, Value]) -> str:
        """OTLP's key-value pairs."""
        return f"[{','.join([self._pair(name, value) for name, value in attributes.items()])}]"

    def _pair(self, name: str, value: Value) -> str:
        if isinstance(value, str):
            known = self._pairs.get((name, value))
            if known is None:
                known = f'{{"key":{self._text(name)},"value":{{"stringValue":{self._text(value)}}}}}'
                self._pairs[name, value] = known
            return known
        return f'{{"key":{self._text(name)},"value":{self._any(value)}}}'

    def _any(self, value: Value) -> str:
        if isinstance(value, bool):
            return f'{{"boolValue":{"true" if value else "false"}}}'
        if isinstance(value, int):
            return f'{{"intValue":"{value}"}}'
        if isinstance(value, float):
            return f'{{"doubleValue":{_double(value)}}}'
        if isinstance(value, str):
            return f'{{"stringValue":{self._text(value)}}}'
        return f'{{"arrayValue":{{"values":[{",".join(map(self._any, value))}]}}}}'

    def _text(self, text: str) -> str:
        known = self._texts.get(text)
        if known is None:
            known = json.dumps(text, ensure_ascii=False)
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
                self._pairs.clear()
            self._texts[text] = known
        return known


def _double(value: float) -> str:
    """A number, or what the JSON mapping of protobuf has for those that JSON has not."""
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def write_otlp(file: TextIO, origin: Origin, traces: Iterable[Trace]) -> int:
    """Write all *traces*; the number of spans."""
    writer = OtlpWriter(file, origin)
    for trace in traces:
        writer.write(trace)
    writer.flush()
    return writer.spans
