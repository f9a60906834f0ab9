"""Generated tests as files of load tools: npm ``loadtest`` options, vegeta targets, a k6 script, a locustfile, a scenario. Each tool runs its file unchanged."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..scenario import Scenario
from .cases import Entry, HostileEntry
from .format_scenario import scenario_text
from .format_scripts import k6_script, locust_file
from .requests import ALL_METHODS, Request

LOADTEST_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
"""The package refuses others."""
FRAMED = ("POST", "PUT", "PATCH")
"""Methods whose content Node.js frames by itself."""


class Format(NamedTuple):
    """A tool's format: the *file* it is written to unless told otherwise, the *methods* that the tool can send."""

    file: str
    methods: Sequence[str]


FORMATS: Mapping[str, Format] = {
    "loadtest": Format("generatedTests.json", LOADTEST_METHODS),
    "vegeta": Format("targets.jsonl", ALL_METHODS),
    "k6": Format("fuzz.js", ALL_METHODS),
    "locust": Format("locustfile.py", ALL_METHODS),
    "scenario": Format("fuzz.yaml", LOADTEST_METHODS),
}


def written(
    format_: str, entries: Sequence[Entry], base: str, name: str, scenario: Scenario | None, hostile: Sequence[HostileEntry] = ()
) -> dict[str, str]:  # fmt: skip
    """The files of *format_*, text by name: *name* is the main one; a scenario's load test is a second one beside it, and only it carries *hostile* bytes. *base*: the service's URL."""
    base = base.rstrip("/")
    if format_ == "scenario":
        tests = name.rsplit(".", 1)[0] + ".json"
        text = scenario_text(entries, tests, scenario, hostile)
        return {name: text} | ({tests: loadtest_json(entries, base)} if entries else {})
    return {name: _WRITERS[format_](entries, base)}


def loadtest_json(entries: Sequence[Entry], base: str) -> str:
    """An array of options, an entry a line."""
    lines = [json.dumps(loadtest_options(entry, base), ensure_ascii=True) for entry in entries]
    return "[\n" + ",\n".join(f"  {line}" for line in lines) + "\n]\n"


def loadtest_options(entry: Entry, base: str) -> dict[str, Any]:
    """The package's options for *entry*."""
    request = entry.request
    options: dict[str, Any] = {"url": base + request.target, "method": request.method}
    headers = gathered(request.headers)
    if request.content:
        options["body"] = request.content
        if request.content_type is not None:
            options["contentType"] = request.content_type
        if request.method not in FRAMED:
            headers["content-length"] = str(len(request.data))
    if headers:
        options["headers"] = headers
    for option, value in (("maxRequests", entry.requests), ("maxSeconds", entry.seconds), ("concurrency", entry.concurrency),
                          ("requestsPerSecond", entry.rate), ("timeout", entry.timeout)):  # fmt: skip
        if value is not None:
            options[option] = value
    return options


def gathered(headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Headers by name; one that comes again has a list of values."""
    made: dict[str, Any] = {}
    for name, value in headers:
        if name not in made:
            made[name] = value
        elif isinstance(made[name], list):
            made[name].append(value)
        else:
            made[name] = [made[name], value]
    return made


def vegeta_targets(entries: Sequence[Entry], base: str) -> str:
    """A target a line, for ``vegeta attack -format=json`` (lib/target.schema.json); rate and duration are options of that command."""
    return "".join(json.dumps(_target(entry.request, base), ensure_ascii=True) + "\n" for entry in entries)


def _target(request: Request, base: str) -> dict[str, Any]:
    target: dict[str, Any] = {"method": request.method, "url": base + request.target}
    headers = {
        name: [value] if isinstance(value, str) else value
        for name, value in gathered(request.headers).items()
    }
    if request.content is not None:
        target["body"] = base64.b64encode(request.data).decode()
        if request.content_type is not None:
            headers["content-type"] = [request.content_type]
    if headers:
        target["header"] = headers
    return target


_WRITERS: Mapping[str, Callable[[Sequence[Entry], str], str]] = {
    "loadtest": loadtest_json,
    "vegeta": vegeta_targets,
    "k6": k6_script,
    "locust": locust_file,
}
