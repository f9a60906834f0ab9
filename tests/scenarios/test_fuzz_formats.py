"""Generated tests in the formats of load tools: each is valid for its tool, and says what was generated."""

import base64
import json
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from typer.testing import CliRunner
from windtunnel import Scenario, replay
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.fuzz.cases import Entry, Generator, Load, Range
from windtunnel.scenarios.fuzz.formats import FORMATS, LOADTEST_METHODS, loadtest_options, written
from windtunnel.scenarios.fuzz.surface import ROOT, Operation, Surface
from windtunnel.scenarios.loadtest_file import read_loadtest

from ..backends.interop.node import node_executable, npm_command
from ..support import TWINS

BASE = "http://127.0.0.1:8080"
SURFACE = Surface((*ROOT.operations, Operation("POST", "/users/{id}"), Operation("GET", "/now")))


def entries(format_: str, count: int = 80, load: Load | None = None) -> list[Entry]:
    generator = Generator(SURFACE, 11, methods=FORMATS[format_].methods)
    return list(generator.entries(count, load or Load()))


def text(format_: str, made: list[Entry]) -> str:
    name = FORMATS[format_].file
    return written(format_, made, BASE, name, None)[name]


# npm loadtest, and back into a scenario.


def test_loadtest_options_are_read_back_by_a_scenario(tmp_path: Path) -> None:
    made = entries("loadtest", load=Load(timeout=Range(100, 2000), seconds=Range(1, 99)))
    path = tmp_path / "generatedTests.json"
    path.write_text(text("loadtest", made))
    options = json.loads(path.read_text())
    assert {one["method"] for one in options} <= set(LOADTEST_METHODS)
    for entry, one, read in zip(made, options, read_loadtest(path), strict=True):
        assert one["url"] == BASE + entry.request.target
        assert read.path == urlsplit(one["url"]).path
        assert (read.requests, read.rate, read.concurrency) == (entry.requests, entry.rate, entry.concurrency)
        assert (read.seconds, read.timeout) == (entry.seconds, (entry.timeout or 0) / 1000)
        assert read.method == entry.request.method
        assert read.body == len(entry.request.data)
        sent = {name: value for name, value in read.headers if name != "content-length"}
        for name in sent:
            assert sent[name] == ", ".join(value for key, value in entry.request.headers if key == name)
        assert set(sent) == {name for name, _ in entry.request.headers}


def test_the_defaults_are_the_classic_plans() -> None:
    for entry in entries("loadtest", 300):
        options = loadtest_options(entry, BASE)
        assert 1000 <= options["maxRequests"] <= 10_000
        assert 1 <= options["concurrency"] <= 10
        assert 100 <= options["requestsPerSecond"] <= 500
        assert "maxSeconds" not in options


def test_a_generated_file_is_a_scenarios_traffic(tmp_path: Path) -> None:
    made = entries("loadtest", 4, Load(requests=Range(20, 40), rate=Range(10, 50)))
    (tmp_path / "generatedTests.json").write_text(text("loadtest", made))
    (tmp_path / "plan.yaml").write_text(
        "scenario: plan\nduration: 20s\nendpoints: [{path: /}]\n"
        "traffic: [{name: fuzz, loadtest: generatedTests.json}]\n"
    )
    run = replay(Scenario.load(tmp_path / "plan.yaml"), **TWINS)
    assert run.requests.num_rows == sum(entry.requests or 0 for entry in made)


def test_repeated_headers_are_an_array_which_is_one_value_here(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"url": "http://h/", "maxRequests": 1, "headers": {"Accept": ["a", "b"], "X": "1"}}]')
    assert read_loadtest(path)[0].headers == (("accept", "a, b"), ("x", "1"))


SCRIPT = """
import {readFileSync} from 'fs'
import {loadTest} from 'loadtest'
const results = []
for (const options of JSON.parse(readFileSync(process.argv[2]))) {
  const result = await loadTest(options)
  results.push(result.totalRequests)
}
console.log(JSON.stringify(results))
"""


class _Server(ThreadingHTTPServer):
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self) -> None:
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert isinstance(self.server, _Server)
        self.server.seen.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def answering() -> Iterator[_Server]:
    server = _Server()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.long
