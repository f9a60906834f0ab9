"""What a run leaves: files, formats, figure; what a kill leaves; what verify finds."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from windtunnel import Run, RunError, Scenario, replay, verify
from windtunnel.core.columns import ATTEMPT_ROW, ATTEMPTS, METRICS, REQUEST_ROW, REQUESTS
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.figure import OVERVIEW, save_picture
from windtunnel.reports.sink import DirectorySink, MemorySink
from windtunnel.reports.tables import names_of
from windtunnel.scenarios.build import compile_plan

TWINS: dict[str, Any] = {"registry": "memory", "cloud": "memory"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    replay(Scenario.load("server-dies", ["duration=35s"]), out=path, **TWINS)
    return path


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 0, 2, 3], [3, 1, 2, 0]])
def test_tables_are_in_order_however_their_rows_come(tmp_path: Path, order: list[int]) -> None:
    """Those of a flight come as requests end, several in one block."""
    block = np.zeros(4, REQUEST_ROW)
    block["request"], block["latency_ns"] = order, np.array(order) * 5
    sink = DirectorySink(tmp_path / "run", names_of(["users"], ["/"]), {})
    kept = MemorySink(names_of(["users"], ["/"]))
    for one in (sink, kept):
        one.rows(block, np.zeros(0, ATTEMPT_ROW))
    reference = MemorySink(names_of(["users"], ["/"]))
    reference.rows(np.sort(block, order="request"), np.zeros(0, ATTEMPT_ROW))
    assert sink.finish(9) == kept.finish(9) == reference.finish(9)
    found = pq.read_table(tmp_path / "run" / "requests.parquet")
    assert found["request"].to_pylist() == kept.table("requests")["request"].to_pylist() == [0, 1, 2, 3]
    assert found["latency_ns"].to_pylist() == [0, 5, 10, 15]


def test_files(directory: Path) -> None:
    names = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert names == {
        "scenario.yaml", "plan.json", "events.jsonl", "requests.parquet", "attempts.parquet", "metrics.parquet",
        "decisions.parquet", "observations.parquet", "summary.json", "host.json", "figures/run.png", "report.html",
    }  # fmt: skip


def test_columns_are_the_documented_ones(directory: Path) -> None:
    for name, columns in (("requests", REQUESTS), ("attempts", ATTEMPTS), ("metrics", METRICS)):
        assert pq.read_schema(directory / f"{name}.parquet").names == [column for column, _ in columns]
    text = (Path(__file__).parents[2] / "docs" / "run-format.md").read_text()
    for columns in (REQUESTS, ATTEMPTS, METRICS):
        assert all(f"`{column}`" in text for column, _ in columns)


def test_pandas_and_polars_read_it(directory: Path) -> None:
    run = Run.open(directory)
    by_pandas = run.requests.to_pandas()
    by_polars = polars.read_parquet(directory / "requests.parquet")
    assert isinstance(by_pandas, pandas.DataFrame)
    assert (
        (by_pandas["outcome"] == "ok").sum() == (by_polars["outcome"] == "ok").sum() == run.requests.num_rows
    )
    assert by_polars["latency_ns"].max() == by_pandas["latency_ns"].max()


def test_memory_and_directory_hold_the_same(directory: Path) -> None:
    stored = Run.open(directory)
    kept = replay(Scenario.load("server-dies", ["duration=35s"]), **TWINS)
    assert stored.lines == kept.lines
    assert stored.digest == kept.digest == stored.summary["digest"]
    assert stored.summary == kept.summary
    for name in ("requests", "attempts", "metrics"):
        assert getattr(stored, name).to_pylist() == getattr(kept, name).to_pylist()


def test_the_resolved_scenario_replays_to_the_same_digest(directory: Path) -> None:
    assert replay(Scenario.load(directory / "scenario.yaml"), **TWINS).digest == Run.open(directory).digest


def test_verify_finds_a_rerun_identical(directory: Path) -> None:
    recorded, difference = verify(directory)
    assert difference is None
    assert recorded.digest


def copy_of(directory: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(directory, tmp_path / "copy"))


def test_verify_names_the_first_event_that_differs(directory: Path, tmp_path: Path) -> None:
    copy = copy_of(directory, tmp_path)
    lines = (copy / "events.jsonl").read_text().splitlines()
    lines[4] = lines[4].replace('"server":2', '"server":9')
    (copy / "events.jsonl").write_text("\n".join(lines) + "\n")
    _, difference = verify(copy)
    assert difference is not None
    assert difference.where == "event 5"
    assert '"server":9' in difference.recorded


def test_verify_names_the_first_row_that_differs(directory: Path, tmp_path: Path) -> None:
    copy = copy_of(directory, tmp_path)
    table = pq.read_table(copy / "requests.parquet")
    latency = table.column("latency_ns").to_pylist()
    latency[1234] += 1
    position = table.column_names.index("latency_ns")
    pq.write_table(table.set_column(position, "latency_ns", pa.array(latency)), copy / "requests.parquet")
    _, difference = verify(copy)
    assert difference is not None
    assert difference.where == "requests, row 1234"
    assert f"'latency_ns': {latency[1234]}" in difference.recorded


def test_verify_reads_the_summary_too(directory: Path, tmp_path: Path) -> None:
    copy = copy_of(directory, tmp_path)
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps({**summary, "passed": not summary["passed"]}))
    _, difference = verify(copy)
    assert difference is not None
    assert difference.where == "summary, passed"


def test_a_damaged_log_is_named_with_its_line(directory: Path, tmp_path: Path) -> None:
    copy = copy_of(directory, tmp_path)
    log = copy / "events.jsonl"
    whole = log.read_text()
    log.write_text(whole[:-30])
    lines = whole.count("\n")
    with pytest.raises(RunError, match=rf"events\.jsonl:{lines}: damaged run: expected a JSON object, got "):
        Run.open(copy)
    log.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
    with pytest.raises(RunError, match="expected the event end in the last line"):
        Run.open(copy)


@pytest.mark.parametrize(("name", "text"), [("summary.json", "[]"), ("events.jsonl", '{"columns":1}\n')])
def test_a_damaged_run_says_so(directory: Path, tmp_path: Path, name: str, text: str) -> None:
    copy = copy_of(directory, tmp_path)
    (copy / name).write_text(text)
    with pytest.raises(RunError, match="damaged run"):
        Run.open(copy)


def test_a_run_carries_its_inputs_and_can_be_moved(tmp_path: Path) -> None:
    replay(Scenario.load("classic-plan", ["duration=2s"]), out=tmp_path / "here", figure=False, **TWINS)
    moved = (tmp_path / "here").rename(tmp_path / "there")
    assert (moved / "inputs" / "0-classic-plan.json").is_file()
    assert str(tmp_path) not in (moved / "scenario.yaml").read_text()
    _, difference = verify(moved)
    assert difference is None


def test_a_directory_in_use_is_not_overwritten(directory: Path) -> None:
    before = (directory / "summary.json").read_bytes()
    with pytest.raises(FileExistsError, match="expected a new or empty directory"):
        replay("server-dies", out=directory)
    assert (directory / "summary.json").read_bytes() == before


CHILD = """
import sys, windtunnel, windtunnel.reports.sink as sink
sink.PART_ROWS = 2000
scenario = windtunnel.Scenario.load("steady", ["duration=10m", "traffic.users.stages[0].for=10m"])
windtunnel.replay(scenario, out=sys.argv[1], registry="memory", cloud="memory")
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_a_run_that_can_be_read_up_to_the_last_part(
    tmp_path: Path, sent: signal.Signals
) -> None:
    out = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.glob("parts/requests-*.arrow"))) < 3 and time.monotonic() < deadline:
        assert child.poll() is None, "the child ended before it could be killed"
        time.sleep(0.02)
    child.send_signal(sent)
    child.wait(timeout=30)
    run = Run.open(out)
    assert run.partial
    assert run.digest == ""
    assert run.requests.num_rows >= 6000
    assert run.requests.column("request").to_pylist() == list(range(run.requests.num_rows))
    whole = replay(Scenario.load("steady", ["duration=30s"]), **TWINS)
    many = min(run.requests.num_rows, 2000)
    assert run.requests.slice(0, many).to_pylist() == whole.requests.slice(0, many).to_pylist()
    with pytest.raises(RunError, match="partial run cannot be verified"):
        verify(out)


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"expected a run's directory with events\.jsonl"):
        Run.open(tmp_path)


