"""OpenAPI 3.0 and 3.1 documents, YAML or JSON, as a surface: paths, methods, parameters, request bodies (OpenAPI Specification 3.1.1).

References within the document are followed; one to another file or URL, and one that leads back to itself, stands for anything.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import yaml

from ...core.errors import UsageError
from .surface import BRACES, SAFE, Body, Operation, Parameter, Place, Schema, Surface, content_of

METHODS = ("get", "post", "put", "delete", "patch", "head", "options", "trace")
PLACES = ("path", "query", "header", "cookie")
_DEEPEST = 12
_MOST_NODES = 2_000_000
_LARGEST = 20_000
"""Nodes of one resolved schema; deeper or larger parts stand for anything."""


def from_openapi(file: Path) -> Surface:
    """The operations of *file*. Raises UsageError."""
    text = content_of(file)
    try:
        data = _plain(
            json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text), [_MOST_NODES]
        )
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{file}: expected YAML or JSON, got {str(error).splitlines()[0]:.120}") from None
    version = data.get("openapi") if isinstance(data, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        raise UsageError(f"{file}: expected an OpenAPI 3 document (openapi: 3.x), got {version!r:.40}")
    return _Reader(file, data).surface()


def _plain(node: Any, left: list[int]) -> Any:
    """*node* as JSON has it: names are text, and so are YAML's dates. Raises ValueError beyond as many nodes as *left*."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"more than {_MOST_NODES:,} nodes")
    if isinstance(node, dict):
        return {str(name): _plain(item, left) for name, item in node.items()}
    if isinstance(node, (list, tuple, set)):
        return [_plain(item, left) for item in node]
    return node if node is None or isinstance(node, (str, bool, int, float)) else str(node)


class _Reader:
    def __init__(self, file: Path, data: dict[str, Any]) -> None:
        self._file = file
        self._data = data
        self._notes: list[str] = []

    def surface(self) -> Surface:
        """All operations. Raises UsageError if there are none."""
        paths = self._mapping(self._data.get("paths"))
        operations = [one for path, item in paths.items() for one in self._path(str(path), item)]
        if not operations:
            raise UsageError(f"{self._file}: expected at least one operation under paths")
        return Surface(tuple(operations), tuple(dict.fromkeys(self._notes)))

    def _path(self, path: str, item: Any) -> Iterator[Operation]:
        item = self._mapping(item)
        shared = self._parameters(item.get("parameters"))
        for method in METHODS:
            spec = item.get(method)
            if not isinstance(spec, dict):
                continue
            given = {(one.name.lower(), one.place): one for one in shared}
            given |= {(one.name.lower(), one.place): one for one in self._parameters(spec.get("parameters"))}
            whole = self._base(spec, item) + quote(path, safe=SAFE + "%{}")
            known = {name for name, place in given if place == "path"}
            missing = [name for name in BRACES.findall(whole) if name.lower() not in known]
            extra = [Parameter(name, "path", {"type": "string"}, True) for name in missing]
            yield Operation(
                method.upper(), whole, (*given.values(), *extra), self._body(spec.get("requestBody"))
            )

    def _base(self, *holders: Mapping[str, Any]) -> str:
        """The path of the first server, which comes before every path; where the service is, --base says."""
        for holder in (*holders, self._data):
            servers = holder.get("servers")
            if isinstance(servers, list) and servers and isinstance(servers[0], dict):
                url = str(servers[0].get("url", ""))
                for name, variable in self._mapping(servers[0].get("variables")).items():
                    url = url.replace(f"{{{name}}}", str(self._mapping(variable).get("default", "")))
                try:
                    return quote(urlsplit(url).path.rstrip("/"), safe=SAFE + "%")
                except ValueError:
                    return ""
        return ""

    def _parameters(self, items: Any) -> list[Parameter]:
        found = []
        for item in items if isinstance(items, list) else ():
            one = self._mapping(self._follow(item))
            name, place = one.get("name"), one.get("in")
            if not isinstance(name, str) or place not in PLACES:
                self._notes.append(f"{self._file}: a parameter without a name or a place is left out")
                continue
            schema: Any = one.get("schema")
            if schema is None:
                content = self._mapping(one.get("content"))
                schema = next((self._mapping(media).get("schema") for media in content.values()), {})
            found.append(
                Parameter(
                    name, cast(Place, place), self._schema(schema), bool(one.get("required")), self._examples(one)
                )
            )  # fmt: skip
        return found

    def _body(self, item: Any) -> Body | None:
        body = self._mapping(self._follow(item))
        media = self._mapping(body.get("content"))
        schemas = tuple(
            (
                str(kind),
                self._schema(self._mapping(one).get("schema", {})),
                self._examples(self._mapping(one)),
            )
            for kind, one in media.items()
        )
        return Body(schemas, bool(body.get("required"))) if schemas else None

    def _examples(self, one: Mapping[str, Any]) -> tuple[Any, ...]:
        found = [one["example"]] if "example" in one else []
        for example in self._mapping(one.get("examples")).values():
            value = self._mapping(self._follow(example))
            if "value" in value:
                found.append(value["value"])
        return tuple(found)

    def _schema(self, schema: Any) -> Schema:
        left = [_LARGEST]
        resolved = self._resolve(schema, (), 0, left)
        if left[0] <= 0:
            self._notes.append(
                f"{self._file}: a schema of more than {_LARGEST:,} parts is followed so far only"
            )
        return resolved if isinstance(resolved, dict) else {}

    def _resolve(self, node: Any, trail: tuple[str, ...], depth: int, left: list[int]) -> Any:
        """*node* with its references replaced by what they name."""
        left[0] -= 1
        if left[0] <= 0:
            return {}
        if isinstance(node, list):
            return [self._resolve(item, trail, depth, left) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str):
            if reference in trail or depth >= _DEEPEST:
                return {}
            return self._resolve(self._find(reference), (*trail, reference), depth + 1, left)
        return {str(name): self._resolve(item, trail, depth, left) for name, item in node.items()}

    def _follow(self, item: Any) -> Any:
        for _ in range(_DEEPEST):
            if not (isinstance(item, dict) and isinstance(item.get("$ref"), str)):
                return item
            item = self._find(item["$ref"])
        return {}

    def _find(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            self._notes.append(
                f"{self._file}: {reference:.100} is not in this document and stands for anything"
            )
            return {}
        node: Any = self._data
        for part in reference[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            else:
                raise UsageError(f"{self._file}: expected {reference} in the document, it is not there")
        return node

    @staticmethod
    def _mapping(value: Any) -> Mapping[str, Any]:
        return value if isinstance(value, dict) else {}
