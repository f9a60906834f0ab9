"""YAML with positions: plain data, and the line and column of every key and value. Nothing in it is ever executed."""

from dataclasses import dataclass, field
from typing import Any

import yaml

from .problems import Path, Problem, ScenarioError, spell
from .units import show

DEPTH_LIMIT = 50
NODE_LIMIT = 200_000
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


@dataclass(slots=True)
class Source:
    """Plain data read from YAML, and where each path stands (line and column from 1)."""

    name: str
    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    overrides: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def problem(self, path: Path, message: str, of_key: bool = False) -> Problem:
        """A problem at *path* (at its key, or its value), or at the nearest path above that stands in the file."""
        at = path
        while at and at not in self.places:
            at = at[:-1]
        place = self.places.get(at, (0, 0))
        if of_key or at != path:
            place = self.keys.get(at, place)
        for length in range(len(at), 0, -1):
            if at[:length] in self.overrides:
                return Problem(f"--set {spell(at[:length])}", 0, 0, path, message)
        return Problem(self.name, *place, path, message)


def read_yaml(text: str, name: str) -> Source:
    """Parse *text*; raises ScenarioError for anything that is not one plain document."""
    source = Source(name)
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise ScenarioError([Problem(name, 1, 1, (), "expected a scenario, got an empty file")])
            source.data = _convert(node, (), source, loader, 0)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        hint = " (YAML indents with spaces, not tabs)" if "'\\t'" in str(error.problem) else ""
        message = f"not valid YAML: {error.problem or error.context}{hint}"
        raise ScenarioError([Problem(name, line, column, (), message)]) from None
    except RecursionError:
        message = "expected a smaller document (it is nested too deeply)"
        raise ScenarioError([Problem(name, 1, 1, (), message)]) from None
    except yaml.reader.ReaderError as error:
        message = f"not valid YAML: {error.reason} at character {error.position}"
        raise ScenarioError([Problem(name, 1, 1, (), message)]) from None
    if source.problems:
        raise ScenarioError(source.problems)
    return source


def _convert(node: yaml.Node, path: Path, source: Source, loader: Any, depth: int) -> Any:
    source.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    source.nodes += 1
    if depth > DEPTH_LIMIT or source.nodes > NODE_LIMIT:
        raise ScenarioError([source.problem(path, "expected a smaller document (aliases count each time)")])
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source, loader, depth)
    if isinstance(node, yaml.SequenceNode):
        if node.tag != "tag:yaml.org,2002:seq":
            source.problems.append(source.problem(path, f"expected a plain list, got the tag {node.tag}"))
            return None
        return [
            _convert(child, (*path, index), source, loader, depth + 1)
            for index, child in enumerate(node.value)
        ]
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    if node.tag not in _PLAIN_TAGS:
        source.problems.append(source.problem(path, f"expected a plain value, got the tag {node.tag}"))
        return None
    try:
        return loader.construct_object(node)
    except (ValueError, LookupError, yaml.YAMLError):
        source.problems.append(source.problem(path, f"expected a plain value, got {show(node.value)}"))
        return None


def _mapping(node: yaml.MappingNode, path: Path, source: Source, loader: Any, depth: int) -> Any:
    data: dict[str, Any] = {}
    if node.tag != "tag:yaml.org,2002:map":
        source.problems.append(source.problem(path, f"expected a plain mapping, got the tag {node.tag}"))
        return data
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            source.problems.append(source.problem(path, "expected plain keys, got a list or mapping as key"))
            continue
        key = key_node.value
        at = (*path, key)
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if key in data:
            line = source.keys[at][0]
            source.problems.append(Problem(source.name, *place, at, f"given twice, first in line {line}"))
            continue
        source.keys[at] = place
        data[key] = _convert(value_node, at, source, loader, depth + 1)
        if isinstance(value_node, yaml.CollectionNode) and not value_node.flow_style:
            source.places[at] = place
    return data
