"""``windtunnel new``, and ``check`` over several files: the first steps of somebody who has no scenario yet."""

import re
from pathlib import Path

import pytest
import yaml
from windtunnel import Run, Scenario
from windtunnel.scenarios.references import warnings
from windtunnel.tests.command_line import windtunnel
from windtunnel.tests.scenarios.test_files import GOOD

ROOT = Path(__file__).parents[1]


def test_a_new_scenario_is_legal_commented_and_teaches_something(tmp_path: Path) -> None:
    done = windtunnel("new", "shop", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "shop.yaml: written; now: windtunnel check shop.yaml, windtunnel replay shop.yaml\n"
    scenario = Scenario.load(tmp_path / "shop.yaml")
    assert scenario.name == "shop"
    assert warnings(scenario.document) == []
    lines = (tmp_path / "shop.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if (
            re.match(r"(scenario|duration|autoscaler|  app|  proxy|  network|  - .*)\b", line)
            and "- {name: fast" not in line
        ):
            above = lines[number - 1].strip()
            assert above.startswith("#") or above == "traffic:", f"no comment above {line!r}"
    first = windtunnel("replay", "shop.yaml", "--out", "run", "--no-figure", folder=tmp_path)
    assert first.returncode == 3
    run = Run.open(tmp_path / "run")
    assert {slo["name"]: slo["held"] for slo in run.summary["slo"]} == {"answered": False, "fast": True}
    better = windtunnel("replay", "shop.yaml", "--set", "fleet.app.initial=3", "--no-figure", folder=tmp_path)
    assert better.returncode == 0


@pytest.mark.parametrize(("name", "file"), [((), "first"), (("true",), "true"), (("2024.yaml",), "2024")])
def test_any_name_is_a_name(name: tuple[str, ...], file: str, tmp_path: Path) -> None:
    assert windtunnel("new", *name, folder=tmp_path).returncode == 0
    assert Scenario.load(tmp_path / f"{file}.yaml").name == file


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("there", "there.yaml: expected a new file, but it exists; give another name"),
        ("../x", "expected a name of at most 100 letters, digits, -, _ and ., such as first, got '../x'"),
        ("", "expected a name of at most 100 letters, digits, -, _ and ., such as first, got ''"),
    ],
)
def test_nothing_is_overwritten(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "there.yaml").write_text("mine")
    done = windtunnel("new", name, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{expected}\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_check_takes_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("20/s", "20"))
    (tmp_path / "c.yaml").write_text(GOOD.replace("initial", "intial"))
    done = windtunnel("check", "b.yaml", "a.yaml", "c.yaml", "nowhere.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == "a.yaml: ok (test: 1 source of traffic, 0 faults, 1 objective)\n"
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["b.yaml", "c.yaml", "nowhere.yaml"]
    assert windtunnel("check", "a.yaml", "a.yaml", folder=tmp_path).returncode == 0


def test_the_hook_runs_check_on_scenarios_only() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "windtunnel check"
    assert re.search(hook["files"], "ops/scenarios/shop.yaml")
    assert not re.search(hook["files"], "deploy/values.yaml")
