"""The command ``trace`` as a user meets it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner
from windtunnel import replay
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.reports.run import RunError
from windtunnel.tests.reports.trace.fleets import TROUBLED
from windtunnel.tests.support import scenario

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "troubled"
    replay(scenario(TROUBLED), out=folder, registry="memory", cloud="memory", figure=False)
    return folder


def said(*arguments: object) -> str:
    done = RUNNER.invoke(app, ["trace", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_lists(directory: Path) -> None:
    assert said(directory).startswith("2,580 requests: 2,298 ok, ")
    text = said(directory, "--errors", "--at", "6s..7s")
    assert "failed requests: " in text
    assert " ok " not in text
    slow = json.loads(said(directory, "--slowest", 2, "--json"))
    assert [one["latency"] for one in slow] == sorted((one["latency"] for one in slow), reverse=True)
    assert len(slow) == 2


def test_one_request_by_number_and_by_trace_id(directory: Path) -> None:
    text = said(directory, 12)
    assert text.startswith("Request 12 (")
    trace = json.loads(said(directory, 12, "--json"))[0]["trace"]
    assert f"Trace {trace}." in text
    assert said(directory, trace) == said(directory, trace[:12].upper()) == text


def test_a_probe_shows_what_routing_saw(directory: Path) -> None:
    found = next(one["request"] for one in json.loads(said(directory, "--errors", "--json")) if one["server"])
    text = said(directory, found, "--probe")
    assert "Routing, round_robin, by the lists read at 0:" in text
    notes = [
        note for span in json.loads(said(directory, found, "--probe", "--json")) for note in span["notes"]
    ]
    assert {note["name"] for note in notes} == {"routing"}


def test_a_rerun_that_is_not_what_was_recorded_is_refused(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(directory, other)
    path = other / "scenario.yaml"
    text = path.read_text()
    path.write_text(text.replace("workers: 2", "workers: 1"))
    assert path.read_text() != text
    done = RUNNER.invoke(app, ["trace", str(other), "900", "--probe"])
    assert isinstance(done.exception, RunError)
    assert "request 900 went another way in the rerun" in str(done.exception)


def test_files(directory: Path, tmp_path: Path) -> None:
    told = said(directory, "--format", "otlp", "--sample", 0.1, "--out", tmp_path / "some.jsonl")
    assert told.startswith(f"{tmp_path / 'some.jsonl'}: ")
    assert " of 2,580 requests, " in told
    assert (tmp_path / "some.jsonl").read_text().startswith('{"resourceSpans":[')
    said(directory, "--format", "perfetto")
    assert json.loads((directory / "trace.perfetto.json").read_text())["traceEvents"]
    assert ": 1 request, " in said(directory, 12, "--format", "otlp")
    assert (directory / "trace-12.otlp.jsonl").is_file()
    failed = said(directory, "--errors", "--format", "otlp", "--out", tmp_path / "failed.jsonl")
    assert ": 282 requests, " in failed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["99999999"], "there is none with the number 99999999"),
        (["deadbeefdeadbeef"], "none has a trace id that begins with deadbeefdeadbeef"),
        (["x12"], "expected the number of a request or 8 to 32 hexadecimal digits of a trace id, got 'x12'"),
        (["--format", "zipkin"], "--format: expected one of otlp, perfetto, got 'zipkin'"),
        (["--out", "x.json"], "expected --format otlp or --format perfetto with --out"),
        (["--errors", "--probe"], "expected the ID of a request with --probe, and no --format"),
        (["12", "--errors"], "expected no --errors with the ID of a request"),
        (["--at", "3m..1m"], r"--at: expected a time that ends after it begins, got '3m..1m'"),
        (["--at", "soon"], "--at: expected a time such as 3m10s or 3:10, got 'soon'"),
        (["--errors", "--sample", "0.1", "--format", "otlp"], "expected no --sample with"),
        (["--json", "--format", "otlp"], "expected no --json with --format"),
    ],
)
def test_mistakes_are_told_in_a_sentence(directory: Path, arguments: list[str], text: str) -> None:
    done = RUNNER.invoke(app, ["trace", str(directory), *arguments])
    assert isinstance(done.exception, UsageError)
    assert text in str(done.exception)


def test_no_run_and_a_damaged_one(directory: Path, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["trace", str(tmp_path)])
    assert isinstance(done.exception, RunError)
    assert "expected a run's directory" in str(done.exception)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in directory.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    whole = bytearray((copy / "attempts.parquet").read_bytes())
    whole[200 : len(whole) // 2] = bytes(len(whole) // 2 - 200)
    (copy / "attempts.parquet").write_bytes(whole)
    done = RUNNER.invoke(app, ["trace", str(copy), "12"])
    assert isinstance(done.exception, RunError), done.output
    assert "damaged run" in str(done.exception)


def test_traces_need_a_directory() -> None:
    with pytest.raises(UsageError, match="expected a directory for the run with trace"):
        replay(scenario(TROUBLED), trace=True)
