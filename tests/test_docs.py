"""The examples and commands in the documentation run, and print what the documentation says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from windtunnel.docs import console
from windtunnel.docs.cli_reference import cli_markdown, commands
from windtunnel.scenarios.scenario import Scenario

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
ELSEWHERE = {"howto-traffic.md", "howto-own-app.md"}
"""Run by test_howto_traffic and test_howto_own_app, beside files of their own."""
GUIDES = sorted(
    {"tutorial.md", "compare.md", "explain.md", "traces.md", *(path.name for path in DOCS.glob("howto-*.md"))}
    - ELSEWHERE
)
QUICK = {"explain.md"}
"""The others take ten seconds and more each."""


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.name)
def test_example(script: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stderr == ""
    assert done.stdout == script.with_suffix(".out").read_text()


def test_readmes_digest_is_the_golden_one() -> None:
    import json

    golden = json.loads((Path(__file__).parent / "golden.json").read_text())
    assert golden["classic-plan"] in (Path(__file__).parents[1] / "README.md").read_text()


def test_every_guide_is_run() -> None:
    assert sorted(console.PAGES) == GUIDES


@pytest.mark.parametrize(
    "page", [page if page in QUICK else pytest.param(page, marks=pytest.mark.long) for page in GUIDES]
)
def test_the_commands_of_a_page_print_what_it_says(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text()
    assert console.as_run(text, tmp_path) == text, "run `make docs` and read what changed"


@pytest.mark.long
@pytest.mark.parametrize("page", console.TABLES)
def test_a_table_is_what_its_command_prints(page: str) -> None:
    text = (DOCS / page).read_text()
    assert console.as_run(text, ROOT) == text, "run `make docs` and read what changed"


def test_a_command_that_fails_or_is_none_is_found(tmp_path: Path) -> None:
    for command in ("windtunnel check nowhere.yaml", "windtunel check steady"):
        with pytest.raises(ValueError, match=command):
            console.as_run(f"```sh\n{command}\n```\n", tmp_path)
    page = "```console\n$ windtunnel check steady\nwrong\n```\n"
    assert console.as_run(page, tmp_path) == page.replace(
        "wrong", "steady: ok (steady: 1 source of traffic, 0 faults, 3 objectives)"
    )


def test_the_reference_of_the_command_line_is_the_app() -> None:
    assert (DOCS / "reference-cli.md").read_text() == cli_markdown(), "run `make docs`"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_every_command_in_a_block_is_one(page: Path) -> None:
    known = {name for name, _ in commands()}
    groups = {name.partition(" ")[0] for name in known if " " in name}
    for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        for name, rest in re.findall(r"\bwindtunnel ([a-z]+)\b([^#;|>\n]*)", block):
            if name == "import":
                continue
            while name.partition(" ")[0] in groups and name not in known:
                word, _, rest = rest.lstrip().partition(" ")
                assert word, f"{page.name}: windtunnel {name} needs a command"
                name = f"{name} {word}"
            assert name in known, f"{page.name}: windtunnel {name}"
            declared = (DOCS / "reference-cli.md").read_text().split(f"## {name}\n")[1].split("\n## ")[0]
            for option in re.findall(r"(?<= )--[a-z-]+", rest):
                assert f"{option}`" in declared or f"{option} " in declared, (
                    f"{page.name}: windtunnel {name}{rest}"
                )


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_yaml_in_the_pages_is_yaml() -> None:
    page = (DOCS / "howto-ci.md").read_text()
    hook, workflow = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    ours = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [one["id"] for one in hook["repos"][0]["hooks"]] == [one["id"] for one in ours]
    (job,) = workflow["jobs"].values()
    assert job["runs-on"]
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert any(run.startswith("windtunnel replay ") and "--junit junit.xml" in run for run in runs)


def test_the_model_names_every_system_of_the_theory_tests() -> None:
    page = (DOCS / "model.md").read_text()
    tests = (ROOT / "tests" / "sim" / "test_theory.py").read_text()
    for name, test in (("M/M/1", "mm1"), ("M/M/c", "mmc"), ("M/D/1", "md1"), ("M/G/1", "mg1"), ("M/M/1/K", "mm1k"),
                       ("M/G/c/c", "mmcc"), ("E4/M/1", "round_robin_over_four_servers_is_e4m1"),
                       ("machine repairmen", "closed_clients_are_machine_repairmen")):  # fmt: skip
        assert f"| {name} |" in page
        assert f"def test_{test}(" in tests


def test_the_first_scenario_is_what_the_tutorial_says() -> None:
    document = Scenario.load(ROOT / "scenarios" / "first.yaml").document
    assert document.fleet.app.initial == 2
    assert document.fleet.app.queue == 64
    assert len(document.slo) == 2
