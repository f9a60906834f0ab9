"""What is wrong with a section ``search:``: paths that lead nowhere, and ranges that the scenario would not be valid with at their ends."""

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from .grids import grid_of
from .problems import Path, describe, errors_of, nearest, spell
from .schema import Document
from .schema_search import SearchFault
from .search_parts import Data, fault_data, goals_of, kind_of, kinds_of, plain_data, put, settled

Found = tuple[Path, str]
References = Callable[[Document, FilePath], list[Found]]


def check(document: Document, folder: FilePath, references: References) -> Iterator[Found]:
    """What is wrong with ``search:``, as (path, message)."""
    search = document.search
    if search is None:
        return
    known = [goal.name for goal in goals_of(document.model_copy(update={"search": None}))]
    for place, name in enumerate(search.goals or []):
        if name not in known:
            hint = nearest(name, known) or f"; known are {', '.join(known)}"
            yield ("search", "goals", place), f"no objective or invariant {name!r}{hint}"
    data = plain_data(document)

    def wrong(data: Data) -> str:
        return _wrong(data, folder, references)

    for text, value in search.vary.items():
        yield from _checked_field(data, text, value, wrong)
    for place, kind in enumerate(kinds_of(search)):
        yield from _checked_kind(data, place, kind, document, wrong)


def _checked_field(data: Data, text: str, value: Any, wrong: Callable[[Data], str]) -> Iterator[Found]:
    where = ("search", "vary", text)
    try:
        path = settled(data, text)
    except ValueError as error:
        yield where, str(error)
        return
    if path[0] in ("search", "scenario", "faults") and len(path) == 1:
        yield where, f"expected a field with one value, got {text}"
        return
    grid = grid_of(value)
    for one in dict.fromkeys((grid.values[0], grid.values[-1])):
        message = wrong(put(data, path, one))
        if message:
            yield where, f"{one} does not fit: {message}"
            return


def _checked_kind(
    data: Data, place: int, kind: SearchFault, document: Document, wrong: Callable[[Data], str]
) -> Iterator[Found]:
    assert document.search is not None
    made = kind_of(kind, document.search.faults, document)
    for end in (0, -1):
        fault = fault_data(made, "found by search", [grid.values[end] for grid in made.grids])
        message = wrong({**data, "faults": [*data.get("faults", []), fault]})
        if message:
            yield ("search", "faults", "kinds", place), f"does not fit: {message}"
            return


def _wrong(data: Data, folder: FilePath, references: References) -> str:
    """What the first problem of *data* is; nothing if it is a valid scenario."""
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        first = errors_of(error)[0]
        where = [part for part in first["loc"] if not isinstance(part, str) or part not in ("function-wrap",)]
        return f"{spell(tuple(where))}: {describe(first, Document, first.get('input'))}"
    found = references(document, folder)
    return f"{spell(found[0][0])}: {found[0][1]}" if found else ""
