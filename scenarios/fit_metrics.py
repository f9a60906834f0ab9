"""What a fleet's metrics say of its servers: memory per request in flight, time to boot.

A CSV file with a header (plain or gzipped); of its columns ``memory_bytes`` with ``in_flight``, and ``boot_seconds``, are used, others (``time``,
``server``) are not looked at. Empty cells are unknown.
"""

import csv
import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from .fit_durations import Samples
from .input_file import open_input

COLUMNS = ("memory_bytes", "in_flight", "boot_seconds")
_LIMIT = 1e18


class MetricsError(UsageError):
    """A file that is not what it should be; the text names file, line, column, and what was expected."""


@dataclass(frozen=True, slots=True)
class Line:
    """bytes = *base* + *slope* * requests in flight, by least squares; *determined* is R^2."""

    base: float
    slope: float
    determined: float
    count: int


class Regression:
    """Least squares of pairs, one after another (Welford's updates: no sum grows large)."""

    def __init__(self) -> None:
        self.count = 0
        self._x = self._y = self._xx = self._xy = self._yy = 0.0

    def add(self, x: float, y: float) -> None:
        """Add a pair."""
        self.count += 1
        before_x, before_y = x - self._x, y - self._y
        self._x += before_x / self.count
        self._y += before_y / self.count
        self._xx += before_x * (x - self._x)
        self._xy += before_x * (y - self._y)
        self._yy += before_y * (y - self._y)

    def line(self) -> Line | None:
        """The line; None where all x are alike."""
        if self._xx <= 0:
            return None
        slope = self._xy / self._xx
        determined = 1.0 if self._yy == 0 else self._xy**2 / (self._xx * self._yy)
        return Line(self._y - slope * self._x, slope, determined, self.count)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a file says; *boots* may be empty."""

    memory: Regression
    boots: Samples


def read_metrics(path: Path) -> Metrics:
    """Read *path*. Raises MetricsError."""
    try:
        with io.TextIOWrapper(open_input(path), encoding="utf-8-sig", newline="") as stream:
            return _read(csv.reader(stream), path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MetricsError(f"{path} cannot be read: {reason}") from None


def _read(lines: Iterator[list[str]], path: Path) -> Metrics:
    header = [name.strip() for name in next(lines, [])]
    places = {name: header.index(name) for name in COLUMNS if name in header}
    if not ({"memory_bytes", "in_flight"} <= places.keys() or "boot_seconds" in places):
        got = ", ".join(header) or "an empty file"
        raise MetricsError(
            f"{path}:1: expected memory_bytes and in_flight, or boot_seconds, among the columns, got {got}"
        )
    memory, boots = Regression(), Samples()
    for number, cells in enumerate(lines, 2):
        if not cells:
            continue
        row = {name: _number(cells, place, name, f"{path}:{number}") for name, place in places.items()}
        used, flying, boot = (row.get(name) for name in COLUMNS)
        if used is not None and flying is not None:
            memory.add(flying, used)
        if boot is not None:
            boots.add(np.array([round(boot * 1e9)], dtype=np.int64))
    if not memory.count and not boots.count:
        raise MetricsError(
            f"{path}: expected a line with memory_bytes and in_flight, or boot_seconds, got none"
        )
    return Metrics(memory, boots.settled())


def _number(cells: list[str], place: int, name: str, where: str) -> float | None:
    text = cells[place].strip() if place < len(cells) else ""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < (_LIMIT if name != "boot_seconds" else _LIMIT / 1e9):
        raise MetricsError(f"{where}: {name}: expected a number of at least 0, got {text[:40]!r}")
    return value
