"""Access logs as JSON lines, with the field names that nginx, Caddy, Envoy and others use.

| what | fields, the first one found |
| --- | --- |
| time | ``time``, ``ts``, ``timestamp``, ``@timestamp``, ``time_iso8601``, ``start_time``, ``time_local``, ``msec``: ISO 8601 (UTC unless it says otherwise), the Common log's, or seconds since 1970 (from 1e11 on ms, from 1e14 us, from 1e17 ns) |
| path | ``path``, ``uri``, ``request_uri``, ``url``, ``request`` (a request line, or Caddy's mapping with ``uri``) |
| duration | ``request_time`` (s), ``duration_ms`` (ms), ``duration`` and ``latency`` (a text with its unit; a number with a fraction is in s, as Caddy has it, a whole one in ms, as Envoy has it) |
| size | ``body_bytes_sent``, ``bytes_sent``, ``response_size``, ``bytes``, ``size`` (bytes) |
"""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from .log_lines import SIZE_LIMIT, UNKNOWN, Batch, Memo
from .log_text import stamp_us
from .units import parse_duration

TIMES = ("time", "ts", "timestamp", "@timestamp", "time_iso8601", "start_time", "time_local", "msec")
PATHS = ("path", "uri", "request_uri", "url", "request")
SIZES = ("body_bytes_sent", "bytes_sent", "response_size", "bytes", "size")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINER = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
"""Numbers below the first are seconds, milliseconds, microseconds: us in one of them; beyond the last they are nanoseconds."""


def _number_us(value: float) -> int:
    for limit, factor in _FINER:
        if abs(value) < limit:
            return round(value * factor)
    return int(value // 1000)


def _text_us(text: str) -> int:
    try:
        return _number_us(_finite(float(text)))
    except ValueError:
        pass  # Not a number: a date, or it is said below that it is neither.
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return stamp_us(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(microseconds=1)


def _finite(value: float) -> float:
    if not math.isfinite(value) or abs(value) >= 1e21:
        raise ValueError("expected a finite number")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _first(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        value = record.get(name)
        if value is not None:
            return value
    return None


def _target(record: dict[str, Any], queries: bool) -> str:
    value = _first(record, PATHS)
    if isinstance(value, dict):
        value = _first(value, PATHS)
    parts = value.split(" ") if isinstance(value, str) else []
    target: str = parts[1] if len(parts) > 1 else "".join(parts)
    if not target:
        raise ValueError("expected a path, or a request line such as GET / HTTP/1.1")
    return target if queries else target.split("?", 1)[0]


def duration_ns(record: dict[str, Any]) -> int:
    """How long the request took (ns), or -1 if that is not said."""
    for name, unit in (("request_time", 1e9), ("duration_ms", 1e6), ("duration", 0.0), ("latency", 0.0)):
        value: Any = record.get(name)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                try:
                    return parse_duration(value)
                except ValueError:
                    continue
        if _is_number(value) and math.isfinite(value) and 0 <= value < 1e15:
            factor = unit or (1e6 if isinstance(value, int) else 1e9)
            return int(value * factor + 0.5)
    return UNKNOWN


def _size(record: dict[str, Any]) -> int:
    value = _first(record, SIZES)
    try:
        size = int(value)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN
    return min(size, SIZE_LIMIT) if size >= 0 else UNKNOWN


class JsonLog:
    """The parser; texts of times that come again are parsed once. *queries*: targets have their query strings."""

    def __init__(self, queries: bool = False) -> None:
        self._queries = queries
        self._times: Memo[str, int] = Memo(_text_us)

    def parse(self, chunk: bytes, numbers: range, answers: bool) -> Batch:
        """The requests in *chunk*, whose lines have *numbers*."""
        try:
            records = json.loads(b"[" + chunk[:-1].replace(b"\n", b",") + b"]")
            if len(records) != len(numbers):
                raise ValueError
            rows = [(self._time(record), _target(record, self._queries)) for record in records]
        except (ValueError, AttributeError, OverflowError, RecursionError):
            return self._line_by_line(chunk, numbers, answers)
        return _batch(rows, records, np.arange(numbers.start, numbers.stop), [], answers)

    def _line_by_line(self, chunk: bytes, numbers: range, answers: bool) -> Batch:
        rows, records, lines, bad = [], [], [], []
        for place, line in zip(numbers, chunk.split(b"\n")[:-1], strict=True):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                row = (self._time(record), _target(record, self._queries))
            except (ValueError, AttributeError, OverflowError, RecursionError):
                bad.append(place)
                continue
            rows.append(row)
            records.append(record)
            lines.append(place)
        return _batch(rows, records, np.array(lines, dtype=np.int64), bad, answers)

    def _time(self, record: dict[str, Any]) -> int:
        value = _first(record, TIMES)
        if isinstance(value, str):
            return self._times[value]
        if not _is_number(value):
            raise ValueError("expected a time")
        return _number_us(_finite(value))


def _batch(
    rows: list[tuple[int, str]],
    records: list[dict[str, Any]],
    lines: np.ndarray,
    bad: list[int],
    answers: bool,
) -> Batch:
    asked = records if answers else []
    return Batch(
        lines=lines,
        times=np.array([time for time, _ in rows], dtype=np.int64),
        targets=[target for _, target in rows],
        durations=np.fromiter(map(duration_ns, asked), np.int64, len(asked)),
        sizes=np.fromiter(map(_size, asked), np.int64, len(asked)),
        bad=bad,
    )
