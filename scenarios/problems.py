"""What is wrong with a scenario, in one sentence each, at the right line."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from .schema_base import FieldError
from .schema_paths import fields_at, other_places, quantity_at
from .units import format_duration, format_size, show

Path = tuple[str | int, ...]

MANY_WORDS = 10
"""More words than these are not listed when one of them was probably meant."""


def spell(path: Path) -> str:
    """``traffic[0].client.timeout``; a key that a terminal could not show is shown as quoted text."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if part.isprintable() and 0 < len(part) <= 60 else show(part)
        text += f".{key}" if text else key
    return text or "the file"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake; *line* and *column* count from 1 (0: the mistake is in no line)."""

    source: str
    line: int
    column: int
    path: Path
    message: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        return f"{where}: {spell(self.path)}: {self.message}" if self.path else f"{where}: {self.message}"


class ScenarioError(Exception):
    """A scenario that cannot be used; all its problems at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
}
_COMPARED = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_SPELLED: dict[str, Callable[[Any], str]] = {
    "duration": lambda ns: format_duration(ns) if ns else "0",
    "size": lambda size: format_size(size) if size else "0",
}


def describe(error: Mapping[str, Any], document: type[BaseModel], written: Any) -> str:
    """One sentence for a pydantic error about what is *written* in the file."""
    kind, context, loc = error["type"], error.get("ctx", {}), tuple(error["loc"])
    if kind == "missing":
        return "required, but missing"
    if kind == "extra_forbidden":
        return _unknown_key(loc, document)
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        known = [word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(",")]
        guess = nearest(written, known) if isinstance(written, str) else ""
        expected = f"one of {len(known)} words" if guess and len(known) > MANY_WORDS else context["expected"]
        return f"expected {expected}, got {show(written)}{guess}"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        spelled = _SPELLED.get(quantity_at(document, loc), _plain)
        limits = " and ".join(f"{_COMPARED[k]} {spelled(v)}" for k, v in context.items() if k in _COMPARED)
        return f"expected a value {limits}, got {show(written)}"
    if kind == "too_short":
        return "expected at least one entry, got none"
    if kind == "too_long":
        what = "characters" if isinstance(written, str) else "entries"
        return f"expected at most {context['max_length']} {what}, got {len(written)}"
    if kind == "list_type" and isinstance(written, dict):
        return "expected a list (each entry begins with a dash), got a mapping"
    if kind in ("model_type", "model_attributes_type"):
        keys = fields_at(document, loc)
        return f"expected a mapping with {_some(keys)}, got {show(written)}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {show(written)}"
    return f"{error['msg']}, got {show(written)}"


def _unknown_key(loc: Path, document: type[BaseModel]) -> str:
    known = fields_at(document, loc[:-1])
    guess = nearest(str(loc[-1]), known)
    if guess:
        return f"unknown key{guess}"
    elsewhere = other_places(document, loc)
    if elsewhere:
        return f"unknown key here; it belongs in {' or '.join(elsewhere)}"
    return f"unknown key; known are {', '.join(sorted(known))}"


def _some(keys: Sequence[str]) -> str:
    shown = keys if len(keys) <= 4 else [*keys[:3], "..."]
    return ", ".join(shown)


def _plain(value: Any) -> str:
    return str(int(value)) if value == int(value) else str(value)


def errors_of(error: ValidationError) -> list[dict[str, Any]]:
    """pydantic's errors, one per place (a union's other branches are dropped); ``loc`` is that of the field that is to blame, ``without`` what it misses."""
    seen: dict[Path, dict[str, Any]] = {}
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        at, without = (cause.at, cause.without) if isinstance(cause, FieldError) else ((), ())
        loc = tuple(item["loc"])
        missed = tuple((*loc, *path) for path in without)
        seen.setdefault((*loc, *at), {**item, "loc": (*loc, *at), "without": missed})
    return list(seen.values())
