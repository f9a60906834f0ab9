"""The parts of a section ``search:``: fields by their paths, kinds of faults with their grids, and what is to be broken."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from ..core.faults import FAULTS
from ..core.invariants import ENGINE
from ..core.model import SECOND, InvariantSpec
from .grids import Grid, grid_of, is_range
from .overrides import index_of, parse_path
from .problems import Path
from .schema import Document
from .schema_search import Search, SearchFault, SearchFaults
from .units import format_duration

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchedKind:
    """A kind of fault as it is written, and its grids with the places (paths in the fault) that they fill."""

    written: Data
    places: tuple[Path, ...]
    grids: tuple[Grid, ...]


def plain_data(document: Document) -> Data:
    """What the user wrote, without the section ``search``, as plain data that validates again."""
    data = document.model_dump(by_alias=True, exclude_unset=True, mode="json")
    data.pop("search", None)
    return data


def kinds_of(search: Search) -> Sequence[SearchFault]:
    """The kinds of faults that may be added."""
    return search.faults.kinds if search.faults else ()


def kind_of(kind: SearchFault, faults: SearchFaults | None, document: Document) -> SearchedKind:
    """*kind* with the grids of all that is a range in it, or omitted and drawn."""
    assert faults is not None
    data = kind.model_dump(by_alias=True, exclude_unset=True, mode="json")
    if kind.at is None:
        last = (
            document.duration - 1
            if faults.window.to is None
            else min(faults.window.to, document.duration - 1)
        )
        # A whole second, unless there is none: the grid is of round numbers.
        last = max(last // SECOND * SECOND, faults.window.from_ + 1)
        data["at"] = {"min": format_duration(faults.window.from_), "max": format_duration(last)}
    if kind.for_ is None and faults.for_ is not None and FAULTS[kind.type].lasts:
        data["for"] = faults.for_
    ranges = list(_ranges(data, ()))
    return SearchedKind(data, tuple(path for path, _ in ranges), tuple(grid_of(value) for _, value in ranges))


def _ranges(data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if is_range(data):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _ranges(value, (*path, key))


_ORDER = ("name", "type", "at", "for", "target")


def fault_data(kind: SearchedKind, name: str, values: Sequence[Any]) -> Data:
    """A fault of *kind* with these values in its places."""
    data: Data = {"name": name, **kind.written}
    for path, value in zip(kind.places, values, strict=True):
        data = put(data, path, value)
    return {key: data[key] for key in (*_ORDER, *data) if key in data}


def put(data: Any, path: Path, value: Any) -> Any:
    """*data* with *value* at *path*; containers on the way are copied, missing mappings made."""
    if not path:
        return value
    part: Any = path[0]
    made: Any = copy(data)
    held = made.get(part) if isinstance(made, dict) else made[part]
    made[part] = put({} if held is None else held, path[1:], value)
    return made


def settled(data: Data, path: str) -> Path:
    """*path* as keys and places in lists. Raises ValueError if it does not lead anywhere."""
    found: list[str | int] = []
    held: Any = data
    for part in parse_path(path):
        step: Any = index_of(held, part) if isinstance(held, list) else part
        if isinstance(step, int) and not isinstance(held, list):
            raise ValueError(f"expected a key, got the index {step}")
        found.append(step)
        held = held[step] if isinstance(held, list) else held.get(step)
        if held is None:
            held = {}
        elif not isinstance(held, (dict, list)) and len(found) < len(parse_path(path)):
            raise ValueError(f"expected a path through mappings and lists; {step!r} is {held!r}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to break: an objective by its *name*, or an *invariant*."""

    name: str
    invariant: InvariantSpec | None = None


def goals_of(document: Document) -> tuple[Goal, ...]:
    """All that a search of *document* is to break."""
    demanded = document.invariants.specs() if document.invariants else ()
    promised = [InvariantSpec(name) for name in ENGINE if name not in [spec.name for spec in demanded]]
    every = [
        *(Goal(slo.name) for slo in document.slo),
        *(Goal(spec.name, spec) for spec in (*demanded, *promised)),
    ]
    wanted = document.search.goals if document.search else None
    return tuple(goal for goal in every if wanted is None or goal.name in wanted)
