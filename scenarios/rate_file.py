"""``rate_csv``: requests per second of a recorded day, as lines ``second,requests``, plain or gzipped."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .input_file import place_of_bad_text, read_input


class RateFileError(ValueError):
    """A file that is not what it should be; the text names file, line, and what was expected."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests in each second from 0; seconds that the file leaves out have none."""

    requests: npt.NDArray[np.float64]


SECONDS_LIMIT = 400 * 86_400


def read_rates(path: Path) -> Rates:
    """Read *path*. Raises RateFileError."""
    try:
        stamp = path.stat()
        return _read(path, stamp.st_mtime_ns, stamp.st_size)
    except OSError as error:
        raise RateFileError(f"{path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=4)
def _read(path: Path, mtime: int, size: int) -> Rates:
    content = read_input(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where, reason = place_of_bad_text(content, error)
        raise RateFileError(f"{path}:{where}: {reason}") from None
    seconds: list[int] = []
    requests: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or (number == 1 and line.replace(" ", "") == "second,requests"):
            continue
        second, count = _parse(line.strip(), path, number)
        if seconds and second <= seconds[-1]:
            raise RateFileError(
                f"{path}:{number}: expected seconds in ascending order, got {second} after {seconds[-1]}"
            )
        seconds.append(second)
        requests.append(count)
    if not seconds:
        raise RateFileError(f"{path}: expected lines such as 0,42 (second,requests), got none")
    dense = np.zeros(seconds[-1] + 1)
    dense[seconds] = requests
    return Rates(dense)


def _parse(text: str, path: Path, number: int) -> tuple[int, float]:
    parts = text.split(",")
    try:
        if len(parts) != 2:
            raise ValueError
        second, count = int(parts[0]), float(parts[1])
        if not (0 <= second < SECONDS_LIMIT and 0 <= count < 1e9):
            raise ValueError
    except ValueError:
        raise RateFileError(
            f"{path}:{number}: expected second,requests such as 0,42, got {text[:40]!r}"
        ) from None
    return second, count
