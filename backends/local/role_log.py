"""The log of one role in a run's directory: JSON lines, and no more of them than LARGEST."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..live.clock import EPOCH

LARGEST = 16 << 20
"""Bytes that a role's log may have; what comes then is left out, which the last line says."""


def as_line(text: bytes, role: str) -> dict[str, Any]:
    """What a role wrote, as a line of its log: what is none already, such as a traceback, becomes a message."""
    words = text.decode(errors="replace").rstrip()
    with suppress(ValueError):
        line = json.loads(words)
        if isinstance(line, dict) and "message" in line:
            return line
    return {"t": time.time_ns() - EPOCH, "role": role, "level": "error", "message": words}


class RoleLog:
    """Writes to *path*, behind what is there already."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")
        self._size = path.stat().st_size
        self._full = False

    def write(self, line: dict[str, Any]) -> None:
        """A line more."""
        if self._full:
            return
        data = _encoded(line)
        if self._size + len(data) > LARGEST:
            self._full = True
            data = _encoded({**line, "level": "warning", "message": f"the log is full: {LARGEST >> 20} MiB"})
        self._size += len(data)
        self._file.write(data)
        self._file.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, default=str).encode(errors="replace") + b"\n"
