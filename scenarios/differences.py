"""In what two scenarios differ, field by field."""

from collections.abc import Iterator
from typing import Any

from .problems import Path, spell
from .scenario import Scenario
from .units import show

_NO_MATTER: tuple[Path, ...] = (
    ("seed",), ("description",), ("scenario",), ("fleet", "registry", "backend"), ("fleet", "cloud", "backend"),
    ("fleet", "app", "directory"),
)  # fmt: skip
"""The seed and the name are stated beside them; the others change no result (a run's directory is always written out whole)."""

_ABSENT = object()


def differences(first: Scenario, second: Scenario) -> list[str]:
    """``autoscaler.policy.threshold.requests_high: 300/s, then 150/s`` for each field that differs, in the first's order."""
    return [
        f"{spell(path)}: {_shown(one)}, then {_shown(two)}"
        for path, one, two in _differing(first.resolved(), second.resolved(), ())
        if path not in _NO_MATTER
    ]


def _differing(one: Any, two: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in dict.fromkeys((*one, *two)):
            yield from _differing(one.get(key, _ABSENT), two.get(key, _ABSENT), (*path, key))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for number, pair in enumerate(zip(one, two, strict=True)):
            yield from _differing(*pair, (*path, number))
    elif one != two:
        yield path, one, two


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    return show(value).strip("'")
