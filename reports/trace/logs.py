"""Lines of roles' and applications' logs inside the traces that they belong to.

A flight's directory has ``logs/ROLE.jsonl``; a line with a ``trace_id`` is of that trace, and of the span that its ``span_id`` names, if that is known, else of the first one. Lines
are notes of their spans, so that whatever shows or writes a span has them.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .spans import Note, Span, Trace, Value

LOG = "log"
"""What such a note is called."""
MESSAGE, LEVEL, FROM = "log.message", "log.level", "log.from"
APPLICATION = "application"
"""Where lines of a program of the user's come from."""
_IDS = b'"trace_id"'

Lines = Mapping[str, tuple[tuple[str, Note], ...]]
"""By trace: (span id, line) in order of time."""


def read_logs(directory: Path | None, offset: int) -> Lines:
    """The lines with a trace id of the run in *directory*; *offset* (ns) is between its roles' clock and the scenario's."""
    found: dict[str, list[tuple[str, Note]]] = {}
    for path in sorted(directory.glob("logs/*.jsonl")) if directory is not None else ():
        with path.open("rb") as file:
            for text in file:
                if _IDS in text:
                    _take(found, text, path.stem, offset)
    return {trace: tuple(sorted(lines, key=lambda one: one[1].time)) for trace, lines in found.items()}


def _take(found: dict[str, list[tuple[str, Note]]], text: bytes, role: str, offset: int) -> None:
    try:
        line = json.loads(text)
        trace, time = str(line["trace_id"]), int(line["t"])
    except (ValueError, KeyError, TypeError):
        # The last line of a role that was killed may be half a one.
        return
    attributes: dict[str, Value] = {
        MESSAGE: str(line.get("message", "")), LEVEL: str(line.get("level", "")), FROM: str(line.get("from", role)),
    }  # fmt: skip
    for name, value in _more(line).items():
        attributes[f"log.{name}"] = value if isinstance(value, (bool, int, float, str)) else json.dumps(value)
    found.setdefault(trace, []).append((str(line.get("span_id", "")), Note(time - offset, LOG, attributes)))


def _more(line: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = line.get("fields")
    return fields if isinstance(fields, dict) else {}


def with_logs(trace: Trace, lines: Lines) -> Trace:
    """*trace* with its lines."""
    mine = lines.get(trace.root.trace)
    if not mine:
        return trace
    known = {span.id for span in trace.spans}
    return replace(trace, spans=tuple(_noted(span, trace, mine, known) for span in trace.spans))


def _noted(span: Span, trace: Trace, lines: tuple[tuple[str, Note], ...], known: set[str]) -> Span:
    first = span is trace.root
    notes = tuple(note for id_, note in lines if id_ == span.id or (first and id_ not in known))
    return replace(span, notes=(*span.notes, *notes)) if notes else span
