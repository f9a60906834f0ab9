"""``--set path=value``: change any field of a scenario before it is validated."""

import re
from collections.abc import Sequence
from typing import Any

from .problems import Path, Problem, ScenarioError
from .yaml_source import Source, read_yaml

_PART = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)\Z")


def apply_overrides(source: Source, overrides: Sequence[str]) -> None:
    """Apply ``path=value`` texts to *source* in place. Lists take an index or the name of an element."""
    problems = []
    for text in overrides:
        path_text, separator, value_text = text.partition("=")
        try:
            if not separator or not path_text.strip():
                raise ValueError("expected path=value, such as fleet.app.max=20")
            value = read_yaml(value_text, f"--set {text}").data if value_text.strip() else None
            _assign(source, parse_path(path_text.strip()), value)
        except ScenarioError as error:
            found = error.problems[0].message.replace("a scenario, got an empty file", "a value, got none")
            problems.append(Problem(f"--set {text}", 0, 0, (), found))
        except ValueError as error:
            problems.append(Problem(f"--set {text}", 0, 0, (), str(error)))
    if problems:
        raise ScenarioError(problems)


def parse_path(text: str) -> list[str | int]:
    """The parts of ``traffic[0].client.timeout``. Raises ValueError."""
    parts: list[str | int] = []
    for piece in text.split("."):
        match = _PART.match(piece)
        if not match:
            raise ValueError(f"expected a path such as traffic[0].client.timeout, got {text!r}")
        parts.append(match[1])
        parts.extend(int(index) for index in re.findall(r"\d+", match[2]))
    return parts


def index_of(container: list[Any], part: str | int) -> int:
    """The place of an element, by its place, its name or its path. Raises ValueError."""
    if isinstance(part, int):
        if part >= len(container):
            raise ValueError(f"expected an index below {len(container)}, got {part}")
        return part
    for position, item in enumerate(container):
        if isinstance(item, dict) and part in (item.get("name"), item.get("path")):
            return position
    names = [str(item.get("name", item.get("path"))) for item in container if isinstance(item, dict)]
    raise ValueError(f"no element {part!r}; there are {', '.join(names) or 'none'}")


def _assign(source: Source, parts: list[str | int], value: Any) -> None:
    if not isinstance(source.data, dict):
        raise ValueError("expected a scenario that is a mapping")
    container: Any = source.data
    path: Path = ()
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if isinstance(container, list):
            step: str | int = index_of(container, part)
        elif isinstance(part, int):
            raise ValueError(f"expected a key, got the index {part}")
        else:
            step = part
        path = (*path, step)
        if last:
            container[step] = value
            for known in [p for p in source.places if p[: len(path)] == path]:
                del source.places[known]
            source.places[path] = (0, 0)
            source.overrides.add(path)
            return
        if isinstance(container, dict) and container.get(step) is None:
            container[step] = {}
            source.places.setdefault(path, (0, 0))
        container = container[step]
        if not isinstance(container, (dict, list)):
            raise ValueError(f"expected a path through mappings and lists; {step!r} is {container!r}")
