"""One generated request: its class by weight, its target, headers and content, all out of choices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from .choices import Choices, chance, pick, weighted
from .header_options import Header, header, header_options
from .surface import BRACES, Body, Operation, Parameter, Surface
from .urls import encoded, odd_target, unknown_target
from .values import ODD_TEXTS, as_json, as_text, outside, right

KNOWN, VALUES, UNKNOWN, ODD, METHODS, HEADERS, BODIES, HOSTILE = CLASSES = (
    "known", "values", "unknown", "odd", "methods", "headers", "bodies", "hostile",
)  # fmt: skip
"""Classes of requests, the simplest first; what each is: docs/fuzz.md."""
WEIGHTS: Mapping[str, int] = {
    KNOWN: 4, VALUES: 4, UNKNOWN: 1, ODD: 3, METHODS: 1, HEADERS: 3, BODIES: 2, HOSTILE: 0,
}  # fmt: skip

ALL_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "QUERY",
    "FUZZ",
)
WITH_CONTENT = ("POST", "PUT", "PATCH", "DELETE")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_MEDIA = (
    JSON,
    "text/plain",
    FORM,
    "application/xml",
    "application/octet-stream",
    "multipart/form-data; boundary=b",
    "nothing",
    "text/plain; charset=utf-99",
)
_BODIES = (
    "{}", "[]", "null", "0", '""', "{", '{"a":1}', '{"a":1,"a":2}', '{"a":', "[1,]", "NaN", "1e999", '"\\ud800"', "a=1&b=2", "&=&", "<a/>", "<a><b></a>",
    "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n", "--b", "ä", "\u0000", " ", "\r\n", "0\r\n\r\n",
)  # fmt: skip
"""The first is the simplest."""
_SIZES = (1, 1000, 16_384, 65_537, 200_000)
_DEPTHS = (10, 100, 3000)


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request. *kind* is its class, *target* ASCII in origin form; *headers* are without those that frame it; *content* is sent as UTF-8, None: none."""

    kind: str
    method: str
    target: str
    headers: tuple[Header, ...] = ()
    content: str | None = None
    content_type: str | None = None

    @property
    def data(self) -> bytes:
        """The content as bytes."""
        return b"" if self.content is None else self.content.encode("utf-8", "surrogatepass")


def make_request(
    choices: Choices,
    surface: Surface,
    weights: Mapping[str, int] = WEIGHTS,
    methods: Sequence[str] = ALL_METHODS,
) -> Request:
    """A request of one of the classes by *weights* (but ``hostile``), with one of *methods*."""
    classes = [(kind, weights[kind]) for kind in CLASSES if kind != HOSTILE and weights.get(kind)]
    kind = weighted(choices, classes)
    operation = weighted(choices, [(one, one.weight) for one in surface.operations])
    method = operation.method if operation.method in methods else methods[0]
    if kind == UNKNOWN:
        return Request(kind, methods[0], unknown_target(choices))
    if kind == METHODS:
        method = pick(choices, methods)
    elif kind == BODIES and method not in WITH_CONTENT:
        method = pick(choices, [one for one in methods if one in WITH_CONTENT])
    made = choices.part(lambda part: _planned(part, kind, method, operation))
    if kind == ODD:
        return Request(
            kind, method, odd_target(choices, made.target), made.headers, made.content, made.content_type
        )
    if kind == HEADERS:
        headers = (*made.headers, *header_options(choices))
        return Request(kind, method, made.target, headers, made.content, made.content_type)
    if kind == BODIES or (kind == METHODS and method in WITH_CONTENT and chance(choices, 1, 2)):
        content, media = _odd_content(choices, operation.body)
        return Request(kind, method, made.target, made.headers, content, media)
    return made


def _planned(choices: Choices, kind: str, method: str, operation: Operation) -> Request:
    """A request for *operation* as its description has it; of the class ``values``, with one value beside the mark."""
    wrong = _what_is_wrong(choices, operation) if kind == VALUES else -1
    path, query, headers, cookies = operation.path, [], [], []
    for number, parameter in enumerate(operation.parameters):
        if not (parameter.required or number == wrong or chance(choices, 1, 2)):
            continue
        if number == wrong and chance(choices, 1, 6) and parameter.place != "path":
            continue  # Missing.
        value = _value(choices, parameter, number == wrong)
        if parameter.place == "path":
            path = path.replace(f"{{{parameter.name}}}", encoded(_in_path(value), "@:!$&'()*+,;="))
        elif parameter.place == "query":
            query += [(parameter.name, text) for text in _in_query(value)]
            if number == wrong and chance(choices, 1, 4):
                query.append((parameter.name, "again"))
        elif parameter.place == "header":
            headers += [one for one in [header(parameter.name, as_text(value))] if one]
        else:
            cookies.append(f"{encoded(parameter.name)}={encoded(as_text(value))}")
    path = BRACES.sub(lambda found: encoded(unquote(found[1])), path)
    if cookies:
        headers.append(("cookie", "; ".join(cookies)))
    target = path + ("?" + urlencode(query, errors="surrogatepass") if query else "")
    made = Request(kind, method, target, tuple(headers))
    if operation.body is None or method not in WITH_CONTENT or kind == BODIES:
        return made
    content, media = _content(choices, operation.body, wrong == len(operation.parameters))
    return Request(kind, method, target, tuple(headers), content, media)


def _what_is_wrong(choices: Choices, operation: Operation) -> int:
    """The number of the parameter that gets a value outside its schema; their count stands for the body, -1 for none."""
    whole = len(operation.parameters) + (operation.body is not None)
    return choices.below(whole + 1) - 1


def _value(choices: Choices, parameter: Parameter, wrong: bool) -> Any:
    if wrong:
        return pick(choices, ODD_TEXTS) if not parameter.schema else outside(choices, parameter.schema)
    if parameter.examples and not chance(choices, 1, 4):
        return pick(choices, parameter.examples)
    return right(choices, parameter.schema)


def _in_path(value: Any) -> str:
    return ",".join(map(as_text, value)) if isinstance(value, list) else as_text(value)


def _in_query(value: Any) -> list[str]:
    """A list becomes a repeated key (style form, exploded: the default)."""
    return [as_text(item) for item in value] if isinstance(value, list) else [as_text(value)]


def _content(choices: Choices, body: Body, wrong: bool) -> tuple[str, str]:
    media, schema, examples = pick(choices, body.schemas)
    if wrong:
        value = outside(choices, schema)
    elif examples and chance(choices, 1, 2):
        value = pick(choices, examples)
    else:
        value = right(choices, schema)
    if media.startswith(FORM) and isinstance(value, dict):
        return urlencode([(name, as_text(one)) for name, one in value.items()], errors="surrogatepass"), media
    plain = "json" not in media and isinstance(value, str)
    return (value if plain else as_json(value)), _media(media)


def _media(media: str) -> str:
    """A media type for ``*/*`` and the like."""
    return JSON if "*" in media else media


def _odd_content(choices: Choices, body: Body | None) -> tuple[str, str]:
    """Content of a wrong type, form or size."""
    media = _media(body.schemas[0][0]) if body is not None else JSON
    if chance(choices, 1, 3):
        media = pick(choices, _MEDIA)
    if body is not None and chance(choices, 1, 3):
        return _content(choices, body, True)[0], media
    if chance(choices, 1, 4):
        return "a" * pick(choices, _SIZES), media
    if chance(choices, 1, 8):
        depth = pick(choices, _DEPTHS)
        return "[" * depth + "]" * depth, media
    return pick(choices, _BODIES), media
