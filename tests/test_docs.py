"""The examples in the documentation run, and print what the documentation says."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "docs" / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.name)
def test_example(script: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stderr == ""
    assert done.stdout == script.with_suffix(".out").read_text()


def test_readmes_digest_is_the_golden_one() -> None:
    import json

    golden = json.loads((Path(__file__).parent / "golden.json").read_text())
    assert golden["classic-plan"] in (Path(__file__).parents[1] / "README.md").read_text()
