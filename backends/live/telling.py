"""What a flight tells whoever follows it: messages of a header and rows, one after another on a stream.

A message is four little-endian 32-bit integers, the lengths of what follows: the header, JSON with a ``kind``; then requests, attempts and metrics, raw rows of core.columns.

- ``begin``: who flies (``name``, ``seed``), ``duration`` (ns), and whether faults may be asked for (``allowed``)
- ``event``: an ``event`` of the run format; in the order in which they became known, which is not always that of their times
- ``second``: the second that ended at ``t`` (ns): its metrics, its measurements (``measured``, rows of core.records), and the requests and attempts that were heard of in it
- ``lost``: the listener was too slow, and what was there for it is dropped; what follows is whole again
- ``end``: the flight has been flown
"""

import json
import struct
from asyncio import IncompleteReadError
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.columns import ATTEMPT_ROW, METRIC_ROW, REQUEST_ROW, Rows

_LENGTHS = struct.Struct("<4I")
_MOST = 1 << 28
"""Bytes of any part: what says more is no message."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    requests: Rows = field(default_factory=lambda: np.zeros(0, REQUEST_ROW))
    attempts: Rows = field(default_factory=lambda: np.zeros(0, ATTEMPT_ROW))
    metrics: Rows = field(default_factory=lambda: np.zeros(0, METRIC_ROW))


def pack(told: Told) -> bytes:
    """The bytes of a message."""
    header = json.dumps({"kind": told.kind, **told.fields}, separators=(",", ":")).encode()
    parts = (header, told.requests.tobytes(), told.attempts.tobytes(), told.metrics.tobytes())
    return _LENGTHS.pack(*map(len, parts)) + b"".join(parts)


async def unpack(read: Callable[[int], Awaitable[bytes]]) -> Told | None:
    """The next message by *read*, which gives exactly so many bytes; None at the end of the stream. Raises ValueError for what is no message."""
    try:
        lengths = _LENGTHS.unpack(await read(_LENGTHS.size))
        if max(lengths) > _MOST:
            raise ValueError(f"expected a message of a flight, got lengths {lengths}")
        header, requests, attempts, metrics = [await read(length) if length else b"" for length in lengths]
    except IncompleteReadError:
        return None
    fields = json.loads(header)
    return Told(
        str(fields.pop("kind")), fields, np.frombuffer(requests, REQUEST_ROW), np.frombuffer(attempts, ATTEMPT_ROW),
        np.frombuffer(metrics, METRIC_ROW),
    )  # fmt: skip
