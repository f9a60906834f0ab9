"""Values by JSON Schema: right ones, and ones just outside (JSON Schema 2020-12 and OpenAPI 3.0's dialect of it).

Of a schema these words are followed: type (also a list of types), nullable, enum, const, default, example, examples, format, minimum, maximum, exclusiveMinimum,
exclusiveMaximum, multipleOf, minLength, maxLength, items, minItems, maxItems, properties, required, allOf, anyOf, oneOf. A ``pattern`` is met by examples only.
"""

import json
from collections.abc import Callable
from typing import Any

from .choices import Choices, between, chance, pick, several
from .surface import Schema

LETTERS = "aeiou0159ZxK_-"
ODD_TEXTS = (
    "", " ", "0", "-1", "null", "true", "undefined", "NaN", "%00", "../../etc/passwd", "'", '"', "<script>", "${7*7}", "{{7*7}}",
    "a b", "a+b", "ä", "日本", "🚀", "\u202eabc", "e\u0301", "\ufeff", "a\nb", "\t", "1e999", "9" * 40, "a" * 300,
)  # fmt: skip
"""Texts that programs take for something else. The first is the simplest."""

_FORMATS: dict[str, tuple[str, ...]] = {
    "date": ("2000-01-01", "2024-02-29", "1969-12-31", "9999-12-31"),
    "date-time": ("2000-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "2024-02-29T12:00:00.123456+14:00"),
    "time": ("00:00:00Z", "23:59:59.999Z"),
    "duration": ("PT0S", "P1Y2M3DT4H5M6S"),
    "email": ("a@example.com", "a+b@example.co.uk"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    "ipv4": ("127.0.0.1", "0.0.0.0", "255.255.255.255"),
    "ipv6": ("::1", "2001:db8::ff"),
    "uri": ("http://example.com/", "https://example.com/a?b=c#d"),
    "hostname": ("example.com", "a.b-c.example"),
    "byte": ("", "YQ==", "AAAAAA=="),
    "binary": ("", "a"),
}
_WIDTHS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_DEEPEST = 6
_MOST_TEXT = 2_000
_MOST_ITEMS = 20


def right(choices: Choices, schema: Schema, depth: int = 0) -> Any:
    """A value that *schema* allows."""
    schema = _merged(schema)
    known = known_values(schema)
    if known and ("enum" in schema or "const" in schema or "pattern" in schema or chance(choices, 1, 3)):
        return pick(choices, known)
    for word in ("oneOf", "anyOf"):
        options = [option for option in schema.get(word, ()) if isinstance(option, dict)]
        if options:
            rest = {name: value for name, value in schema.items() if name != word}
            return right(choices, {"allOf": [rest, pick(choices, options)]}, depth)
    kind = pick(choices, kinds_of(schema))
    return _MAKERS[kind](choices, schema, depth)


def outside(choices: Choices, schema: Schema) -> Any:
    """A value that *schema* does not allow, close to what it does; one of any kind where it allows everything."""
    schema = _merged(schema)
    return pick(choices, _near_misses(choices, schema))


def as_text(value: Any) -> str:
    """*value* as it stands in a path, a query or a header: texts as they are, else JSON."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> str:
    """*value* as JSON in ASCII, which every tool copies alike."""
    return json.dumps(value, separators=(",", ":"), default=str)


def known_values(schema: Schema) -> list[Any]:
    """Values that the schema names."""
    if "const" in schema:
        return [schema["const"]]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return list(schema["enum"])
    found = [schema[word] for word in ("default", "example") if word in schema]
    examples = schema.get("examples")
    return found + (list(examples) if isinstance(examples, list) else [])


def kinds_of(schema: Schema) -> list[str]:
    """The types that the schema allows, the first is the most likely meant."""
    given = schema.get("type")
    kinds = [kind for kind in (given if isinstance(given, list) else [given]) if kind in _MAKERS]
    if not kinds:
        kinds = ["object"] if "properties" in schema else (["array"] if "items" in schema else ["string"])
    return [*kinds, "null"] if schema.get("nullable") is True and "null" not in kinds else kinds


def _merged(schema: Schema) -> dict[str, Any]:
    """*schema* with its allOf taken in."""
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    parts = schema.get("allOf", ())
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            one = _merged(part)
            properties = {**_dict(whole.get("properties")), **_dict(one.get("properties"))}
            required = [*_list(whole.get("required")), *_list(one.get("required"))]
            whole = {**whole, **one}
            if properties:
                whole["properties"] = properties
            if required:
                whole["required"] = required
    return whole


def _number(schema: Schema, word: str, otherwise: int) -> int:
    value = schema.get(word)
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18
    return int(value) if plain and value is not None else otherwise


def _bounds(schema: Schema) -> tuple[int, int]:
    """Least and greatest whole number that are allowed; exclusive bounds as in OpenAPI 3.0 (a flag) and 3.1 (a number)."""
    low, high = _WIDTHS.get(str(schema.get("format")), (0, 1000))
    low, high = (max(low, -1_000_000), min(high, 1_000_000))
    least, most = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    given_low, given_high = _number(schema, "minimum", low), _number(schema, "maximum", high)
    if least is True:
        given_low += 1
    elif "exclusiveMinimum" in schema and least is not False:
        given_low = _number(schema, "exclusiveMinimum", given_low) + 1
    if most is True:
        given_high -= 1
    elif "exclusiveMaximum" in schema and most is not False:
        given_high = _number(schema, "exclusiveMaximum", given_high) - 1
    if "maximum" not in schema and "exclusiveMaximum" not in schema:
        given_high = max(given_high, given_low + 1000)
    if "minimum" not in schema and "exclusiveMinimum" not in schema:
        given_low = min(given_low, given_high)
    return given_low, max(given_low, given_high)


def _integer(choices: Choices, schema: Schema, depth: int) -> int:
    low, high = _bounds(schema)
    step = _number(schema, "multipleOf", 1)
    if step > 1 and -(-low // step) * step <= high:
        return step * between(choices, -(-low // step), high // step)
    edges = (None, low, high)
    edge = pick(choices, edges) if chance(choices, 1, 3) else None
    if edge is not None:
        return edge
    # The number nearest to 0 that is allowed is the simplest.
    first = min(max(0, low), high)
    up = first == low or (first != high and not chance(choices, 1, 2))
    return between(choices, first, high) if up else first - between(choices, 0, first - low)


def _real(choices: Choices, schema: Schema, depth: int) -> float | int:
    whole = _integer(choices, schema, depth)
    _, high = _bounds(schema)
    return whole + 0.5 if whole < high and "multipleOf" not in schema and chance(choices, 1, 2) else whole


def _text(choices: Choices, schema: Schema, depth: int) -> str:
    known = _FORMATS.get(str(schema.get("format")))
    if known:
        return pick(choices, known)
    low = min(max(_number(schema, "minLength", 0), 0), _MOST_TEXT)
    high = max(low, min(_number(schema, "maxLength", max(low, 12)), _MOST_TEXT))
    length = pick(choices, (max(low, min(1, high)), low, high, (low + high) // 2))
    head = "".join(several(choices, lambda part: pick(part, LETTERS), min(length, 12), 3, 4))
    return head.ljust(length, "a")[:length]


def _list_of(choices: Choices, schema: Schema, depth: int) -> list[Any]:
    items = _dict(schema.get("items"))
    low = min(max(_number(schema, "minItems", 0), 0), _MOST_ITEMS)
    high = max(low, min(_number(schema, "maxItems", low + 3), _MOST_ITEMS))
    if depth >= _DEEPEST:
        return [None] * low
    must = [right(choices, items, depth + 1) for _ in range(low)]
    return must + several(choices, lambda part: right(part, items, depth + 1), high - low)


def _object(choices: Choices, schema: Schema, depth: int) -> dict[str, Any]:
    required = set(map(str, _list(schema.get("required"))))
    made: dict[str, Any] = {}
    for name, one in _dict(schema.get("properties")).items():
        if name in required or (depth < _DEEPEST and chance(choices, 1, 2)):
            made[name] = right(choices, _dict(one), depth + 1) if depth < 2 * _DEEPEST else None
    for name in sorted(required - set(made)):
        made[name] = "a"
    return made


_MAKERS: dict[str, Callable[[Choices, Schema, int], Any]] = {
    "string": _text,
    "integer": _integer,
    "number": _real,
    "boolean": lambda choices, schema, depth: chance(choices, 1, 2),
    "array": _list_of,
    "object": _object,
    "null": lambda choices, schema, depth: None,
}


def _near_misses(choices: Choices, schema: Schema) -> list[Any]:
    """Values outside, the simplest first."""
    kinds = kinds_of(schema)
    misses: list[Any] = []
    if "null" not in kinds:
        misses.append(None)
    if isinstance(schema.get("enum"), list) or "const" in schema:
        misses += ["none of these", f"{as_text(known_values(schema)[0])}x" if known_values(schema) else "x"]
    if "integer" in kinds or "number" in kinds:
        low, high = _bounds(schema)
        misses += [low - 1] if {"minimum", "exclusiveMinimum"} & set(schema) else []
        misses += [high + 1] if {"maximum", "exclusiveMaximum"} & set(schema) else []
        misses += ["", "one", "1x", *_extremes(schema, low, high)]
        misses += [0.5, "1e3"] if "number" not in kinds else []
    if "string" in kinds:
        short, long = _number(schema, "minLength", 0), _number(schema, "maxLength", -1)
        misses += ["a" * (min(short, _MOST_TEXT) - 1)] if short > 0 else []
        misses += ["a" * (min(long, _MOST_TEXT) + 1)] if long >= 0 else ["a" * 5000]
        misses += [f"not a {schema['format']}"] if "format" in schema else []
        misses += [pick(choices, ODD_TEXTS), [], {}, 0]
    if "boolean" in kinds:
        misses += ["maybe", 2, "TRUE"]
    if "array" in kinds:
        misses += [{}, "", [None] * (min(_number(schema, "maxItems", 99), 999) + 1)]
    if "object" in kinds:
        misses += [[], "", {"unexpected": True}, _without_one(choices, schema)]
    return misses


def _extremes(schema: Schema, low: int, high: int) -> list[int]:
    """Numbers that are too large for something; of a schema with bounds those beyond them."""
    above, below = (
        {"maximum", "exclusiveMaximum"} & set(schema),
        {"minimum", "exclusiveMinimum"} & set(schema),
    )
    every = (2**31, 2**63, -(2**63) - 1, 10**40)
    return [one for one in every if (above and one > high) or (below and one < low) or not (above or below)]


def _without_one(choices: Choices, schema: Schema) -> dict[str, Any]:
    """A right object of which one property is missing or wrong."""
    made = _object(choices, schema, 0)
    if not made:
        return {"": None}
    name = pick(choices, list(made))
    if name not in _list(schema.get("required")) or chance(choices, 1, 2):
        made[name] = outside(choices, _dict(_dict(schema.get("properties")).get(name)))
    else:
        del made[name]
    return made


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
