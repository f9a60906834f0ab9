"""Files that may be gzipped: told by their content, not by their name."""

import gzip
from pathlib import Path
from typing import IO, cast

_GZIP = b"\x1f\x8b"


def open_unpacked(path: Path) -> IO[bytes]:
    """The (unpacked) bytes of *path*, as a stream. Raises OSError."""
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")
