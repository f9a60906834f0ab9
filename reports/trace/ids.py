"""Ids of traces and spans: pure functions of the run and of what is traced, so that the same run has the same ones whoever asks.

A trace id has 128 bits, of which the last 56 are its randomness in the sense of W3C Trace Context Level 2 and of OpenTelemetry's consistent
probability sampling. Span ids of one trace differ in their last 20 bits only, but for those of what a probe saw (:mod:`.probed`), which differ in bit 40.
"""

from typing import Any, NamedTuple

import numpy as np

from ...core.draws import draw, draw_block, key

RANDOM_BITS = 56
_TRACE_HIGH, _TRACE_LOW, _SPAN = 0, 1, 2
_FIRST_BIT = 1 << 63
_STATION_BITS = 8


class TraceKey(NamedTuple):
    """What the ids of one trace are made of: its id (32 hex digits) and the number that its spans' ids begin from."""

    trace: str
    base: int

    def span(self, attempt: int, station: int) -> str:
        """The id of a span (16 hex digits, never zero), by attempt (0: the whole request) and station (below 256)."""
        return f"{(self.base ^ (attempt << _STATION_BITS | station)) | _FIRST_BIT:016x}"


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


def trace_key(high: int, low: int, base: int) -> TraceKey:
    """The key of a trace from its three draws."""
    return TraceKey(f"{high | _FIRST_BIT:016x}{low:016x}", base)


def randomness(low: Any) -> Any:
    """The last 56 bits of trace ids, from their lower halves."""
    return low & ((1 << RANDOM_BITS) - 1)
