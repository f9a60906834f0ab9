"""Writing a run's files onto a disk that may be full: what cannot be written is named, and leaves nothing half-written behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class StorageError(Exception):
    """A file of a run that cannot be written; the text names file and cause."""


@contextmanager
def writing(path: Path, remove: Path | None = None) -> Iterator[None]:
    """Within it *path* is written; when that fails, *remove* is removed (none: what *path* holds is of use). Raises StorageError."""
    try:
        yield
    except OSError as error:
        if remove is not None:
            with suppress(OSError):
                remove.unlink(missing_ok=True)
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise StorageError(f"{path}: cannot be written: {cause}") from error


def write_whole(path: Path, text: str) -> None:
    """Write *text* to *path*, whole or not at all. Raises StorageError."""
    draft = path.with_suffix(".draft")
    with writing(path, remove=draft):
        draft.write_text(text, encoding="utf-8")
        draft.rename(path)
