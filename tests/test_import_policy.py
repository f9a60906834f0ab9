"""The command import-policy: what it prints where, its exit codes, and its page."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner
from windtunnel.cli import app
from windtunnel.docs.console import as_run, run
from windtunnel.scenarios.import_metrics import Meaning, parse_meanings, spell

PAGE = Path(__file__).parents[1] / "docs" / "import-policy.md"
HPA = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]


def test_the_page_shows_what_its_command_prints(tmp_path: Path) -> None:
    (tmp_path / "hpa.yaml").write_text(HPA)
    text = PAGE.read_text()
    console = re.findall(r"^```console\n.*?^```\n", text, re.DOTALL | re.MULTILINE)
    assert len(console) == 1
    assert as_run(console[0], tmp_path) == console[0]


def test_sections_go_to_stdout_and_notes_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "hpa.yaml").write_text(HPA)
    done = CliRunner().invoke(app, ["import-policy", str(tmp_path / "hpa.yaml")])
    assert done.exit_code == 0
    assert set(yaml.safe_load(done.stdout)) == {"fleet", "autoscaler"}
    assert "--metric http_requests_per_second=requests" in re.sub(r"\s+", " ", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("hpa.yaml --metric http_requests=cats", "--metric: expected NAME= and one of requests, memory, cpu, in_flight, requests/m, got 'http_requests=cats'"),
        ("hpa.yaml --metric a=cpu --metric a=memory", "--metric: expected one meaning of 'a', got two"),
        ("hpa.yaml --name other", "hpa.yaml:1:1: expected one HorizontalPodAutoscaler called 'other', got shop"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read: No such file or directory"),
        ("bad.json", "bad.json: ScalingPolicies[0].PolicyType: expected one of"),
        ("bytes.yaml", "bytes.yaml:2:1: expected UTF-8 text, got the byte 0xff"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path, arguments: str, expected: str) -> None:
    (tmp_path / "hpa.yaml").write_text(HPA)
    (tmp_path / "bad.json").write_text(json.dumps({"ScalingPolicies": [{"AutoScalingGroupName": "a", "PolicyType": 3}]}))  # fmt: skip
    (tmp_path / "bytes.yaml").write_bytes(b"a: 1\n\xff\n")
    code, lines = run(f"windtunnel import-policy {arguments}", tmp_path)
    assert code == 2
    assert expected in " ".join(lines)


@pytest.mark.parametrize(
    ("meaning", "value", "expected"),
    [
        (Meaning("requests"), "0.1", "0.1/s"),
        (Meaning("requests", 60), "1000.0", "1000/m"),
        (Meaning("requests", 300), "-600", "-2/s"),
        (Meaning("cpu"), "-20.50", "-20.5%"),
        (Meaning("memory"), "0", "0%"),
        (Meaning("in_flight"), "-3", -3),
    ],
)
def test_values_in_a_scenarios_units(meaning: Meaning, value: str, expected: str | int) -> None:
    from decimal import Decimal

    assert spell(meaning, Decimal(value)) == (expected, "")


def test_a_metrics_name_may_have_an_equals_sign() -> None:
    assert parse_meanings(["a=b=requests/m"]) == {"a=b": Meaning("requests", 60)}
