"""The search from end to end: what breaks is found, is minimal, replays alike on both engines, and is tried first next time."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner
from windtunnel import Scenario, replay
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.core.search.shrinking import reduced
from windtunnel.core.search.space import Candidate
from windtunnel.reproducing import reproduce, standalone, write_reproducer
from windtunnel.search_database import Examples
from windtunnel.searching import Progress, Searched, _judge_all, _prepare, search_scenario
from windtunnel.tests.command_line import windtunnel

SLOWED = """
scenario: slowed
seed: 3
duration: 20s
fleet: {app: {initial: 3, workers: 2}, proxy: {routing: round_robin}}
endpoints: [{path: /, cpu: {constant: 10ms}}]
traffic: [{name: users, stages: [{for: 20s, rate: 60/s}], client: {timeout: 2s}}]
slo: [{name: p99, indicator: latency_p99, below: 200ms}, {name: errors, indicator: error_rate, below: 90%}]
search:
  budget: 400
  seeds: 4
  vary:
    traffic.users.stages[0].rate: {min: 40/s, max: 80/s}
    fleet.network.client.latency: {min: 0s, max: 20ms}
  faults:
    most: 3
    for: {min: 500ms, max: 5s}
    kinds:
      - {type: slow, attributes: {factor: {min: 1, max: 12}}}
      - {type: monitor_silent}
      - {type: kill}
"""
"""One slow server is enough; silent monitors harm nobody here, and a death that a health check would notice makes errors, not slowness."""

SOUND = SLOWED.replace("below: 200ms", "below: 30s")


def found_in(text: str, **options: Any) -> Searched:
    return search_scenario(Scenario.parse(text), **options)


@pytest.fixture(scope="module")
def found() -> Searched:
    return found_in(SLOWED)


def test_what_is_found_is_minimal(found: Searched) -> None:
    (finding,) = found.findings
    assert (finding.goal.name, finding.whole) == ("p99", True)
    written = found.space.written(finding.candidate)
    (fault,) = written["faults"]
    assert fault["type"] == "slow"
    assert written["fleet"] == found.space.data["fleet"]
    _prepare(found.space.scenario)
    place = found.space.goals.index(finding.goal)
    assert place in _judge_all([finding.candidate])[0].violated()
    for less in reduced(finding.candidate):
        assert place not in _judge_all([less])[0].violated()


def test_processes_change_nothing(found: Searched) -> None:
    other = found_in(SLOWED, jobs=2)
    assert other.findings == found.findings
    assert (other.experiments, other.states, other.nearest) == (
        found.experiments,
        found.states,
        found.nearest,
    )


def test_a_sound_setting_is_not_broken() -> None:
    done = found_in(SOUND, budget=150)
    assert done.findings == []
    assert done.experiments == 150
    assert 0 < done.nearest[0] < 1


def test_both_engines_show_it_and_the_file_stands_alone(found: Searched, tmp_path: Path) -> None:
    (finding,) = found.findings
    made = reproduce(found.space, finding, "windtunnel search slowed.yaml")
    path = write_reproducer(made, tmp_path)
    assert write_reproducer(made, tmp_path) == path
    written = Scenario.load(path)
    assert written.document.search is None
    assert written.name == "slowed-p99"
    run = replay(written, registry="memory", cloud="memory")
    assert run.digest == made.digest
    assert [row["name"] for row in run.summary["slo"] if not row["held"]] == ["p99"]
    head = "".join(line for line in made.text.splitlines(keepends=True) if line.startswith("#"))
    for told in (
        "p99 is violated. Found by: windtunnel search slowed.yaml",
        "- fault slow (slow): at ",
        "fault slow (slow, server",
        made.digest,
    ):
        assert told in head


def test_an_invariant_that_is_broken_is_demanded_of_the_reproducer(found: Searched) -> None:
    goal = next(goal for goal in found.space.goals if goal.name == "capacity")
    data = standalone(found.space, Candidate((-1, -1)), goal, "x")
    assert data["invariants"] == {"capacity": True}
    assert Scenario.parse(yaml.safe_dump(data)).document.invariants is not None


def test_examples_are_tried_first(found: Searched, tmp_path: Path) -> None:
    (finding,) = found.findings
    Examples(tmp_path, found.space).save([finding.candidate])
    (known,) = Examples(tmp_path, found.space).load()
    again = found_in(SLOWED, seed=9, budget=1, first=[known])
    assert again.findings[0].number == 1
    narrower = search_scenario(Scenario.parse(SLOWED.replace("max: 12", "max: 1.5")), budget=1)
    assert Examples(tmp_path, narrower.space).load() == [], "one that no longer fits is left alone"


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "slowed.yaml"
    file.write_text(SLOWED)
    done = windtunnel("search", "slowed.yaml", "--jobs", "1", folder=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "p99 violated" in done.stdout
    assert (tmp_path / "found" / "slowed-p99.yaml").is_file()
    assert windtunnel("replay", "found/slowed-p99.yaml", "--no-figure", folder=tmp_path).returncode == 3
    bare = windtunnel("search", "steady", folder=tmp_path)
    assert bare.returncode == 2
    assert bare.stderr == "steady.yaml: expected a section search: that says what may vary (docs/search.md)\n"


def test_the_command_where_nothing_breaks(tmp_path: Path) -> None:
    file = tmp_path / "slowed.yaml"
    file.write_text(SLOWED)
    options = ["--budget", "20", "--jobs", "1", "--database", "none", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["search", str(file), "--set", "slo.p99.below=30s", *options])
    assert done.exit_code == 0, done.output
    assert "nothing was broken; nearest to its bound: errors" in done.stdout
    assert list(tmp_path.iterdir()) == [file]


def test_an_interrupt_keeps_what_was_found() -> None:
    told = []

    def interrupt(progress: Progress) -> None:
        told.append(progress)
        if progress.shrinking:
            raise KeyboardInterrupt

    done = found_in(SLOWED, told=interrupt)
    assert done.interrupted
    (finding,) = done.findings
    assert not finding.whole
    assert told[-1].shrinking.startswith("p99")


@pytest.mark.long
def test_ctrl_c_writes_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "slowed.yaml").write_text(SLOWED.replace("budget: 400", "budget: 100000"))
    command = [sys.executable, "-m", "windtunnel", "search", "slowed.yaml", "--every", "--jobs", "2"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(15)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "p99 violated" in out
    assert "interrupted after" in (tmp_path / "found" / "slowed-p99.yaml").read_text()


def test_a_scenario_without_the_section() -> None:
    with pytest.raises(UsageError, match="expected a section search"):
        search_scenario(Scenario.load("steady"))


def test_results_are_plain_data() -> None:
    done = found_in(SOUND, budget=3)
    assert json.dumps(done.space.written(Candidate((-1, -1))))