def test_summary_adds_up(directory: Path) -> None:
    run = Run.open(directory)
    summary = run.summary
    assert summary["planned"] == run.requests.num_rows == sum(summary["outcomes"].values())
    assert summary["sent"] == run.attempts.num_rows
    latency = sorted(run.requests.column("latency_ns").to_pylist())
    assert summary["latency_ns"]["max"] == latency[-1]
    assert summary["latency_ns"]["p50"] == latency[-(-len(latency) // 2) - 1]
    assert summary["fleet"]["first"] == 3
    assert summary["instance_hours"] == pytest.approx((2 * 36 + 36) / 3600, abs=0.01)
    assert json.loads((directory / "plan.json").read_text())["open_requests"] == {"users": summary["planned"]}


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("document", ["duration=3s", "fleet.app.initial=0", "fleet.app.initial=20"])
def test_figures_of_any_run(tmp_path: Path, suffix: str, document: str) -> None:
    scenario = Scenario.load("total-outage", ["duration=3s", document])
    run = replay(scenario, **TWINS)
    path = tmp_path / f"figure.{suffix}"
    save_picture(Evidence.of(run, compile_plan(scenario).fleet), OVERVIEW, path)
    assert path.stat().st_size > 5000


def test_figure_without_any_request(tmp_path: Path) -> None:
    scenario = Scenario.parse("{scenario: none, duration: 2s}")
    save_picture(
        Evidence.of(replay(scenario, **TWINS), compile_plan(scenario).fleet), OVERVIEW, tmp_path / "empty.png"
    )
    assert (tmp_path / "empty.png").exists()


@pytest.mark.parametrize("engine", ["kernel", "simpy"])
def test_a_straggler_is_not_waited_for_and_still_in_its_place(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that never ends must not keep those after it from being written."""
    document = (
        "{scenario: stuck, duration: 20s, fleet: {network: {socket_buffer: 1KiB}}, "
        "endpoints: [{path: /, response_size: 2KiB}], traffic: ["
        "{name: monkey, flood: {stages: [{for: 1s, rate: 9/s}], connections: 1}},"
        "{name: users, stages: [{for: 20s, rate: 50/s}]}]}"
    )
    scenario = Scenario.parse(document)
    patient = replay(scenario, out=tmp_path / "patient", **TWINS)
    for name, rows in (("rows.WINDOW", 100), ("recorder.BATCH", 50), ("kernel.begin.WINDOW", 64),
                       ("kernel.window.WIDEST_WINDOW", 128)):  # fmt: skip
        monkeypatch.setattr(f"windtunnel.sim.{name}", rows)
    monkeypatch.setattr("windtunnel.reports.sink.PART_ROWS", 300)
    hasty = replay(scenario, out=tmp_path / "hasty", engine=engine, **TWINS)
    assert hasty.summary["outcomes"]["unfinished"] > 3
    assert hasty.digest == patient.digest
    assert hasty.requests.to_pylist() == patient.requests.to_pylist()
    assert Run.open(tmp_path / "hasty").attempts.to_pylist() == patient.attempts.to_pylist()
