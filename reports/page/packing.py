"""A document as text that is small on a page: columns as differences in as few bytes as they need, all of it deflated, in base64.

Layout before deflating: 4 bytes (little-endian) say how long the head is; the head is the document as JSON, in which columns are lists of their names; then the columns in the head's order
(fleet, servers, edges), each of the frame's number of points: differences from the value before (from 0), zigzag (0, -1, 1, -2, ...), 7 bits a byte, the lowest first, the
eighth bit set if more follow. ``web/decode.js`` reads it.
"""

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np

from .model import Document


def packed(document: Document) -> str:
    """The text."""
    one = document["frame"]
    columns = [*one["fleet"].values()]
    for name in ("servers", "edges"):
        columns += [values for group in one[name].values() for values in group.values()]
    head: dict[str, Any] = {**document, "frame": {**one, "fleet": list(one["fleet"])}}
    for name in ("servers", "edges"):
        head["frame"][name] = {key: list(group) for key, group in one[name].items()}  # type: ignore[literal-required]
    text = json.dumps(head, separators=(",", ":")).encode()
    body = b"".join(varints(np.asarray(values, dtype=np.int64)) for values in columns)
    return base64.b64encode(zlib.compress(struct.pack("<I", len(text)) + text + body, 6)).decode()


def varints(values: Any) -> bytes:
    """The differences of *values* (int64), each in as few bytes as it needs."""
    steps = np.diff(values, prepend=np.int64(0))
    zigzag = ((steps << 1) ^ (steps >> 63)).astype(np.uint64)
    length = np.ones(len(zigzag), dtype=np.int64)
    for bits in range(7, 63, 7):
        length += zigzag >= np.uint64(1 << bits)
    ends = np.cumsum(length)
    found = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    starts = ends - length
    for place in range(int(length.max(initial=0))):
        longer = length > place
        part = (zigzag[longer] >> np.uint64(7 * place)) & np.uint64(0x7F)
        more = np.where(length[longer] > place + 1, 0x80, 0)
        found[starts[longer] + place] = part.astype(np.uint8) | more.astype(np.uint8)
    return found.tobytes()
