"""What the files of a scenario hold that is legal and yet worth a word."""

from collections.abc import Iterator
from pathlib import Path

from .access_log import read_access_log
from .paths import DEFAULT_PATH
from .schema import Document
from .schema_traffic import Traffic


def file_notes(document: Document, folder: Path) -> list[str]:
    """Sentences on the access logs of a valid scenario: lines that cannot be read, requests that meet nothing."""
    return [note for traffic in document.traffic for note in _notes(traffic, document, folder)]


def _notes(traffic: Traffic, document: Document, folder: Path) -> Iterator[str]:
    if not traffic.access_log:
        return
    paths = tuple(endpoint.path for endpoint in document.endpoints)
    log = read_access_log(folder / traffic.access_log, paths)
    who = f"traffic {traffic.name!r}: {traffic.access_log}:"
    total = len(log.packed)
    if log.bad.total:
        yield f"{who} {log.bad}"
    if log.unmatched and DEFAULT_PATH not in paths:
        yield (
            f"{who} {log.unmatched:,} of {total:,} requests have a path without an endpoint, "
            f"and there is no endpoint {DEFAULT_PATH}: they are answered 404"
        )
    room = (document.duration - traffic.start) * (traffic.speed or 1.0)
    late = total - log.count_until(int(room))
    if late and room > 0:
        yield f"{who} {late:,} of {total:,} requests come after the end"
