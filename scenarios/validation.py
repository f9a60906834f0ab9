"""Every mistake at once: what the schema finds hides what would have been found behind it, so that it is taken out and looked again.

Theory of operation
-------------------
A part with a mistake is removed from a copy of the data (the smallest part that holds it) and the rest is validated again, until
nothing is left to complain of; then the references between parts are checked. Lists lose elements on the way, so that each keeps the
original positions of what remains. What is only a consequence of a removal is not told: a missing key that was removed, a complaint
about a mapping that lost one of its keys, a reference to an element that was removed.
"""

import copy
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from . import references
from .problems import Path, Problem, ScenarioError, describe, errors_of, nearest
from .schema import Document
from .schema_paths import fields_at
from .units import show
from .yaml_source import Source

_ROUNDS = 50
_STAND_INS = {"scenario": "x", "duration": "1s"}
_NAMED_IN: dict[str, Path] = {
    "no endpoint ": ("endpoints",),
    "no dependency ": ("fleet", "dependencies"),
    "no traffic ": ("traffic",),
    "no version ": ("versions",),
}
_OF_ABSENCE = ("got none", "got neither", "got an empty mapping")


def validate(source: Source, folder: FilePath) -> Document:
    """The document in *source*; raises ScenarioError with every problem found, in order of lines."""
    if not isinstance(source.data, dict):
        message = f"expected a mapping with the key scenario, got {show(source.data)}"
        raise ScenarioError([source.problem((), message)])
    search = _Search(source, folder)
    document = search.run()
    if search.problems:
        raise ScenarioError(sorted(search.problems, key=lambda p: (p.line, p.column)))
    assert document is not None
    return document


class _Search:
    def __init__(self, source: Source, folder: FilePath) -> None:
        self.source = source
        self.folder = folder
        self.data = copy.deepcopy(source.data)
        self.positions: dict[int, list[int]] = {}
        self.removed: set[Path] = set()
        self.problems: list[Problem] = []
        self._number(self.data)
        # From the back, so that positions in lists stay true.
        for path in sorted(source.empty, key=_ranks, reverse=True):
            if self._value(path) is None and not self._overridden(path):
                self.problems.append(source.problem(path, "expected a value, got nothing"))
                self._remove(path)
                self.removed.add(path)

    def _number(self, data: Any) -> None:
        """Note the original position of each element of each list."""
        if isinstance(data, list):
            self.positions[id(data)] = list(range(len(data)))
        for item in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
            self._number(item)

    def run(self) -> Document | None:
        """Look, take out, look again; the document that was left, if one was."""
        for _ in range(_ROUNDS):
            try:
                document = Document.model_validate(self.data)
            except ValidationError as error:
                if not self._take_out(error):
                    return None
            else:
                for path, message in references.check(document, self.folder):
                    if not self._removed_name(message):
                        self.problems.append(self.source.problem(self._original(path), message))
                return document
        return None

    def _take_out(self, error: ValidationError) -> bool:
        """Note the errors and remove what they are about; False if the whole document is what is wrong."""
        paths = []
        found = [(self._existing(tuple(item["loc"]), item["type"]), item) for item in errors_of(error)]
        meant = {
            (*path[:-1], name)
            for path, item in found
            if item["type"] == "extra_forbidden"
            for name in fields_at(Document, path[:-1])
            if nearest(str(path[-1]), [name])
        }
        for path, item in found:
            original = self._original(path)
            message = describe(item, Document, self._value(path))
            misspelt = item["type"] == "missing" and path in meant
            missed = [self._original(place) for place in item["without"]]
            consequence = any(part[: len(place)] == place for place in missed for part in self.removed)
            if not misspelt and not consequence and not self._consequence(original, item["type"], message):
                unknown = item["type"] == "extra_forbidden"
                self.problems.append(self.source.problem(original, message, of_key=unknown))
            paths.append((path, original, item["type"]))
        whole = {path[:-1] if kind == "missing" and len(path) > 1 else path for path, _, kind in paths}
        doomed = [path for path in whole if not any(path[:length] in whole for length in range(1, len(path)))]
        # From the back, so that positions in lists stay true.
        for path in sorted(doomed, key=_ranks, reverse=True):
            if not self._remove(path):
                return False
        for _, original, kind in paths:
            self.removed.add(original)
            if kind == "missing":
                self.removed.add(original[:-1])
        return True

    def _consequence(self, path: Path, kind: str, message: str) -> bool:
        """Whether a complaint is only about the absence of what was removed."""
        if path in self.removed:
            return True
        lost_a_part = any(part[: len(path)] == path for part in self.removed)
        return lost_a_part and (kind == "too_short" or message.endswith(_OF_ABSENCE))

    def _removed_name(self, message: str) -> bool:
        """Whether the name that *message* misses may be that of an element that was removed."""
        for start, where in _NAMED_IN.items():
            if message.startswith(start):
                return any(
                    part[: len(where)] == where[: len(part)] and len(part) <= len(where) + 1
                    for part in self.removed
                )
        return False

    def _value(self, path: Path) -> Any:
        """What is written at *path*; None if there is nothing."""
        data: Any = self.data
        for part in path:
            held = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
            if part not in held:
                return None
            data = data[part]
        return data

    def _overridden(self, path: Path) -> bool:
        return any(path[:length] in self.source.overrides for length in range(1, len(path) + 1))

    def _remove(self, path: Path) -> bool:
        if not path:
            return False
        container = self.data
        for part in path[:-1]:
            if part not in (container if isinstance(container, dict) else range(len(container))):
                return True
            container = container[part]
        if isinstance(container, list):
            if not isinstance(path[-1], int) or path[-1] >= len(container):
                return True
            del self.positions[id(container)][path[-1]]
            del container[path[-1]]
        elif len(path) == 1 and path[0] in _STAND_INS:
            container[path[-1]] = _STAND_INS[str(path[-1])]
        else:
            container.pop(path[-1], None)
        return True

    def _original(self, path: Path) -> Path:
        """*path* with the positions that its elements had in the file."""
        found: list[str | int] = []
        data: Any = self.data
        for part in path:
            if isinstance(data, list) and isinstance(part, int) and part < len(data):
                found.append(self.positions[id(data)][part])
                data = data[part]
            else:
                found.append(part)
                data = data.get(part) if isinstance(data, dict) else None
        return tuple(found)

    def _existing(self, loc: tuple[Any, ...], kind: str) -> Path:
        """*loc* without the names of union branches, which are no part of the file's path."""
        data: Any = self.data
        path: list[str | int] = []
        for position, part in enumerate(loc):
            inside = isinstance(data, dict) and part in data
            if inside or (isinstance(data, list) and isinstance(part, int)):
                path.append(part)
                data = data[part]
            elif kind == "missing" and position == len(loc) - 1:
                path.append(part)
        return tuple(path)


def _ranks(path: Path) -> list[tuple[bool, int, str]]:
    """A key to sort paths by, positions in lists as numbers."""
    return [(isinstance(part, str), part if isinstance(part, int) else 0, str(part)) for part in path]
