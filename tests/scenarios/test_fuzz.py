"""Generated requests: reproducible to the byte, well-formed where they say so, right and wrong by their schema; and what is known of a service."""

import datetime
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from windtunnel.core.errors import UsageError
from windtunnel.core.http.fields import Malformed
from windtunnel.core.http.heads import find_end, read_request
from windtunnel.scenarios.fuzz import hostile as hostile_module
from windtunnel.scenarios.fuzz.cases import Case, Generator, Load, Range, parse_weights
from windtunnel.scenarios.fuzz.choices import Choices, DrawnChoices
from windtunnel.scenarios.fuzz.openapi import from_openapi
from windtunnel.scenarios.fuzz.requests import CLASSES, HOSTILE, WEIGHTS, Request, make_request
from windtunnel.scenarios.fuzz.strategies import hostile, requests
from windtunnel.scenarios.fuzz.surface import ROOT, Surface, from_log, from_paths, from_scenario, joined
from windtunnel.scenarios.fuzz.values import as_json, outside, right
from windtunnel.scenarios.fuzz.wire import Wire
from windtunnel.scenarios.scenario import Scenario

T = TypeVar("T")

PETS: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "pets", "version": "1"},
    "servers": [{"url": "https://example.com/{version}/", "variables": {"version": {"default": "v1"}}}],
    "paths": {
        "/pets": {
            "get": {
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string", "enum": ["a b", "c"]}}},
                ],
                "responses": {200: {"description": "ok"}},
            },
            "post": {"requestBody": {"$ref": "#/components/requestBodies/Pet"}, "responses": {201: {"description": "ok"}}},
        },
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 7, "maximum": 7}}],
            "get": {
                "parameters": [
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}, "example": "t1"},
                    {"name": "sid", "in": "cookie", "required": True, "schema": {"type": "string", "format": "uuid"}},
                ],
                "responses": {200: {"description": "ok"}},
            },
            "delete": {"responses": {204: {"description": "ok"}}},
        },
    },
    "components": {
        "requestBodies": {"Pet": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name", "born"],
                "properties": {
                    "name": {"type": "string", "minLength": 2, "maxLength": 8},
                    "born": {"type": "string", "format": "date", "example": "2020-02-02"},
                    "mother": {"$ref": "#/components/schemas/Pet"},
                    "kind": {"oneOf": [{"const": "cat"}, {"const": "dog"}]},
                },
            }
        },
    },
}  # fmt: skip


def pets(tmp_path: Path) -> Surface:
    path = tmp_path / "pets.json"
    path.write_text(json.dumps(PETS))
    return from_openapi(path)


def made(count: int, surface: Surface = ROOT, **weights: int) -> list[Case]:
    chosen = dict.fromkeys(CLASSES, 0) | weights if weights else dict(WEIGHTS)
    return list(Generator(surface, 5, chosen).cases(count))


def well_formed(count: int, surface: Surface = ROOT, **weights: int) -> list[Request]:
    return [case.request for case in made(count, surface, **weights) if case.request is not None]


# The same seed.


