"""Campaigns: over seeds and values, with common random numbers, on several processes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from windtunnel import Scenario, ScenarioError, replay
from windtunnel.campaign import run_campaign, split_values, variants
from windtunnel.core.errors import UsageError
from windtunnel.tests.command_line import windtunnel

SHORT = "duration=21s"


def test_values_are_split_outside_brackets_only() -> None:
    assert split_values("a.b=1,2,3") == ["a.b=1", "a.b=2", "a.b=3"]
    assert split_values("a={pool: 1, x: [2,3]},per_request") == ["a={pool: 1, x: [2,3]}", "a=per_request"]
    assert split_values("a='x,y',z") == ["a='x,y'", "a=z"]
    with pytest.raises(UsageError, match="expected path=value"):
        split_values("a.b")


def test_every_combination_is_validated_before_anything_runs() -> None:
    chosen = variants("total-outage", ["fleet.app.initial=1,2", SHORT, "fleet.app.workers=4,5"])
    assert [variant.values for variant in chosen] == [
        (f"fleet.app.initial={initial}", f"fleet.app.workers={workers}")
        for initial in (1, 2)
        for workers in (4, 5)
    ]
    with pytest.raises(ScenarioError, match="expected a whole number, got 'x'"):
        variants("total-outage", ["fleet.app.initial=1,x"])


def test_processes_change_nothing_and_seeds_are_the_single_runs() -> None:
    chosen = variants("total-outage", [SHORT, "fleet.app.workers=2,4"])
    alone, together = run_campaign(chosen, 2, 1), run_campaign(chosen, 2, 2)
    assert alone == together
    single = replay(Scenario.load("total-outage", [SHORT, "fleet.app.workers=4"]), seed=2)
    assert alone[1].summaries[1] == single.summary


def test_variants_share_their_random_numbers() -> None:
    """The same arrivals and demands under each seed: a faster link changes every latency by the same amount."""
    chosen = variants("steady", ["duration=5s", "fleet.app.workers=60", "fleet.network.client.jitter=0", "fleet.network.client.latency=2ms,3ms",
                                 "traffic.users.client.connections=per_request"])  # fmt: skip
    near, far = run_campaign(chosen, 3, 1)
    for one, other in zip(near.summaries, far.summaries, strict=True):
        assert other["planned"] == one["planned"]
        assert other["latency_ns"]["mean"] - one["latency_ns"]["mean"] == pytest.approx(4e6, rel=0.02)
    assert near.p99 is not None
    assert near.p99.half < near.p99.mean


def test_replay_over_seeds(tmp_path: Path) -> None:
    done = windtunnel(
        "replay", "total-outage", "--set", SHORT, "--seeds", "3", "--jobs", "2", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "seeds 1 to 3" in done.stdout
    assert "3 of 3" in done.stdout
    broken = windtunnel(
        "replay",
        "total-outage",
        "--set",
        SHORT,
        "--set",
        "slo.well-before.above=100%",
        "--seeds",
        "3",
        "--json",
        folder=tmp_path,
    )
    assert broken.returncode == 3
    (result,) = json.loads(broken.stdout)
    assert result["objectives"][0]["verdict"] == "violated"
    assert [run["seed"] for run in result["runs"]] == [1, 2, 3]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        signal.SIGKILL,
    ],
)
def test_no_worker_outlives_its_parent(tmp_path: Path, sent: signal.Signals) -> None:
    command = [sys.executable, "-m", "windtunnel", "replay", "steady", "--seeds", "30", "--jobs", "2"]
    parent = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 40
    workers: list[psutil.Process] = []
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        workers = [
            p
            for p in psutil.Process(parent.pid).children(recursive=True)
            if "spawn_main" in " ".join(p.cmdline())
        ]
    time.sleep(2)
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(sent)
    _, message = parent.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert len(workers) >= 2
    assert not alive
    if sent == signal.SIGINT:
        assert (parent.returncode, message) == (130, "interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_single_run_are_refused_with_seeds(tmp_path: Path) -> None:
    done = windtunnel("replay", "steady", "--seeds", "2", "--out", "x", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "expected no --out with --seeds\n")


def test_sweep(tmp_path: Path) -> None:
    done = windtunnel(
        "sweep",
        "total-outage",
        "--set",
        SHORT,
        "--set",
        "fleet.app.initial=1,2,3",
        "--out",
        "s",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for text in ("initial=1", "initial=3", "instance-hours", "violated, 0 of 1", "held, 1 of 1", "sweep.png"):
        assert text in done.stdout
    results = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert [result["values"] for result in results] == [[f"fleet.app.initial={n}"] for n in (1, 2, 3)]
    assert (tmp_path / "s" / "sweep.png").stat().st_size > 5000
    again = windtunnel(
        "sweep", "total-outage", "--set", "fleet.app.initial=1,2", "--out", "s", folder=tmp_path
    )
    assert again.returncode == 2
    assert "expected a new or empty directory" in again.stderr
