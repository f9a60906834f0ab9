"""A rerun is identical: across processes, hash seeds, time zones, locales, folders, block sizes; golden digests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Scenario, library, replay
from windtunnel.tests.support import SHORT

GOLDEN: dict[str, str] = json.loads((Path(__file__).parent / "golden.json").read_text())
"""Digest of each library scenario as shipped. A change that alters one says why in its commit."""

CHILD = """
import sys, windtunnel
run = windtunnel.replay(windtunnel.Scenario.load("server-dies", ["duration=35s"]), block=int(sys.argv[1]))
print(run.digest)
"""


def digest_of(name: str, overrides: list[str], **options: Any) -> str:
    return replay(Scenario.load(name, overrides), **options).digest


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long) if name == "thousand-servers" else name
        for name in sorted(library())
    ],
)
def test_golden_digest(name: str) -> None:
    overrides = SHORT.get(name, [])
    assert digest_of(name, overrides) == GOLDEN[" ".join([name, *overrides])]


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SHORT))
def test_golden_digest_at_length(name: str) -> None:
    assert digest_of(name, []) == GOLDEN[name]


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(library()))
def test_twins_give_the_golden_digest(name: str) -> None:
    assert digest_of(name, [], registry="memory", cloud="memory") == GOLDEN[name]


def test_processes_agree(tmp_path: Path) -> None:
    surroundings = [
        ({"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"}, ".", 65536),
        (
            {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "LANG": "de_DE.UTF-8"},
            str(tmp_path),
            37,
        ),
    ]
    digests = set()
    for changes, folder, block in surroundings:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(block)],
            env={**os.environ, **changes}, cwd=folder, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == 32


def test_another_seed_is_another_run() -> None:
    scenario = Scenario.load("total-outage", ["duration=5s"])
    runs = [replay(scenario, seed=seed, registry="memory", cloud="memory") for seed in (1, 2, 1)]
    assert runs[0].digest == runs[2].digest != runs[1].digest


def test_more_seeds_agree_with_themselves() -> None:
    scenario = Scenario.load("server-dies", ["duration=33s", "traffic.users.stages[0].rate=50/s"])
    for seed in range(3):
        one, two = (
            replay(scenario, seed=seed, registry="memory", cloud="memory", block=b) for b in (7, 4096)
        )
        assert one.lines == two.lines


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_hundreds_of_seeds(seed: int) -> None:
    scenario = Scenario.load("server-dies", ["duration=40s", "traffic.users.stages[0].rate=100/s"])
    first = replay(scenario, seed=seed, registry="memory", cloud="memory")
    assert replay(scenario, seed=seed, registry="memory", cloud="memory", block=1000).digest == first.digest
    assert first.summary["slo"][0]["value"] < 0.002
