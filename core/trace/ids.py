"""Ids of traces and spans: pure functions of the run and of what is traced, so that the same run has the same ones whoever asks.

A trace id has 128 bits, of which the last 56 are its randomness in the sense of W3C Trace Context Level 2 and of OpenTelemetry's consistent
probability sampling. Span ids of one trace differ in their last 20 bits only, but for those of what a probe saw (``reports.trace.probed``), which differ in bit 40.
"""

from typing import Any, NamedTuple

import numpy as np

from ..draws import draw, draw_block, key
from .probability import RANDOM_MASK

_TRACE_HIGH, _TRACE_LOW, _SPAN = 0, 1, 2
FIRST_BIT = 1 << 63
"""Set in all ids, so that none is zero."""
_STATION_BITS = 8


class TraceKey(NamedTuple):
    """What the ids of one trace are made of: its id (32 hex digits) and the number that its spans' ids begin from."""

    trace: str
    base: int

    def span(self, attempt: int, station: int) -> str:
        """The id of a span (16 hex digits, never zero), by attempt (0: the whole request) and station (below 256)."""
        return f"{number_of(self.base, attempt, station):016x}"


def number_of(base: int, attempt: int, station: int) -> int:
    """The number of a span's id."""
    return (base ^ (attempt << _STATION_BITS | station)) | FIRST_BIT


class Ids:
    """The ids of one run: *scope* tells runs of the same seed apart (what was run, and in which world)."""

    def __init__(self, seed: int, scope: str) -> None:
        self._seed = seed
        self._scope = scope
        self._keys: dict[str, int] = {}

    def _key(self, name: str) -> int:
        if name not in self._keys:
            self._keys[name] = key(self._seed, f"trace/{self._scope}/{name}")
        return self._keys[name]

    def requests(self, source: str, index: Any) -> tuple[Any, Any, Any]:
        """(upper half, lower half of the trace id, base of span ids) of many requests of a source, by their index within it; 63 bits each."""
        stream = self._key(f"source/{source}")
        wide = np.ascontiguousarray(index, dtype=np.int64)
        high, low, base = (
            draw_block(stream, wide, 0, purpose) for purpose in (_TRACE_HIGH, _TRACE_LOW, _SPAN)
        )
        return high, low, base

    def control(self, kind: str, number: int) -> TraceKey:
        """Of something that is not a request: an instance, a turn of the autoscaler, a fault, by its number among its kind."""
        stream = self._key(f"control/{kind}")
        return trace_key(*(draw(stream, number, 0, purpose) for purpose in (_TRACE_HIGH, _TRACE_LOW, _SPAN)))


def scope_of(fingerprint: str, world: str, zero: int) -> str:
    """What tells runs of one seed apart: the scenario's hash, the world, and of a flight when its plan began (Unix time, ns; 0: it is none)."""
    return f"{fingerprint}/{world}" + (f"/{zero}" if zero else "")


class Fresh:
    """Ids of what nobody has named yet, one after the other: of the stream *name* under *seed*."""

    _AT_ONCE = 1024

    def __init__(self, seed: int, name: str) -> None:
        self._stream = key(seed, f"trace/{name}")
        self._count = 0
        self._ahead: list[tuple[int, int, int]] = []

    def next(self) -> TraceKey:
        """The next one's."""
        return trace_key(*self.draws())

    def draws(self) -> tuple[int, int, int]:
        """What the next one's ids are made of (see :func:`trace_key`)."""
        if not self._ahead:
            wide = np.arange(self._count, self._count + self._AT_ONCE, dtype=np.int64)
            self._count += self._AT_ONCE
            drawn = (
                draw_block(self._stream, wide, 0, purpose).tolist()
                for purpose in (_TRACE_HIGH, _TRACE_LOW, _SPAN)
            )
            self._ahead = list(zip(*drawn, strict=True))
        return self._ahead.pop()


def beside(span: str, place: int, other: int) -> str:
    """The id of the span at station *other* of the same attempt as *span*, which is at *place*: whoever knows one of them knows all."""
    return f"{int(span, 16) ^ place ^ other:016x}"


def trace_key(high: int, low: int, base: int) -> TraceKey:
    """The key of a trace from its three draws."""
    return TraceKey(f"{high | FIRST_BIT:016x}{low:016x}", base)


def randomness(low: Any) -> Any:
    """The last 56 bits of trace ids, from their lower halves."""
    return low & RANDOM_MASK