def test_the_npm_packages_programmatic_interface_runs_the_file_unchanged(tmp_path: Path) -> None:
    installed = subprocess.run(
        [*npm_command(), "install", "--ignore-scripts", "--no-audit", "--no-fund", "loadtest@8"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert installed.returncode == 0, f"expected npm to install loadtest@8: {installed.stderr[-400:]}"
    (tmp_path / "run.mjs").write_text(SCRIPT)
    generator = Generator(SURFACE, 11, methods=LOADTEST_METHODS)
    made = list(
        generator.entries(40, Load(Range(1, 3), Range(20, 40), Range(1, 2), timeout=Range(5000, 5000)))
    )
    with answering() as server:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        (tmp_path / "tests.json").write_text(
            written("loadtest", made, base, "tests.json", None)["tests.json"]
        )
        done = subprocess.run(
            [node_executable(), "run.mjs", "tests.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == [entry.requests for entry in made]
        # The package's URL parser escapes an apostrophe, this server takes several slashes at the beginning for one.
        asked = {plain(f"{entry.request.method} {entry.request.target}") for entry in made}
        assert asked == set(map(plain, server.seen))


def plain(asked: str) -> str:
    return re.sub(" /+", " /", asked.replace("'", "%27"))


# Others.

TARGET = {
    "type": "object",
    "required": ["method", "url"],
    "additionalProperties": False,
    "properties": {
        "method": {"type": "string", "minLength": 1},
        "url": {"type": "string", "pattern": "^http://127\\.0\\.0\\.1:8080/"},
        "body": {"type": "string", "contentEncoding": "base64"},
        "header": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
}
"""A target of vegeta's JSON format, as its lib/target.schema.json has it."""


def test_vegetas_targets() -> None:
    made = entries("vegeta")
    lines = text("vegeta", made).splitlines()
    for line, entry in zip(lines, made, strict=True):
        target = json.loads(line)
        jsonschema.validate(target, TARGET)
        assert target["method"] == entry.request.method
        assert base64.b64decode(target.get("body", ""), validate=True) == entry.request.data
        sent = [(name, value) for name, values in target.get("header", {}).items() for value in values]
        assert sorted(one for one in sent if one[0] != "content-type") == sorted(entry.request.headers)
    assert {entry.request.method for entry in made} - set(LOADTEST_METHODS)


def test_k6s_script(tmp_path: Path) -> None:
    """node runs it with stand-ins for k6's two modules: every scenario sends its request."""
    made = entries("k6", 40)
    for name, stand_in in (
        ("k6/http", "export default {request(...words) { globalThis.sent.push(words) }}"),
        (
            "k6/encoding",
            "export default {b64decode: (text) => Buffer.from(text, 'base64').toString('latin1')}",
        ),
    ):
        folder = tmp_path / "node_modules" / name
        folder.mkdir(parents=True)
        (folder / "index.mjs").write_text(stand_in)
    script = re.sub(r"'(k6/\w+)'", r"'./node_modules/\1/index.mjs'", text("k6", made))
    (tmp_path / "fuzz.mjs").write_text(script)
    (tmp_path / "run.mjs").write_text(
        "globalThis.sent = []; globalThis.__ENV = {};\n"
        "const {default: send, options} = await import('./fuzz.mjs');\n"
        "for (const one of Object.values(options.scenarios)) { globalThis.__ENV = one.env; send() }\n"
        "console.log(JSON.stringify([options, globalThis.sent]))\n"
    )
    done = subprocess.run(
        [node_executable(), "run.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    options, sent = json.loads(done.stdout)
    assert len(sent) == 40
    begin = 0
    for number, entry in enumerate(made):
        method, url, content, more = sent[number]
        assert (method, url) == (entry.request.method, BASE + entry.request.target)
        assert (content or "").encode("latin-1") == entry.request.data
        assert {name for name in more["headers"] if name != "content-type"} == {
            name for name, _ in entry.request.headers
        }
        one = options["scenarios"][f"test{number}"]
        assert (one["executor"], one["rate"]) == ("constant-arrival-rate", entry.rate)
        assert one["startTime"] == f"{begin}s"
        begin += int(one["duration"].removesuffix("s"))


def locust_stand_in() -> dict[str, types.ModuleType]:
    """What a locustfile takes from locust."""

    class StopUser(Exception):
        pass

    class FastHttpUser:
        def __init__(self) -> None:
            self.client = self
            self.sent: list[tuple[Any, ...]] = []

        def request(self, method: str, path: str, **more: Any) -> None:
            self.sent.append((method, path, more))

    locust, exceptions = types.ModuleType("locust"), types.ModuleType("locust.exception")
    exceptions.StopUser = StopUser  # type: ignore[attr-defined]
    vars(locust).update(
        FastHttpUser=FastHttpUser, task=lambda function: function, constant=lambda seconds: ("constant", seconds),
        constant_throughput=lambda rate: ("throughput", rate),
    )  # fmt: skip
    return {"locust": locust, "locust.exception": exceptions}


def test_locusts_file(monkeypatch: pytest.MonkeyPatch) -> None:
    made = entries("locust", 40, Load(requests=Range(1, 3)))
    modules = locust_stand_in()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    space: dict[str, Any] = {}
    exec(compile(text("locust", made), "locustfile.py", "exec"), space)
    for number, entry in enumerate(made):
        kind = space[f"Test{number}"]
        assert (kind.host, kind.fixed_count) == (BASE, entry.concurrency)
        assert kind.wait_time == ("throughput", (entry.rate or 0) / entry.concurrency)
        user = kind()
        user.on_start()
        for _ in range(entry.requests or 0):
            user.send()
        with pytest.raises(modules["locust.exception"].StopUser):
            user.send()
        method, path, more = user.sent[0]
        assert (method, path, more["data"] or b"") == (
            entry.request.method,
            entry.request.target,
            entry.request.data,
        )


def test_a_scenario_of_its_own_loads_and_replays(tmp_path: Path) -> None:
    words = ["fuzz", "urls", "--format", "scenario", "--output", str(tmp_path / "x.yaml"), "--seed", "3", "--count", "30",
             "--requests", "5-20", "--rate", "20-50", "--scenario", "classic-plan"]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    scenario = Scenario.load(tmp_path / "x.yaml")
    assert scenario.document.fleet == Scenario.load("classic-plan").document.fleet
    assert len(compile_plan(scenario).fleet.sources) == 30
    run = replay(scenario, **TWINS)
    planned = sum(entry.requests or 0 for entry in read_loadtest(tmp_path / "x.json"))
    assert run.requests.num_rows == planned


def test_a_scenario_over_a_small_fleet_has_the_paths_as_endpoints() -> None:
    made = entries("scenario", 60, Load(requests=None, rate=None, seconds=Range(1, 2)))
    files = written("scenario", made, BASE, "fuzz.yaml", None)
    assert set(files) == {"fuzz.yaml", "fuzz.json"}
    document = Scenario.parse(
        files["fuzz.yaml"].replace("loadtest: fuzz.json", "closed: {concurrency: 1}")
    ).document
    assert {"/", "/now"} <= {endpoint.path for endpoint in document.endpoints}


@pytest.mark.parametrize("rate", ["none", "10-20"])
@pytest.mark.parametrize("requests", ["none", "1-2"])
@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_every_format_takes_every_load(format_: str, requests: str, rate: str, tmp_path: Path) -> None:
    words = [
        "fuzz",
        "urls",
        "--format",
        format_,
        "--output",
        str(tmp_path / "out.yaml"),
        "--requests",
        requests,
        "--rate",
        rate,
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == (["out.json", "out.yaml"] if format_ == "scenario" else ["out.yaml"])
    if format_ == "scenario":
        Scenario.load(tmp_path / "out.yaml")
        assert len(read_loadtest(tmp_path / "out.json")) == 20


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--format jmeter", "--format: expected one of loadtest, vegeta, k6, locust, scenario"),
        ("--hostile", "--hostile: expected --run or --format scenario"),
        ("--weights hostile=1 --run", "--weights: expected --hostile beside"),
        ("--base https://h", "--base: expected http://HOST:PORT"),
        ("--base http://h/a", "--base: expected http://HOST:PORT"),
        ("--base http://h:99999", "--base: expected http://HOST:PORT"),
        ("--rate 0", "--rate: expected a range from at least 1"),
        ("--paths nowhere", "nowhere cannot be read"),
    ],
)
def test_words_that_are_wrong(words: str, expected: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["fuzz", "urls", "--output", str(tmp_path / "o"), *words.split()])
    assert isinstance(done.exception, UsageError)
    assert expected in str(done.exception)
