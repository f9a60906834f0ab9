"""Access logs, chunk by chunk: which format a file has, and the requests in its lines.

A chunk of whole lines (1 MiB) is parsed at once; only where a line of it cannot be read is each looked at alone.
"""

import zlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from .input_file import open_input

Column = npt.NDArray[np.int64]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

CHUNK = 1 << 20
LONGEST_LINE = 16 << 20
UNKNOWN = -1
SIZE_LIMIT = 1 << 48
"""No answer is greater (256 TiB), so that sums stay within int64."""
SHOWN = 5
"""So many unreadable lines are named."""


class AccessLogError(UsageError):
    """A log that is not what it should be; the text names file, line, and what was expected."""


class Memo(dict[K, V], Generic[K, V]):
    """Values of *compute*, kept; forgotten together when there are *limit* of them, so that memory stays bounded."""

    def __init__(self, compute: Callable[[K], V], limit: int = 1 << 16) -> None:
        super().__init__()
        self._compute = compute
        self._limit = limit

    def __missing__(self, key: K) -> V:
        value = self._compute(key)
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value


@dataclass(frozen=True, slots=True)
class Batch:
    """The requests of a chunk, in the file's order, and the numbers of lines that cannot be read.

    *times* are in us since 1970, *durations* in ns, *sizes* in bytes; the latter two are -1 where the line has none and empty where they were
    not asked for.
    """

    lines: Column
    times: Column
    targets: list[bytes] | list[str]
    durations: Column
    sizes: Column
    bad: list[int]


class Format(Protocol):
    """Parses chunks of whole lines that have the given *numbers*; *answers* asks for durations and sizes too."""

    def parse(self, chunk: bytes, numbers: range, answers: bool) -> Batch:
        """The requests in *chunk*."""


@dataclass
class BadLines:
    """Lines that cannot be read: how many, of how many, and the first few."""

    total: int = 0
    of: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Count *batch*."""
        self.total += len(batch.bad)
        self.of += len(batch.bad) + len(batch.times)
        self.first.extend(batch.bad[: SHOWN - len(self.first)])

    def __str__(self) -> str:
        more = ", ..." if self.total > len(self.first) else ""
        which = "line" if self.total == 1 else "lines"
        return (
            f"{self.total:,} of {self.of:,} lines cannot be read and are left out: "
            f"{which} {', '.join(map(str, self.first))}{more}"
        )


def batches(path: Path, answers: bool = False, queries: bool = False) -> Iterator[Batch]:
    """The requests of the log *path*, plain or gzipped; *queries*: with the query strings in their targets. Raises AccessLogError."""
    try:
        with open_input(path) as stream:
            number = 1
            parser: Format | None = None
            for chunk in _chunks(stream, path):
                count = chunk.count(b"\n")
                parser = parser or _format_of(chunk, queries)
                if parser is not None:
                    yield parser.parse(chunk, range(number, number + count), answers)
                number += count
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AccessLogError(f"{path} cannot be read: {reason}") from None


def none_readable(path: Path, bad: BadLines) -> AccessLogError:
    """What is wrong with a log without a single request."""
    got = f"{bad.total:,} lines that are neither" if bad.total else "an empty file"
    return AccessLogError(
        f"{path}: expected lines in Common or Combined log format, or JSON lines with a time and a path, got {got}"
    )


def _chunks(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(CHUNK):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
            if len(rest) > LONGEST_LINE:
                raise AccessLogError(
                    f"{path}: expected lines of text of at most {LONGEST_LINE >> 20} MiB, got a longer one"
                )
    if rest:
        yield rest + b"\n"


def _format_of(chunk: bytes, queries: bool) -> Format | None:
    """By the first line that is not blank; None while there is none."""
    from .log_json import JsonLog
    from .log_text import TextLog

    begin = chunk.lstrip()[:1]
    if not begin:
        return None
    return JsonLog(queries) if begin == b"{" else TextLog(queries)
