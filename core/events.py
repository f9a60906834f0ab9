"""The event log's encoding: canonical JSON lines and a rolling digest.

A line is one control event, never one request: sorted keys, integers and strings only (a float has more than one
spelling), no spaces. The digest of a log is blake2b over its lines; the digest of a run covers log and columns.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FORMAT = 1
"""Version of the run format; changes whenever a column, an event's meaning or the digest does."""

DIGEST_BYTES = 16


def _check(value: Any, where: str) -> None:
    if value is None or isinstance(value, (bool, int, str)):
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            _check(item, where)
        return
    if isinstance(value, dict):
        for name, item in value.items():
            _check(item, f"{where}.{name}")
        return
    raise TypeError(f"event field {where} is {value!r}; only integers, strings, booleans and lists")


def encode(time: int, name: str, fields: Mapping[str, Any]) -> str:
    """The line (without its newline) of event *name* at *time* ns."""
    _check(dict(fields), name)
    return json.dumps(
        {"t": time, "event": name, **fields},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )


class RollingDigest:
    """blake2b over a growing sequence of lines."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)

    def add(self, line: str) -> None:
        """Take in one line; its newline counts."""
        self._hash.update(line.encode() + b"\n")

    def hex(self) -> str:
        """The digest so far."""
        return self._hash.hexdigest()


def run_digest(log: str, columns: str) -> str:
    """The digest of a run from those of its log and its columns."""
    return hashlib.blake2b(f"{log}/{columns}".encode(), digest_size=DIGEST_BYTES).hexdigest()
