"""What is wrong with a scenario, in one sentence each, at the right line."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from .units import show

Path = tuple[str | int, ...]

MANY_WORDS = 10
"""More words than these are not listed when one of them was probably meant."""


def spell(path: Path) -> str:
    """``traffic[0].client.timeout``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
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
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}


def describe(error: Mapping[str, Any], document: type[BaseModel]) -> str:
    """One sentence for a pydantic error."""
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "missing":
        return "required, but missing"
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        known = fields_at(document, tuple(error["loc"][:-1]))
        return f"unknown key{nearest(name, known)}" + (
            "" if nearest(name, known) else f"; known are {', '.join(sorted(known))}"
        )
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        known = [word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(",")]
        guess = nearest(value, known) if isinstance(value, str) else ""
        expected = f"one of {len(known)} words" if guess and len(known) > MANY_WORDS else context["expected"]
        return f"expected {expected}, got {show(value)}{guess}"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        word = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
        limits = " and ".join(f"{word[k]} {v:g}" for k, v in context.items() if k in word)
        return f"expected a value {limits}, got {show(value)}"
    if kind == "too_short":
        return "expected at least one entry, got none"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {show(value)}"
    return f"{error['msg']}, got {show(value)}"


def fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that the schema knows at *path*."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        for name, field in current.model_fields.items():
            if part in (name, field.alias):
                current = _model_in(field.annotation) or current
                break
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found:
            return found
    return None


def errors_of(error: ValidationError) -> list[dict[str, Any]]:
    """pydantic's errors, one per place (a union's other branches are dropped)."""
    seen: dict[Path, dict[str, Any]] = {}
    for item in error.errors(include_url=False):
        seen.setdefault(tuple(item["loc"]), dict(item))
    return list(seen.values())
