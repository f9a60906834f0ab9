"""Common and Combined log format, as Apache and nginx write it; what follows the answer's size is not looked at.

``host ident user [17/May/2015:10:05:03 +0000] "GET /path?query HTTP/1.1" 200 1234 ...``
"""

import re
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import numpy as np

from .log_lines import SIZE_LIMIT, UNKNOWN, Batch, Memo

_PARTS = (
    rb'^[^\[\n]*+\[([^\]\n]++)\] "[A-Z-]++ (?=[^ ?"\n])([^ ?"\\\n]*+(?:\\.[^ ?"\\\n]*+)*+)'
    rb'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+" [0-9]{3} ([0-9]{1,18}|-).*+\n'
)
_LINE = re.compile(_PARTS, re.MULTILINE)
_LINE_WITH_QUERY = re.compile(
    _PARTS.replace(rb'([^ ?"\\\n]*+(?:\\.[^ ?"', rb'([^ "\\\n]*+(?:\\.[^ "'), re.MULTILINE
)
"""Nothing is matched in two ways, so that a long line that does not match costs no more than its length."""
_STAMP = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)([0-5]\d)", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp_us(text: str) -> int:
    """us since 1970 of ``17/May/2015:10:05:03 +0000``. Raises ValueError."""
    match = _STAMP.fullmatch(text)
    if not match or match[2] not in _MONTHS:
        raise ValueError(f"expected a time such as 17/May/2015:10:05:03 +0000, got {text!r}")
    month = _MONTHS.index(match[2]) + 1
    local = datetime(
        int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6]), tzinfo=UTC
    )
    ahead = timedelta(hours=int(match[8]), minutes=int(match[9])) * (1 if match[7] == "+" else -1)
    return (local - _EPOCH - ahead) // timedelta(microseconds=1)


def _size(text: bytes) -> int:
    return UNKNOWN if text == b"-" else min(int(text), SIZE_LIMIT)


class TextLog:
    """The parser; times that come again are parsed once. *queries*: targets have their query strings."""

    def __init__(self, queries: bool = False) -> None:
        self._line = _LINE_WITH_QUERY if queries else _LINE
        self._times: Memo[bytes, int] = Memo(lambda text: stamp_us(text.decode("ascii")))

    def parse(self, chunk: bytes, numbers: range, answers: bool) -> Batch:
        """The requests in *chunk*, whose lines have *numbers*."""
        rows: list[tuple[bytes, bytes, bytes]] = self._line.findall(chunk)
        if len(rows) == len(numbers):
            try:
                return self._batch(rows, np.arange(numbers.start, numbers.stop), [], answers)
            except ValueError:
                pass  # A time that is none: find out where.
        return self._line_by_line(chunk, numbers, answers)

    def _line_by_line(self, chunk: bytes, numbers: range, answers: bool) -> Batch:
        rows: list[tuple[bytes, bytes, bytes]] = []
        lines, bad = [], []
        for place, line in zip(numbers, chunk.split(b"\n")[:-1], strict=True):
            match = self._line.fullmatch(line + b"\n")
            try:
                if match is None:
                    raise ValueError
                self._times[match[1]]
            except ValueError:
                if line.strip():
                    bad.append(place)
                continue
            rows.append((match[1], match[2], match[3]))
            lines.append(place)
        return self._batch(rows, np.array(lines, dtype=np.int64), bad, answers)

    def _batch(
        self, rows: list[tuple[bytes, bytes, bytes]], lines: np.ndarray, bad: list[int], answers: bool
    ) -> Batch:
        count = len(rows)
        asked = rows if answers else []
        return Batch(
            lines=lines,
            times=np.fromiter(map(self._times.__getitem__, map(itemgetter(0), rows)), np.int64, count),
            targets=list(map(itemgetter(1), rows)),
            durations=np.full(len(asked), UNKNOWN, dtype=np.int64),
            sizes=np.fromiter(map(_size, map(itemgetter(2), asked)), np.int64, len(asked)),
            bad=bad,
        )
