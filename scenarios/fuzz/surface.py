"""The surface of a service: the operations that are known of it, from lists of paths, access logs and scenarios (OpenAPI: :mod:`.openapi`)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from ...core.errors import UsageError
from ..input_file import place_of_bad_text, read_input
from ..log_lines import BadLines, batches, none_readable
from ..paths import DEFAULT_PATH
from ..scenario import Scenario

Schema = Mapping[str, Any]
"""A JSON Schema, its references resolved; {} allows everything."""
Place = Literal["path", "query", "header", "cookie"]

MOST_PATHS = 1000
"""Of a log the most frequent so many paths are kept."""
_COUNTED = 100_000
_EXAMPLES = 20
_LINE = re.compile(r"(?:([A-Z][A-Z-]*)\s+)?(/[\x21-\x7e]*|/)\Z")
BRACES = re.compile(r"\{([^{}/]+)\}")
"""A parameter in a path."""
SAFE = "/:@!$&'()*+,;=-._~"
"""Characters of a path that need no percent-encoding (RFC 3986, section 3.3), and the slash."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation; *examples* are values that are known to be right."""

    name: str
    place: Place
    schema: Schema = field(default_factory=dict)
    required: bool = False
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """What an operation takes as content: by media type the schema and known examples."""

    schemas: tuple[tuple[str, Schema, tuple[Any, ...]], ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A method at a path; ``{name}`` in *path* stands for the path parameter of that name. *weight*: how often it is chosen."""

    method: str
    path: str
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Surface:
    """Operations, the simplest first, and what had to be left out (*notes*)."""

    operations: tuple[Operation, ...]
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Surface") -> "Surface":
        return Surface(self.operations + other.operations, self.notes + other.notes)


ROOT = Surface((Operation("GET", "/"),))
"""What is known of a service of which nothing is known."""


def from_paths(file: Path) -> Surface:
    """A list of paths: one a line, with a method before it and a query string after it if it has them. Raises UsageError."""
    content = content_of(file)
    operations = []
    for number, line in enumerate(content.splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.match(text)
        if match is None:
            raise UsageError(
                f"{file}:{number}: expected a path such as /users/{{id}} or GET /users?page=2 in ASCII, got {text:.60}"
            )
        operations.append(_operation(match[1] or "GET", match[2]))
    if not operations:
        raise UsageError(f"{file}: expected at least one path")
    return Surface(tuple(operations))


def from_log(file: Path) -> Surface:
    """The most frequent paths of an access log, with the values that its queries had. Raises AccessLogError."""
    seen: Counter[str] = Counter()
    queries: dict[str, dict[str, list[str]]] = {}
    bad, dropped = BadLines(), 0
    for batch in batches(file, queries=True):
        bad.add(batch)
        for target in batch.targets:
            text = target if isinstance(target, str) else target.decode("utf-8", "backslashreplace")
            path, _, query = _origin_form(text).partition("?")
            if path not in seen and len(seen) >= _COUNTED:
                dropped += 1
                continue
            seen[path] += 1
            for name, value in parse_qsl(query[:4096], keep_blank_values=True, max_num_fields=None)[:50]:
                values = queries.setdefault(path, {}).setdefault(name, [])
                if len(values) < _EXAMPLES and value not in values:
                    values.append(value)
    if not seen:
        raise none_readable(file, bad)
    notes = [f"{file}: {bad}"] if bad.total else []
    rarer = len(seen) - MOST_PATHS
    if rarer > 0 or dropped:
        notes.append(f"{file}: only the {MOST_PATHS:,} most frequent paths are taken")
    operations = []
    # Equally frequent paths by name: the order of a log's lines is chance.
    for path, count in sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:MOST_PATHS]:
        parameters = tuple(
            Parameter(name, "query", {"type": "string"}, False, tuple(sorted(values)))
            for name, values in sorted(queries.get(path, {}).items())
        )
        operations.append(Operation("GET", path, parameters, None, count))
    return Surface(tuple(operations), tuple(notes))


def from_scenario(scenario: Scenario) -> Surface:
    """The endpoints of a scenario, but ``default``; a segment such as ``:id`` is a parameter."""
    operations = []
    for endpoint in scenario.document.endpoints:
        if endpoint.path == DEFAULT_PATH or not endpoint.path.startswith("/"):
            continue
        segments = [
            f"{{{part[1:] or 'segment'}}}" if part.startswith(":") else quote(part, safe=SAFE + "%")
            for part in endpoint.path.split("/")
        ]
        operations.append(_operation("GET", "/".join(segments), max(endpoint.weight, 1)))
    return Surface(tuple(operations)) if operations else ROOT


def _operation(method: str, target: str, weight: int = 1) -> Operation:
    path, _, query = target.partition("?")
    parameters = [Parameter(name, "path", {"type": "string"}, True) for name in BRACES.findall(path)]
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    parameters += [
        Parameter(name, "query", {"type": "string"}, True, tuple(known)) for name, known in values.items()
    ]
    return Operation(method, path.split("#")[0], tuple(parameters), None, weight)


def _origin_form(target: str) -> str:
    """Path and query of a log's target, in ASCII."""
    text = target.split("#", 1)[0]
    if text.lower().startswith(("http://", "https://")):
        _, _, rest = text.partition("://")
        slash = rest.find("/")
        text = rest[slash:] if slash >= 0 else "/"
    if not text.startswith("/"):
        text = "/" + text
    # Braces would be taken for a parameter.
    return quote(text, safe=SAFE + "%?")


def content_of(file: Path) -> str:
    """The text of *file*. Raises UsageError."""
    try:
        content = read_input(file)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line, reason = place_of_bad_text(content, error)
        raise UsageError(f"{file}:{line}: {reason}") from None


def joined(parts: Iterable[Surface]) -> Surface:
    """All *parts* as one; ROOT if there are none."""
    whole = Surface(())
    for part in parts:
        whole += part
    return whole if whole.operations else Surface(ROOT.operations, whole.notes)
