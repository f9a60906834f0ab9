"""docs/howto-traffic.md: its files are valid and its commands run, in order, on a made-up log."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from windtunnel.tests.scenarios.test_fit import KNOWN, metrics, write_log
from windtunnel.tests.support import plan

PAGE = (Path(__file__).parents[1] / "docs" / "howto-traffic.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.long
def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    write_log(plan({**KNOWN, "duration": "30s"}), tmp_path / "access.log")
    metrics(tmp_path / "metrics.csv", 1e6, 3)
    for block in blocks("yaml"):
        name = re.match(r"# (\S+\.yaml)\n", block)
        assert name
        (tmp_path / name[1]).write_text(block)
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 9
    for command in commands:
        program, _, target = command.removeprefix("windtunnel ").partition(" > ")
        done = subprocess.run(
            [sys.executable, "-m", "windtunnel", *program.split()],
            capture_output=True, text=True, cwd=tmp_path, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if target:
            (tmp_path / target).write_text(done.stdout)


def test_the_table_of_fields_is_that_of_the_reader() -> None:
    from windtunnel.scenarios import log_json

    for what, names in (("time", log_json.TIMES), ("path", log_json.PATHS), ("size", log_json.SIZES)):
        row = re.search(rf"^\| {what} \| (`.*)$", PAGE, re.MULTILINE)
        assert row
        assert tuple(re.findall(r"`([^`]+)`", row[1])) == names
