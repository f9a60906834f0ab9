"""YAML with positions: plain data, and the line and column of every key and value. Nothing in it is ever executed.

Values are what they look like: YAML 1.1 would read `no` as false, `1:30` as 90 and `010` as 8; here all of them, and dates, are text.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .problems import Path, Problem, ScenarioError, spell
from .units import show
from .yaml_syntax import explain

DEPTH_LIMIT = 50
NODE_LIMIT = 200_000
_STANDARD = "tag:yaml.org,2002:"
_PLAIN_TAGS = {f"{_STANDARD}{name}" for name in ("str", "int", "float", "bool", "null")}
_TOO_DEEP = f"expected a smaller document, nested at most {DEPTH_LIMIT} deep"


class _Loader(yaml.SafeLoader):
    """Plain values without the surprises of YAML 1.1."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base class has it)
        first: [(tag, pattern) for tag, pattern in rules if tag in (f"{_STANDARD}null", f"{_STANDARD}merge")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    ("float", r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     "-+.0123456789"),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"{_STANDARD}{_name}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


@dataclass(slots=True)
class Source:
    """Plain data read from YAML, and where each path stands (line and column from 1)."""

    name: str
    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    overrides: set[Path] = field(default_factory=set)
    empty: list[Path] = field(default_factory=list)
    """Where a value is left out: a key with nothing behind its colon, a lone dash."""
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


def read_yaml(text: str, name: str, what: str = "a scenario") -> Source:
    """Parse *text*, which should hold *what*; raises ScenarioError for anything that is not one plain document."""
    return _read(text, name, what, lambda loader: [loader.get_single_node()])[0]


def read_yaml_documents(text: str, name: str, what: str) -> list[Source]:
    """As :func:`read_yaml`, of one or more documents; empty ones are left out."""
    return _read(text, name, what, _nodes)


def _nodes(loader: "_Loader") -> Iterator[yaml.Node | None]:
    while loader.check_node():
        yield loader.get_node()


def _read(
    text: str, name: str, what: str, nodes: Callable[["_Loader"], Iterable[yaml.Node | None]]
) -> list[Source]:
    sources = []
    try:
        loader = _Loader(text)
        try:
            for node in nodes(loader):
                if node is None or (node.tag == f"{_STANDARD}null" and not node.value):
                    continue
                source = Source(name)
                source.data = _convert(node, (), source, loader, 0)
                sources.append(source)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line, column, message = explain(error)
        raise ScenarioError([Problem(name, line, column, (), f"not valid YAML: {message}")]) from None
    except RecursionError:
        raise ScenarioError([Problem(name, 1, 1, (), _TOO_DEEP)]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        message = f"expected text, got the control character U+{ord(text[error.position]):04X}"
        raise ScenarioError([Problem(name, line, column, (), message)]) from None
    if not sources:
        raise ScenarioError([Problem(name, 1, 1, (), f"expected {what}, got an empty file")])
    problems = [problem for source in sources for problem in source.problems]
    if problems:
        raise ScenarioError(problems)
    return sources


def _convert(node: yaml.Node, path: Path, source: Source, loader: Any, depth: int) -> Any:
    source.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    source.nodes += 1
    if depth > DEPTH_LIMIT:
        raise ScenarioError([Problem(source.name, *source.places[path], (), _TOO_DEEP)])
    if source.nodes > NODE_LIMIT:
        raise ScenarioError([source.problem(path, "expected a smaller document (aliases count each time)")])
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source, loader, depth)
    if isinstance(node, yaml.SequenceNode):
        if node.tag != f"{_STANDARD}seq":
            source.problems.append(source.problem(path, f"expected a plain list, got {_tag(node)}"))
            return None
        return [
            _convert(child, (*path, index), source, loader, depth + 1)
            for index, child in enumerate(node.value)
        ]
    if node.tag not in _PLAIN_TAGS:
        source.problems.append(source.problem(path, f"expected a plain value, got {_tag(node)}"))
        return None
    if node.tag == f"{_STANDARD}null" and not node.value:
        source.empty.append(path)
    try:
        return loader.construct_object(node)
    except (ValueError, LookupError, yaml.YAMLError):
        source.problems.append(source.problem(path, f"expected a plain value, got {show(node.value)}"))
        return None


def _mapping(node: yaml.MappingNode, path: Path, source: Source, loader: Any, depth: int) -> Any:
    data: dict[str, Any] = {}
    if node.tag != f"{_STANDARD}map":
        source.problems.append(source.problem(path, f"expected a plain mapping, got {_tag(node)}"))
        return data
    for key_node, value_node in node.value:
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        fault = _fault_of_key(key_node)
        if fault:
            source.problems.append(Problem(source.name, *place, path, fault))
            continue
        key = key_node.value
        at = (*path, key)
        if key in data:
            line = source.keys[at][0]
            source.problems.append(Problem(source.name, *place, at, f"given twice, first in line {line}"))
            continue
        source.keys[at] = place
        data[key] = _convert(value_node, at, source, loader, depth + 1)
        if isinstance(value_node, yaml.CollectionNode) and not value_node.flow_style:
            source.places[at] = place
    return data


def _fault_of_key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "expected plain keys, got a list or mapping as key"
    if node.tag == f"{_STANDARD}merge":
        return "expected plain keys, got << (merge keys are not read: write the keys out, or give an alias for the whole value)"
    if node.tag not in _PLAIN_TAGS:
        return f"expected plain keys, got {_tag(node)}"
    return ""


def _tag(node: yaml.Node) -> str:
    """The tag as it is usually written."""
    tag = str(node.tag)
    return f"the tag !!{tag.removeprefix(_STANDARD)}" if tag.startswith(_STANDARD) else f"the tag {tag}"
