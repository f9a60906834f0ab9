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
from .problems import Path, Problem, ScenarioError, describe, errors_of
from .schema import Document
from .yaml_source import Source

_ROUNDS = 50
_STAND_INS = {"scenario": "x", "duration": "1s"}
_NAMED_IN: dict[str, Path] = {
    "no endpoint ": ("endpoints",),
    "no dependency ": ("fleet", "dependencies"),
    "no traffic ": ("traffic",),
}
_OF_ABSENCE = ("got none", "got neither", "with policy target_tracking")


def validate(source: Source, folder: FilePath) -> Document:
    """The document in *source*; raises ScenarioError with every problem found, in order of lines."""
    if not isinstance(source.data, dict):
        raise ScenarioError([source.problem((), "expected a mapping with the key scenario")])
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
        for item in errors_of(error):
            path = self._existing(tuple(item["loc"]), item["type"])
            original = self._original(path)
            message = describe(item, Document)
            if not self._consequence(original, item["type"], message):
                unknown = item["type"] == "extra_forbidden"
                self.problems.append(self.source.problem(original, message, of_key=unknown))
            paths.append((path, original, item["type"]))
        whole = {path[:-1] if kind == "missing" and len(path) > 1 else path for path, _, kind in paths}
        doomed = [path for path in whole if not any(path[:length] in whole for length in range(1, len(path)))]
        # From the back, so that positions in lists stay true.
        for path in sorted(doomed, key=lambda found: [_rank(part) for part in found], reverse=True):
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


def _rank(part: str | int) -> tuple[bool, int, str]:
    return (isinstance(part, str), part if isinstance(part, int) else 0, str(part))
