"""Reading the files that a scenario names: ordinary ones of a bounded size, text or gzipped text."""

import gzip
import stat
import zlib
from pathlib import Path

SIZE_LIMIT = 2**30
"""Bytes, unpacked; a line per second of 400 days has a quarter of that."""


def read_input(path: Path) -> bytes:
    """The content of *path*, unpacked if it ends in .gz.

    Raises OSError, with a reason in ``strerror``, for what cannot be read, is no ordinary file (a device never ends), is damaged
    or larger than SIZE_LIMIT.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "expected an ordinary file")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise OSError(0, "expected gzipped text, for the name ends in .gz") from None
    if len(content) > SIZE_LIMIT:
        raise OSError(0, "expected at most 1 GiB of text")
    return content


def place_of_bad_text(content: bytes, error: UnicodeDecodeError) -> tuple[int, str]:
    """The line (from 1) of *content* that is not UTF-8, and what it is instead."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return 1, "expected UTF-8 text, got UTF-16"
    line = content.count(b"\n", 0, error.start) + 1
    return line, f"expected UTF-8 text, got the byte 0x{content[error.start]:02x}"
