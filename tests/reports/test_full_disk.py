"""A full disk, by a limit on the size of files: one sentence, exit code 1, a partial run that can be opened."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Run, Scenario, StorageError, replay

TWINS: dict[str, Any] = {"registry": "memory", "cloud": "memory"}

CHILD = """
import resource, sys
from contextlib import contextmanager
import windtunnel.cli, windtunnel.reports.sink as sink

out, moment, size = sys.argv[1:]
sink.PART_ROWS = 2000
finish = sink.DirectorySink.finish

def fill():
    "From now on no file may have more than *size* bytes."
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))

@contextmanager
def progress(wanted):
    yield lambda now, end: fill() if moment == "middle" and now >= 300 * 10**9 else None

def fill_and_finish(self, end):
    fill()
    return finish(self, end)

windtunnel.cli.progress = progress
if moment == "end":
    sink.DirectorySink.finish = fill_and_finish
sys.argv = ["windtunnel", "replay", "steady", "--out", out, "--registry", "memory", "--cloud", "memory",
            "--set", "duration=10m", "--set", "traffic.users.stages[0].for=10m"]
windtunnel.cli.main()
"""
LONG = ["duration=10m", "traffic.users.stages[0].for=10m"]


@pytest.mark.parametrize(
    ("moment", "size", "file"), [("middle", 1000, "parts/*.arrow"), ("end", 250_000, "requests.parquet")]
)
def test_a_full_disk(moment: str, size: int, file: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [sys.executable, "-c", CHILD, str(out), moment, str(size)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    path, cause = done.stderr.split(": cannot be written: ")
    assert Path(path).match(f"{out}/{file}")
    assert cause == f"{os.strerror(errno.EFBIG)}; what was recorded until then is in {out}\n"
    assert not list(out.rglob("*.draft"))
    run, whole = Run.open(out), replay(Scenario.load("steady", LONG), **TWINS)
    assert run.partial
    assert run.lines == whole.lines[: len(run.lines)]
    for name in ("requests", "attempts", "metrics"):
        ours, theirs = getattr(run, name), getattr(whole, name)
        assert ours.num_rows > 0
        assert ours.equals(theirs.slice(0, ours.num_rows))
        assert moment == "middle" or ours.num_rows == theirs.num_rows


@pytest.mark.parametrize("name", ["summary.json", "run.png", "scenario.yaml", "0-classic-plan.json"])
def test_any_other_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is left half-written, and the error says which it was."""

    def refuse(path: Path) -> None:
        if path.name.startswith(name.removesuffix(".json")):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    wrapped = {
        "pathlib.Path.write_text": Path.write_text,
        "matplotlib.figure.Figure.savefig": __import__("matplotlib.figure").figure.Figure.savefig,
        "shutil.copyfile": __import__("shutil").copyfile,
    }
    for target, original in wrapped.items():

        def replacement(*arguments: Any, original: Any = original, **options: Any) -> Any:
            for argument in arguments[:2]:
                if isinstance(argument, Path) and tmp_path in argument.parents:
                    refuse(argument)
            return original(*arguments, **options)

        monkeypatch.setattr(target, replacement)
    with pytest.raises(StorageError, match=f"{name}: cannot be written: No space left on device"):
        replay(Scenario.load("classic-plan", ["duration=2s"]), out=tmp_path / "run", **TWINS)
    assert Run.open(tmp_path / "run").partial
    assert not [
        path for path in (tmp_path / "run").rglob("*") if path.is_file() and path.read_bytes() == b"half"
    ]
