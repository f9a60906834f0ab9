"""Reading the files that a scenario names: ordinary ones, text or gzipped text."""

import gzip
import stat
import zlib
from pathlib import Path
from typing import IO, cast

NOT_GZIPPED = "expected gzipped text, for the name ends in .gz"
SIZE_LIMIT = 2**30
"""Bytes, unpacked; a line per second of 400 days has a quarter of that."""


_GZIP = b"\x1f\x8b"


def open_input(path: Path) -> IO[bytes]:
    """The unpacked bytes of *path* as a stream; gzip is told by its content.

    Raises OSError, with a reason in ``strerror``, for what cannot be read, is no ordinary file (a device never ends), or is called .gz and is
    not gzipped. What is damaged shows only while it is read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "expected an ordinary file")
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
    if path.suffix == ".gz" and not packed:
        raise OSError(0, NOT_GZIPPED)
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def read_input(path: Path) -> bytes:
    """The unpacked content of *path*. Raises OSError as :func:`open_input` does, and for what is damaged or larger than SIZE_LIMIT."""
    try:
        with open_input(path) as stream:
            content = stream.read(SIZE_LIMIT + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise OSError(0, NOT_GZIPPED) from None
    if len(content) > SIZE_LIMIT:
        raise OSError(0, "expected at most 1 GiB of text")
    return content


def place_of_bad_text(content: bytes, error: UnicodeDecodeError) -> tuple[int, str]:
    """The line (from 1) of *content* that is not UTF-8, and what it is instead."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return 1, "expected UTF-8 text, got UTF-16"
    line = content.count(b"\n", 0, error.start) + 1
    return line, f"expected UTF-8 text, got the byte 0x{content[error.start]:02x}"