def written(tmp_path: Path, hash_seed: str, *words: str) -> bytes:
    """The file that a process of its own writes."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])}
    (tmp_path / "pets.yaml").write_text(yaml.safe_dump(PETS))
    subprocess.run(
        [sys.executable, "-m", "windtunnel", "fuzz", "urls", "--openapi", "pets.yaml", "--output", "out.json", *words],
        cwd=tmp_path, env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return (tmp_path / "out.json").read_bytes()


def test_the_same_seed_writes_the_same_file_in_any_process(tmp_path: Path) -> None:
    first = written(tmp_path, "1", "--seed", "7", "--count", "40")
    assert written(tmp_path, "2", "--seed", "7", "--count", "40") == first
    # On any machine, and with any version of a library: whoever changes the generator on purpose writes the new digest here.
    assert hashlib.blake2b(first, digest_size=8).hexdigest() == "08a5afc179da2fd0"
    assert written(tmp_path, "1", "--seed", "8", "--count", "40") != first


def test_fewer_entries_are_the_first_of_more() -> None:
    generator = Generator(ROOT, 3)
    more = list(generator.entries(50, Load()))
    assert list(generator.entries(10, Load())) == more[:10]
    assert [case.request for case in generator.cases(50)] == [entry.request for entry in more]


def test_loads_stay_within_their_ranges_and_reach_their_ends() -> None:
    load = Load(Range(1, 3), Range(5, 6), Range(2, 2), Range(1, 9), None)
    entries = list(Generator(ROOT).entries(200, load))
    assert {entry.requests for entry in entries} == {1, 2, 3}
    assert {entry.rate for entry in entries} == {5, 6}
    assert {entry.concurrency for entry in entries} == {2}
    assert {entry.timeout for entry in entries} == {None}


class GivenChoices:
    """The choices *given*, such as :attr:`DrawnChoices.taken`; each is brought below its bound, and 0 follows the last."""

    def __init__(self, given: Iterable[int]) -> None:
        self._given = iter(given)

    def below(self, n: int) -> int:
        return min(next(self._given, 0), n - 1)

    def part(self, make: Callable[[Choices], T]) -> T:
        return make(self)


def test_choices_that_were_taken_make_the_same_again(tmp_path: Path) -> None:
    generator = Generator(pets(tmp_path), 4, dict(WEIGHTS) | {HOSTILE: 5})
    for case in generator.cases(300):
        assert generator.case(GivenChoices(case.choices)) == (case.wire, case.request)


def test_no_choices_make_the_simplest(tmp_path: Path) -> None:
    assert make_request(GivenChoices(()), ROOT) == Request("known", "GET", "/")
    wire, request = Generator(pets(tmp_path), 0, dict(WEIGHTS) | {HOSTILE: 5}).case(GivenChoices(()))
    assert request is not None
    assert wire.data == b"GET /v1/pets HTTP/1.1\r\nhost: {authority}\r\n\r\n"


# Well-formed ones.

_TARGET = re.compile(
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?\Z"
)
"""RFC 3986, appendix A: an absolute path and a query."""


def _refusal(data: bytes) -> Malformed | None:
    try:
        read_request(data[: find_end(data)])
    except Malformed as error:
        return error
    return None


def check(request: Request, wire: Wire) -> None:
    assert _TARGET.match(request.target), request.target
    for name, value in request.headers:
        assert re.match(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z", name)
        assert re.match(r"[ -~]*\Z", value)
        assert value == value.strip()
    data = wire.data.replace(b"{authority}", b"h:1")
    refused = _refusal(data)
    if refused is not None:
        assert refused.status in (414, 431, 501), refused.reason
        return
    end = find_end(data)
    head = read_request(data[:end])
    assert len(data) - end - 4 == max(head.length, 0) == len(request.data)


def test_all_that_is_well_formed_is_taken_by_a_strict_reader(tmp_path: Path) -> None:
    cases = made(1500, pets(tmp_path))
    for case in cases:
        assert case.request is not None
        check(case.request, case.wire)
    kinds = Counter(case.wire.kind for case in cases)
    assert set(kinds) == set(CLASSES) - {HOSTILE}
    assert kinds["known"] > kinds["unknown"] * 2


@settings(max_examples=100, deadline=None, database=None)
@given(requests())
def test_the_strategy_makes_well_formed_requests(request: Request) -> None:
    from windtunnel.scenarios.fuzz.wire import wire_of

    check(request, wire_of(request))


@settings(max_examples=100, deadline=None, database=None)
@given(hostile())
def test_the_strategy_makes_hostile_bytes_that_end(wire: Wire) -> None:
    assert wire.kind.startswith("hostile/")
    assert sum(step.pause for step in wire.steps) < 2
    assert len(wire.data) < 1 << 20


def test_every_kind_of_hostile_bytes_comes() -> None:
    kinds = Counter(case.wire.kind for case in made(800, hostile=1))
    assert set(kinds) == {f"hostile/{name}" for name, _, _ in hostile_module._KINDS}
    assert not [case for case in made(300) if case.request is None]


def test_pipelined_requests_say_how_many_answers_are_due() -> None:
    wires = [case.wire for case in made(800, hostile=1) if case.wire.kind == "hostile/pipelined"]
    for wire in wires:
        assert wire.answers == len(wire.methods) == wire.data.count(b" HTTP/1.1\r\n")


# Values.

SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer", "minimum": -3, "maximum": 4},
    {"type": "integer", "minimum": 10, "exclusiveMaximum": 12},
    {"type": "integer", "exclusiveMinimum": -12, "maximum": -10, "multipleOf": 1},
    {"type": "integer", "minimum": 1, "multipleOf": 7},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "boolean"},
    {"enum": ["a", "b", 3]},
    {"const": 5},
    {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    {"type": ["integer", "null"], "maximum": 3},
    {
        "type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"type": "string"}},
        "additionalProperties": False,
    },
    {"allOf": [{"type": "object", "required": ["x"], "properties": {"x": {"type": "boolean"}}}, {"required": ["y"], "properties": {"y": {"enum": [1]}}}],
     "additionalProperties": True},
    {"type": "string", "minLength": 3, "maxLength": 5},
    {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}]},
]  # fmt: skip
STRICT = [
    schema for schema in SCHEMAS if not {"allOf", "anyOf"} & set(schema) and schema.get("type") != "string"
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=as_json)
def test_right_values_are_right(schema: dict[str, Any]) -> None:
    for number in range(150):
        value = right(DrawnChoices(1, number), schema)
        assert jsonschema.Draft202012Validator(schema).is_valid(value), value
        assert json.loads(as_json(value)) == value


@pytest.mark.parametrize("schema", STRICT, ids=as_json)
def test_values_outside_are_outside(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    values = [outside(DrawnChoices(1, number), schema) for number in range(150)]
    wrong = [value for value in values if not validator.is_valid(value)]
    # What is wrong within an object may be an odd text where any text is right.
    assert len(wrong) >= len(values) * (0.8 if schema.get("type") == "object" else 1)
    assert len({as_json(value) for value in wrong}) > 2


# What is known of a service.


def test_openapi_in_yaml_and_json_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "pets.yaml").write_text(yaml.safe_dump(PETS))
    surface = from_openapi(tmp_path / "pets.yaml")
    assert surface == pets(tmp_path)
    found = {(operation.method, operation.path): operation for operation in surface.operations}
    assert set(found) == {
        ("GET", "/v1/pets"),
        ("POST", "/v1/pets"),
        ("GET", "/v1/pets/{id}"),
        ("DELETE", "/v1/pets/{id}"),
    }
    assert {parameter.place for parameter in found["GET", "/v1/pets/{id}"].parameters} == {
        "path",
        "header",
        "cookie",
    }


def test_known_requests_follow_the_document(tmp_path: Path) -> None:
    surface = pets(tmp_path)
    asked = well_formed(400, surface, known=1)
    assert {request.method for request in asked} == {"GET", "POST", "DELETE"}
    for request in asked:
        path, _, query = request.target.partition("?")
        assert path in ("/v1/pets", "/v1/pets/7")
        assert not query or re.match(r"(limit=\d{1,3}|tags=(a\+b|c))(&tags=(a\+b|c))*(&|\Z)", query), query
        if request.method == "POST":
            jsonschema.validate(json.loads(request.content or ""), PETS["components"]["schemas"]["Pet"] | {"components": PETS["components"], "properties": {}})  # fmt: skip
        if path == "/v1/pets/7" and request.method == "GET":
            assert ("cookie", "sid=") in [(name, value[:4]) for name, value in request.headers]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openapi: 2.0\n", "expected an OpenAPI 3 document"),
        ("swagger: '2.0'\n", "expected an OpenAPI 3 document"),
        ("openapi: 3.0.0\npaths: {}\n", "expected at least one operation"),
        ("a: [", "expected YAML or JSON"),
        ('{"openapi": ', "expected YAML or JSON"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{$ref: '#/nowhere'}]}}}\n", "expected #/nowhere in the document"),
    ],
)  # fmt: skip
def test_documents_that_are_none(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UsageError, match=expected):
        from_openapi(tmp_path / "a.yaml")


def test_a_document_that_grows_when_it_is_unfolded_is_refused(tmp_path: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    (tmp_path / "a.yaml").write_text(f"openapi: 3.0.0\na0: &a0 [x]\n{levels}\n")
    with pytest.raises(UsageError, match="more than 2,000,000 nodes"):
        from_openapi(tmp_path / "a.yaml")


def test_dates_in_yaml_are_texts(tmp_path: Path) -> None:
    text = "openapi: 3.1.0\npaths: {/a: {get: {parameters: [{name: d, in: query, required: true, example: 2020-01-02, schema: {const: 2020-01-02}}]}}}\n"
    assert isinstance(yaml.safe_load("2020-01-02"), datetime.date)
    (tmp_path / "a.yaml").write_text(text)
    assert {request.target for request in well_formed(20, from_openapi(tmp_path / "a.yaml"), known=1)} == {
        "/a?d=2020-01-02"
    }


def test_a_log_gives_paths_by_frequency_and_the_values_of_queries(tmp_path: Path) -> None:
    def line(target: str) -> str:
        return f'1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET {target} HTTP/1.1" 200 12\n'

    targets = ["/b?q=tea&q=%C3%A4", "/b?q=", "/{a}", "/b", "http://h/c#x", "/d\xe4"]
    text = "".join(map(line, targets)) + "nonsense\n"
    (tmp_path / "log.gz").write_bytes(gzip.compress(text.encode("latin-1")))
    surface = from_log(tmp_path / "log.gz")
    assert (surface.operations[0].path, surface.operations[0].weight) == ("/b", 3)
    assert {one.path for one in surface.operations} == {"/b", "/%7Ba%7D", "/c", "/d%5Cxe4"}
    (query,) = surface.operations[0].parameters
    assert (query.name, query.examples) == ("q", ("", "tea", "ä"))
    assert "1 of 7 lines cannot be read" in surface.notes[0]
    for request in well_formed(50, surface, known=1):
        assert _TARGET.match(request.target)


def test_a_log_of_json_lines_has_queries_too(tmp_path: Path) -> None:
    lines = ['{"ts": 1, "uri": "/a?b=1"}', '{"ts": 2, "request": "GET /a?b=2 HTTP/1.1"}']
    (tmp_path / "log").write_text("\n".join(lines))
    (operation,) = from_log(tmp_path / "log").operations
    assert (operation.path, operation.weight, operation.parameters[0].examples) == ("/a", 2, ("1", "2"))


def test_a_list_of_paths(tmp_path: Path) -> None:
    (tmp_path / "paths").write_text("# ours\n/users/{id}\nPOST /users?x=1\n\n/\n")
    surface = from_paths(tmp_path / "paths")
    assert [(one.method, one.path) for one in surface.operations] == [
        ("GET", "/users/{id}"),
        ("POST", "/users"),
        ("GET", "/"),
    ]
    asked = well_formed(60, surface, known=1)
    assert {request.target for request in asked if request.method == "POST"} <= {"/users?x=1"} | {
        request.target for request in asked if request.target.startswith("/users?x=")
    }
    (tmp_path / "paths").write_text("users\n")
    with pytest.raises(UsageError, match="paths:1: expected a path such as"):
        from_paths(tmp_path / "paths")


def test_the_endpoints_of_a_scenario() -> None:
    scenario = Scenario.parse(
        "scenario: a\nduration: 1s\nendpoints: [{path: /, weight: 2}, {path: '/u/:id/ä'}, {path: default}]\n"
    )
    surface = from_scenario(scenario)
    assert [(one.path, one.weight) for one in surface.operations] == [("/", 2), ("/u/{id}/%C3%A4", 1)]


def test_nothing_known_is_the_root() -> None:
    assert joined([]) == ROOT


# Words of the command line.


@pytest.mark.parametrize("text", ["", "a", "0", "5-4", "1-", "-1", "1-2-3", "1.5", "9" * 10])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--rate: expected a"):
        Range.parse(text, "--rate")


def test_ranges_and_weights() -> None:
    assert Range.parse("3", "x") == (3, 3)
    assert Range.parse("3 - 10", "x") == (3, 10)
    assert parse_weights("odd=2, known=1")["odd"] == 2
    for text in ("odd", "odd=x", "even=1", "odd=0", ""):
        with pytest.raises(UsageError, match="--weights: expected"):
            parse_weights(text)
