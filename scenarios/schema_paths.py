"""Walking the schema by paths of a file: the keys at a place, the field at a place, the other places where a key is known."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_OTHERS_LIMIT = 3
"""A key that is known in more places than this (`name`, `mean`) says nothing about where it belongs."""


def fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that the schema knows at *path*."""
    return [field.alias or name for name, field in _model_at(model, path).model_fields.items()]


def quantity_at(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """What the field at *path* measures: duration, rate, percentage, size; or nothing."""
    field = _field(_model_at(model, path[:-1]), str(path[-1])) if path else None
    for meta in field.metadata if field else ():
        schema = getattr(meta, "json_schema", None)
        if isinstance(schema, dict):
            return str(schema.get("title", ""))
    return ""


def other_places(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Where else the schema knows the last key of *path*, nearest first: ``fleet.proxy``, or ``client`` for one below."""
    names = [part for part in path if isinstance(part, str)]
    here, key = tuple(names[:-1]), names[-1]
    found = [place for place, known in _places(model, (), ()) if known == key and place != here]
    shared = {place: _shared(place, here) for place in found}
    nearest = [place for place in found if shared[place] == max(shared.values())]
    if len(nearest) > _OTHERS_LIMIT:
        return []
    return [
        ".".join(place[len(here) :] if place[: len(here)] == here else place) for place in nearest if place
    ]


def _shared(place: tuple[str, ...], here: tuple[str, ...]) -> int:
    length = 0
    for ours, theirs in zip(place, here, strict=False):
        if ours != theirs:
            break
        length += 1
    return length


def _places(
    model: type[BaseModel], place: tuple[str, ...], above: tuple[type[BaseModel], ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(place, key) for every field of *model* and what is in it."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield place, key
        inner = _model_in(field.annotation)
        if inner is not None and inner not in above:
            yield from _places(inner, (*place, key), (*above, model))


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    current = model
    for part in path:
        field = None if isinstance(part, int) else _field(current, part)
        if field is not None:
            current = _model_in(field.annotation) or current
    return current


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found:
            return found
    return None
