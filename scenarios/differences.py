"""In what two scenarios differ, field by field."""

from collections.abc import Iterator
from typing import Any

from .problems import Path, spell
from .scenario import Scenario

_NO_MATTER: tuple[Path, ...] = (
    ("seed",), ("description",), ("scenario",), ("fleet", "registry", "backend"), ("fleet", "cloud", "backend"),
)  # fmt: skip
"""The seed and the name are stated beside them; the others change no result."""


def differences(first: Scenario, second: Scenario) -> list[str]:
    """``autoscaler.requests_high: 300/s, then 150/s`` for each field that differs, in the first's order."""
    left, right = dict(_fields(first.resolved(), ())), dict(_fields(second.resolved(), ()))
    return [
        f"{spell(path)}: {_shown(left, path)}, then {_shown(right, path)}"
        for path in dict.fromkeys((*left, *right))
        if path not in _NO_MATTER and left.get(path, _ABSENT) != right.get(path, _ABSENT)
    ]


_ABSENT = object()


def _shown(fields: dict[Path, Any], path: Path) -> str:
    if path not in fields:
        return "nothing"
    value = fields[path]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fields(data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _fields(value, (*path, key))
    elif isinstance(data, list) and data:
        for number, value in enumerate(data):
            yield from _fields(value, (*path, number))
    else:
        yield path, data
