"""What a program of the user's writes, line by line: JSON of the usual loggers is understood, anything else is a message as it is.

Names differ: those of structlog, python-json-logger, pino, zap, the Elastic Common Schema and of OpenTelemetry's instrumentation of logging are looked for.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...core.trace.context import read_parent

_MESSAGE = ("message", "msg", "event", "body")
_LEVEL = ("level", "levelname", "severity", "severity_text", "log.level", "lvl")
_TRACE = ("trace_id", "traceId", "trace.id", "otelTraceID", "traceid")
_SPAN = ("span_id", "spanId", "span.id", "otelSpanID", "spanid")
_PARENT = "traceparent"
_KNOWN = {*_MESSAGE, *_LEVEL, *_TRACE, *_SPAN, _PARENT}
_WORDS = {
    "trace": "debug", "debug": "debug", "info": "info", "notice": "info", "warn": "warning", "warning": "warning",
    "error": "error", "err": "error", "critical": "error", "fatal": "error", "panic": "error",
}  # fmt: skip
_NUMBERS = ((50, "error"), (40, "warning"), (30, "info"), (0, "debug"))
"""Levels of pino and bunyan, from so much on."""

_trace = re.compile(r"(?!0{32})[0-9a-f]{32}").fullmatch
_span = re.compile(r"(?!0{16})[0-9a-f]{16}").fullmatch


class ProgramLine(NamedTuple):
    """A line: *fields* are ``trace_id`` and ``span_id``, where it has them, and ``fields`` with whatever else it says."""

    level: str
    message: str
    fields: dict[str, Any]


def read_line(text: str) -> ProgramLine:
    """A line that a program wrote."""
    line: Any = None
    if text.startswith("{"):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
    if not isinstance(line, dict):
        return ProgramLine("info", text, {})
    message = _first(line, _MESSAGE)
    rest = {name: value for name, value in line.items() if name not in _KNOWN}
    fields: dict[str, Any] = _ids(line)
    if rest:
        fields["fields"] = rest
    return ProgramLine(_level(_first(line, _LEVEL)), text if message is None else str(message), fields)


def _first(line: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((line[name] for name in names if line.get(name) is not None), None)


def _level(said: Any) -> str:
    if isinstance(said, (int, float)):
        return next((word for number, word in _NUMBERS if said >= number), "debug")
    return _WORDS.get(str(said).lower(), "info")


def _ids(line: Mapping[str, Any]) -> dict[str, Any]:
    trace, span = str(_first(line, _TRACE) or "").lower(), str(_first(line, _SPAN) or "").lower()
    parent = read_parent(str(line.get(_PARENT, "")))
    if parent is not None and not _trace(trace):
        trace, span = parent.trace, parent.span
    if not _trace(trace):
        return {}
    return {"trace_id": trace, "span_id": span} if _span(span) else {"trace_id": trace}
