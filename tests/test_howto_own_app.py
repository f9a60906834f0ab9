"""docs/howto-own-app.md: its commands run, in order, beside its example."""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from windtunnel.docs import console
from windtunnel.reports.run import Run
from windtunnel.tests.backends.interop.node import node_executable

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "howto-own-app.md").read_text()


@pytest.mark.long
def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "own-app"
    shutil.copytree(DOCS / "examples" / "own-app", folder)
    # A shorter flight; the rest of the file is as it is shown.
    text = (folder / "shop.yaml").read_text()
    (folder / "shop.yaml").write_text(
        text.replace("duration: 20s", "duration: 7s").replace("for: 15s", "for: 2s")
    )
    monkeypatch.setenv("PATH", f"{Path(node_executable()).parent}{os.pathsep}{os.environ['PATH']}")
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
    ]
    assert len(commands) == 4
    for command in commands:
        code, lines = console.run(command, folder)
        assert code in (0, 3), f"{command}: {lines}"
    flown = Run.open(folder / "flight")
    assert flown.passed
    assert flown.summary["outcomes"] == {"ok": flown.summary["planned"]}
    assert "the shop listens on" in (folder / "flight" / "logs" / "app-2.jsonl").read_text()


def test_it_shows_what_the_example_holds() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    shown = yaml.safe_load(block)["fleet"]["app"]
    whole = yaml.safe_load((DOCS / "examples" / "own-app" / "shop.yaml").read_text())["fleet"]["app"]
    assert shown.items() <= whole.items()
