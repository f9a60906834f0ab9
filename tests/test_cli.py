"""The command line as a user meets it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from windtunnel import Run
from windtunnel.tests.command_line import windtunnel, windtunnel_process
from windtunnel.tests.scenarios.test_files import GOOD

TWINS = ("--registry", "memory", "--cloud", "memory")


def test_replay_then_verify(tmp_path: Path) -> None:
    done = windtunnel_process(
        "replay", "total-outage", "--seed", "3", *TWINS, "--set", "duration=22s", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for text in ("total-outage", "passed", "well-before", "no_server", "p99", "instance-hours", "digest",
                 "windtunnel replay total-outage --set duration=22s --seed 3", "runs/total-outage-3"):  # fmt: skip
        assert text in done.stdout
    verified = windtunnel_process("verify", "runs/total-outage-3", folder=tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("identical on kernel: ")
    again = windtunnel_process(
        "replay", "total-outage", "--seed", "3", *TWINS, "--set", "duration=22s", folder=tmp_path
    )
    assert "runs/total-outage-3.2" in again.stdout
    log = tmp_path / "runs" / "total-outage-3" / "events.jsonl"
    log.write_text(log.read_text().replace('"lost":', '"lots":', 1))
    differs = windtunnel_process("verify", "runs/total-outage-3", folder=tmp_path)
    assert differs.returncode == 5
    assert differs.stdout.startswith("differs, first in event ")


def test_a_violated_objective_is_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(GOOD.replace("below: 100ms", "below: 1ms"))
    done = windtunnel("replay", "s.yaml", "--json", *TWINS, "--out", "run", "--no-figure", folder=tmp_path)
    assert done.returncode == 3
    summary = json.loads(done.stdout)
    assert summary["passed"] is False
    assert summary["slo"][0]["held"] is False
    assert not (tmp_path / "run" / "figures").exists()


def test_a_bad_scenario_is_exit_code_2_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(GOOD.replace("initial", "intial").replace("20/s", "20"))
    for command in ("check", "replay"):
        done = windtunnel(command, "s.yaml", folder=tmp_path)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.splitlines() == [
            "s.yaml:4:9: fleet.app.intial: unknown key; did you mean 'initial'?",
            "s.yaml:9:31: traffic[0].stages[0].rate: expected a rate such as 20/s or 300/m, got 20",
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay", "chaos-monky"), "did you mean 'chaos-monkey'?"),
        (("replay", "steady", "--engine", "kernal"), "expected an engine among kernel, simpy, got 'kernal'"),
        (
            ("replay", "steady", "--backend", "moon"),
            "expected a backend among attach, aws, local, sim, got 'moon'",
        ),
        (
            ("replay", "steady", "--registry", "redis"),
            "expected a registry among fakeredis, memory, got 'redis'",
        ),
        (("replay", "steady", "--seed", "-1"), "expected a seed from 0 to 2**63 - 1, got -1"),
        (("replay", "steady", "--out", "."), "expected a new or empty directory"),
        (("verify", "nowhere"), "expected a run's directory with events.jsonl"),
        (("fly",), "No such command 'fly'"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = windtunnel(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ctrl_c_keeps_what_was_recorded_and_is_exit_code_130(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "windtunnel", "replay", "chaos-monkey", *TWINS, "--out", "run"]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run/parts/*.arrow")) and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, message = child.communicate(timeout=30)
    assert child.returncode == 130
    assert message == "interrupted; what was recorded until then is in run\n"
    partial = Run.open(tmp_path / "run")
    assert partial.partial
    assert partial.requests.num_rows > 0


def test_listing_checking_schema_and_help() -> None:
    listed = windtunnel("scenarios").stdout
    assert all(name in listed for name in ("chaos-monkey", "classic-plan", "steady"))
    assert windtunnel("check", "chaos-monkey").stdout.startswith("chaos-monkey: ok")
    assert json.loads(windtunnel("schema").stdout)["title"] == "Document"
    for command in ("scenarios", "check", "schema", "fit", "replay", "verify", "report"):
        assert "Example: windtunnel " + command in windtunnel(command, "--help").stdout


def test_fit_drafts_a_scenario_or_says_what_is_wrong(tmp_path: Path) -> None:
    line = '10.0.0.1 - - [17/May/2026:10:05:03 +0000] "GET /a HTTP/1.1" 200 512\n'
    (tmp_path / "access.log").write_text(line * 3 + "nonsense\n")
    drafted = windtunnel("fit", "access.log", folder=tmp_path)
    assert drafted.returncode == 0, drafted.stderr
    (tmp_path / "s.yaml").write_text(
        drafted.stdout.replace("    stages:\n      - {for: 1s, rate: 3/s}", '    access_log: "access.log"')
    )
    checked = windtunnel("check", "s.yaml", folder=tmp_path)
    assert checked.returncode == 0
    assert checked.stderr == (
        "note: traffic 'users': access.log: 1 of 4 lines cannot be read and are left out: line 4\n"
    )
    missing = windtunnel("fit", "nothing.log", folder=tmp_path)
    assert (missing.returncode, missing.stderr) == (
        2,
        "nothing.log cannot be read: No such file or directory\n",
    )
