"""The kernel's cache: keyed by everything that is compiled, found again, rebuilt when a callee is edited."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import windtunnel
from windtunnel.sim.kernel.compiled import CONTROL_PLANE, SOURCES, cache_root, fingerprint

ROOT = Path(windtunnel.__file__).parent

CHILD = """
import sys, windtunnel
from windtunnel.sim.kernel.compiled import is_compiled
before = is_compiled()
document = "{scenario: one, duration: 1s, fleet: {network: {client: {latency: 1ms}}}, traffic: [{name: u, stages: [{for: 1s, rate: 5/s}]}]}"
run = windtunnel.replay(windtunnel.Scenario.parse(document), registry="memory", cloud="memory")
print(before, is_compiled(), run.summary["latency_ns"]["max"])
"""


def test_an_edited_callee_has_another_fingerprint(tmp_path: Path) -> None:
    copies = tuple(Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in SOURCES)
    assert fingerprint(copies) == fingerprint()
    callee = tmp_path / "core" / "network.py"
    callee.write_text(callee.read_text().replace("return latency\n", "return latency + 1\n"))
    assert fingerprint(copies) != fingerprint()


def test_what_is_left_out_of_the_fingerprint_is_called_by_nothing_compiled() -> None:
    for name in CONTROL_PLANE:
        assert "@decision" not in (ROOT / "core" / name).read_text()
        module = name.removesuffix(".py")
        for path in (*(ROOT / "core").glob("*.py"), *(ROOT / "sim" / "kernel").glob("*.py")):
            imports = (
                f"core.{module} import" in path.read_text() or f"from .{module} import" in path.read_text()
            )
            # core.model holds values of the control plane; of it compiled code knows numbers only.
            assert not imports or path.name in {*CONTROL_PLANE, "model.py"}, f"{path.name} imports {name}"


def test_the_cache_goes_elsewhere_when_its_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "windtunnel"
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(obstacle))
    assert cache_root().is_dir()
    assert obstacle not in cache_root().parents


def child(copy: Path, cache: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(copy.parent), "XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.long
def test_the_kernel_sees_an_edited_callee_and_finds_its_cache_again(tmp_path: Path) -> None:
    copy = tmp_path / "windtunnel"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "runs", "docs"))
    assert child(copy, tmp_path / "cache") == ["False", "True", "4000000"]
    callee = copy / "core" / "network.py"
    callee.write_text(callee.read_text().replace("return latency\n", "return latency + 1\n"))
    assert child(copy, tmp_path / "cache") == ["False", "True", "4000006"]
    assert child(copy, tmp_path / "cache") == ["True", "True", "4000006"]
