"""Where a flight can be reached: ``live.json`` in its run's directory, as long as it flies. Nobody but its owner may read it, for it may hold a token."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "live.json"

TOKEN_FIELD = "windtunnel-token"
"""The field of a request that asks for a fault, with the flight's token."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """*url* of the flight's live API; *token* for faults, empty where none may be asked for."""

    url: str
    token: str = ""


@contextmanager
def written(directory: Path | None, whereabouts: Whereabouts) -> Iterator[None]:
    """Within it the file is in *directory* (None: nowhere)."""
    if directory is None:
        yield
        return
    path = directory / NAME
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(whereabouts)) + "\n")
        yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def read(directory: Path) -> Whereabouts | None:
    """Where the flight that writes *directory* can be reached; None if there is none, or one that left no word. One that was killed may have left an old word."""
    try:
        told = json.loads((directory / NAME).read_text(encoding="utf-8"))
        return Whereabouts(str(told["url"]), str(told["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
