"""Spans and log lines on their way to an OTLP endpoint, by OpenTelemetry's SDK.

Spans are made when they are over, with the times that they had and the ids that follow from the request, so they are handed to the SDK's batch processor as they are, without a tracer
that would draw ids. The processor has a thread of its own and a bounded queue: what does not fit is lost, and counted. Imported by roles that export only.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from ...core.trace.context import RANDOM, SAMPLED
from ...core.trace.schema import CONVENTIONS, SCOPE
from ...core.trace.spans import Service, Span
from .clock import EPOCH

PATIENCE = 2.0
"""Seconds that the end of a role may wait for its last spans."""

SWITCH_SECONDS = 0.0005
"""The exporter's thread gives way to the role's loop so soon; Python's own 5 ms would be seen in latencies."""

_KINDS = {1: SpanKind.INTERNAL, 2: SpanKind.SERVER, 3: SpanKind.CLIENT}
_FLAGS = TraceFlags(SAMPLED | RANDOM)
_UNSET = Status(StatusCode.UNSET)
_SEVERITIES = {
    "debug": SeverityNumber.DEBUG, "info": SeverityNumber.INFO, "warning": SeverityNumber.WARN, "error": SeverityNumber.ERROR,
}  # fmt: skip
_MOST_STATES = 1000
_WHO = ("service.name", "service.instance.id")


class _Counting(SpanExporter):
    """The exporter, and how many spans it has delivered."""

    def __init__(self) -> None:
        self._inner = OTLPSpanExporter()
        self.delivered = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter."""
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        return result

    def shutdown(self) -> None:
        """See SpanExporter."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See SpanExporter."""
        return self._inner.force_flush(timeout_millis)


class _Complaints(logging.Handler):
    """The SDK's own log: the first complaint is handed on, for the rest says the same."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._complain = complain
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if not self._said:
            self._said = True
            self._complain(record.getMessage())


class Export:
    """Of one role. *attributes* of a service's resource; *complain* is told once of what goes wrong, from any thread."""

    def __init__(
        self, traces: bool, logs: bool, attributes: Callable[[Service], dict[str, Any]], complain: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._attributes = attributes
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(_Complaints(complain))
        logger.propagate = False
        sys.setswitchinterval(SWITCH_SECONDS)
        self._exporter = _Counting() if traces else None
        self._spans = BatchSpanProcessor(self._exporter) if self._exporter is not None else None
        self._logs = BatchLogRecordProcessor(OTLPLogExporter()) if logs else None
        self._given = OTELResourceDetector().detect()
        self._resources: dict[Service, Resource] = {}
        self._states: dict[str, TraceState] = {}
        self._scope = InstrumentationScope(SCOPE, schema_url=CONVENTIONS)
        self._lock = threading.Lock()
        self._taken = 0

    def span(self, span: Span, state: str, afar: bool) -> None:
        """Take in a span that is over, with its trace's *state*; *afar*: its parent is another process's."""
        if self._spans is None:
            return
        trace, its_state = int(span.trace, 16), self._state(state)
        parent = SpanContext(trace, int(span.parent, 16), afar, _FLAGS, its_state) if span.parent else None
        status = Status(StatusCode.ERROR, span.error) if span.error else _UNSET
        made = ReadableSpan(
            span.name, SpanContext(trace, int(span.id, 16), False, _FLAGS, its_state), parent, self._resource(span.service),
            span.attributes, [Event(note.name, note.attributes, EPOCH + note.time) for note in span.notes],
            [Link(SpanContext(int(one.trace, 16), int(one.span, 16), True), {"windtunnel.link": one.what}) for one in span.links],
            _KINDS[span.kind], status=status, start_time=EPOCH + span.start, end_time=EPOCH + span.end,
            instrumentation_scope=self._scope,
        )  # fmt: skip
        with self._lock:
            self._taken += 1
        self._spans.on_end(made)

    def log(self, service: Service, line: dict[str, Any]) -> None:
        """Take in a line of the role's log (see RoleLink.log)."""
        if self._logs is None:
            return
        attributes = {
            name: item if isinstance(item, (bool, int, float, str)) else str(item)
            for name, item in line.items()
            if name not in ("t", "level", "message", "trace_id", "span_id")
        }
        traced = "trace_id" in line
        record = LogRecord(
            timestamp=EPOCH + line["t"], observed_timestamp=EPOCH + line["t"], severity_text=line["level"].upper(),
            severity_number=_SEVERITIES.get(line["level"], SeverityNumber.INFO), body=line["message"], attributes=attributes,
            trace_id=int(line["trace_id"], 16) if traced else 0, span_id=int(line["span_id"], 16) if traced else 0,
            trace_flags=_FLAGS if traced else None,
        )  # fmt: skip
        self._logs.on_emit(ReadWriteLogRecord(record, self._resource(service), self._scope))

    def _resource(self, service: Service) -> Resource:
        """What the environment says of all, what is known of the run, and last who it is, which nobody else can say."""
        known = self._resources.get(service)
        if known is None:
            own = self._attributes(service)
            who = {name: own.pop(name) for name in _WHO if name in own}
            known = Resource(own).merge(self._given).merge(Resource(who, CONVENTIONS))
            self._resources[service] = known
        return known

    def _state(self, text: str) -> TraceState:
        known = self._states.get(text)
        if known is None:
            if len(self._states) >= _MOST_STATES:
                self._states.clear()
            known = self._states[text] = TraceState.from_header([text] if text else [])
        return known

    def end(self) -> tuple[int, int]:
        """Send what is left, for PATIENCE at most; how many spans were delivered, and how many were lost."""
        workers = [
            threading.Thread(target=processor.shutdown, daemon=True)
            for processor in (self._spans, self._logs)
            if processor is not None
        ]
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + PATIENCE
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        delivered = self._exporter.delivered if self._exporter is not None else 0
        return delivered, self._taken - delivered
