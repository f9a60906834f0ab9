"""``access_log``: the requests of a recorded log as an open source.

Memory: 8 bytes a request (16 while the file is read): its time in us and its endpoint's number packed into one integer, sorted in place. Sorting by
(time, endpoint) makes the result independent of the order of the file's lines, which logs do not keep.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..core.draws import COPIES, OFFSET, draw_block
from ..core.model import SECOND
from ..core.rates import Times
from .log_lines import AccessLogError, BadLines, Batch, Column, Memo, batches, none_readable
from .paths import PathMatcher

ENDPOINT_BITS = 17
"""The lower bits of a packed request; above them us since the first request, for which 46 bits are left: 800 days."""
LONGEST_DAYS = 400
_SECOND_US = 1_000_000
_LONGEST = LONGEST_DAYS * 86_400 * _SECOND_US

Endpoints = Column


@dataclass(frozen=True, slots=True)
class AccessLog:
    """A log: its requests, packed and sorted; whether all its times are whole seconds; what could not be read.

    *unmatched* requests have a path without an endpoint of its own.
    """

    packed: Column
    whole_seconds: bool
    bad: BadLines
    unmatched: int

    def count_until(self, offset: int) -> int:
        """Requests that come less than *offset* (ns) after the first."""
        return int(np.searchsorted(self.packed, math.ceil(offset / 1000) << ENDPOINT_BITS))


def read_access_log(path: Path, paths: tuple[str, ...]) -> AccessLog:
    """Read *path* for endpoints at *paths*. Raises AccessLogError."""
    try:
        stamp = path.stat()
    except OSError as error:
        raise AccessLogError(f"{path} cannot be read: {error.strerror}") from None
    return _read(path, paths, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, paths: tuple[str, ...], mtime: int, size: int) -> AccessLog:
    matcher = PathMatcher(paths)
    if len(paths) >= 1 << ENDPOINT_BITS:
        raise AccessLogError(f"{path}: expected fewer than {1 << ENDPOINT_BITS} endpoints, got {len(paths)}")
    numbers: Memo[bytes | str, int] = Memo(matcher.number)
    bad, parts, unmatched, whole, base = BadLines(), [], 0, True, None
    for batch in batches(path):
        bad.add(batch)
        if not len(batch.times):
            continue
        base = int(batch.times[0]) if base is None else base
        endpoint = np.fromiter(map(numbers.__getitem__, batch.targets), np.int64, len(batch.targets))
        unmatched += int(np.count_nonzero(endpoint == matcher.default))
        whole = whole and not (batch.times % _SECOND_US).any()
        parts.append((since_first(batch, base, path) << ENDPOINT_BITS) | endpoint)
    if not parts:
        raise none_readable(path, bad)
    packed = np.concatenate(parts)
    parts.clear()
    packed.sort()
    packed -= (int(packed[0]) >> ENDPOINT_BITS) << ENDPOINT_BITS
    packed.flags.writeable = False
    return AccessLog(packed, whole, bad, unmatched)


def since_first(batch: Batch, base: int, path: Path) -> Column:
    """Times (us) since *base*. Raises AccessLogError where one is more than 400 days away."""
    since = batch.times - base
    far = np.abs(since) > _LONGEST
    if far.any():
        row = int(np.argmax(far))
        days = int(since[row]) // (86_400 * _SECOND_US)
        raise AccessLogError(
            f"{path}:{batch.lines[row]}: expected a time within {LONGEST_DAYS} days of the first line's, "
            f"got one {abs(days):,} days {'after' if days > 0 else 'before'} it"
        )
    return since


def recorded_rows(
    log: AccessLog, speed: float, scale: float, start: int, stream: int, chunk: int
) -> Iterator[tuple[Times, Endpoints]]:
    """Times (ns, ascending) and endpoints of the planned requests, about *chunk* at a time.

    Each recorded request comes *scale* times on average: ``floor(scale)`` times, and once more with the remaining probability. It comes at its
    recorded time; its copies, and all requests of a log that knows whole seconds only, come at drawn moments of that second. Then time is divided
    by *speed*. Chunks end where a recorded second ends.
    """
    packed = log.packed
    step = max(1, int(chunk / max(scale, 1.0)))
    whole_copies = math.floor(scale)
    begin = row = 0
    while begin < len(packed):
        last = packed[min(begin + step, len(packed)) - 1] >> ENDPOINT_BITS
        following = int(last // _SECOND_US + 1) * _SECOND_US
        end = int(np.searchsorted(packed, following << ENDPOINT_BITS))
        records = np.arange(begin, end, dtype=np.int64)
        copies = np.full(end - begin, whole_copies, dtype=np.int64)
        if scale != whole_copies:
            luck = (draw_block(stream, records, 0, COPIES) >> 10) * 2.0**-53
            copies += luck < scale - whole_copies
        chosen = np.repeat(records, copies)
        rows = np.arange(row, row + len(chosen), dtype=np.int64)
        if len(rows):
            times = _moments(packed, chosen, log.whole_seconds, draw_block(stream, rows, 0, OFFSET))
            order = np.argsort(times, kind="stable")
            times = times[order]
            if speed != 1.0:
                times = np.floor(times / speed).astype(np.int64)
            yield start + times, packed[chosen[order]] & ((1 << ENDPOINT_BITS) - 1)
        begin, row = end, row + len(rows)


def _moments(packed: Column, chosen: Column, whole_seconds: bool, bits: Column) -> Times:
    """Times (ns) since the first request."""
    recorded = packed[chosen] >> ENDPOINT_BITS
    spread = (recorded // _SECOND_US) * SECOND + (((bits >> 31) * SECOND) >> 32)
    if whole_seconds:
        return spread
    copy = np.zeros(len(chosen), dtype=bool)
    copy[1:] = chosen[1:] == chosen[:-1]
    return np.where(copy, spread, recorded * 1000)


def rows_until(rows: Iterator[tuple[Times, Endpoints]], end: int) -> Iterator[tuple[Times, Endpoints]]:
    """Cut ascending *rows* off at *end* (ns)."""
    for times, endpoints in rows:
        if times[-1] >= end:
            inside = int(np.searchsorted(times, end, side="left"))
            yield times[:inside], endpoints[:inside]
            return
        yield times, endpoints
