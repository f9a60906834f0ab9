"""Flame graphs of our own code: what it takes, what is left, and that nothing else is."""

import os
import signal
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import psutil
import pytest
from windtunnel import Scenario, replay, report
from windtunnel.backends import code_profiles
from windtunnel.core.errors import UsageError

from ..app.running import until
from .test_targets import FLOWN

PATIENCE = 90.0


def test_without_the_profiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"--profile-code: expected py-spy.*windtunnel\[profile\]"):
        replay(Scenario.load("steady"), out=tmp_path / "run", profile_code=True)
    assert not (tmp_path / "run").exists(), "nothing was started"


def test_where_no_process_may_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "py-spy"
    program.write_text(
        "#!/bin/sh\necho 'Error: Permission Denied: try running again with elevated permissions' >&2\nexit 1\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(code_profiles, "sampler", lambda: str(program))
    with pytest.raises(UsageError, match=r"may read a process of ours.*Permission Denied.*SYS_PTRACE"):
        code_profiles.check_sampler()


def test_in_memory_there_is_no_place_for_them() -> None:
    with pytest.raises(UsageError, match="expected a directory"):
        replay(Scenario.load("steady"), profile_code=True)


def functions(path: Path) -> str:
    """What a flame graph shows; it is a whole SVG that needs no other file."""
    text = path.read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "src=" not in text
    return text


@pytest.mark.long
def test_a_rehearsal(tmp_path: Path) -> None:
    replay(Scenario.load("steady"), engine="simpy", out=tmp_path, figure=False, profile_code=True)
    assert "sim/dataplane" in functions(tmp_path / "profiles" / "rehearsal.svg")


@pytest.mark.long
def test_a_flight(tmp_path: Path) -> None:
    replay(Scenario.parse(FLOWN), backend="local", out=tmp_path / "run", profile_code=True)
    folder = tmp_path / "run" / "profiles"
    assert {path.name for path in folder.iterdir()} >= {"proxy.svg", "load.svg", "app-1.svg", "app-2.svg"}
    assert "proxy/exchange" in functions(folder / "proxy.svg") or "proxy/client" in functions(
        folder / "proxy.svg"
    )
    assert not list(folder.glob("*.draft"))
    (page,) = report(tmp_path / "run")
    assert 'href="profiles/proxy.svg"' in page.read_text()


def command(process: psutil.Process) -> list[str]:
    """Its command; nothing of one that has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux")
def test_nothing_is_left_after_a_kill(tmp_path: Path) -> None:
    scenario = tmp_path / "watched.yaml"
    scenario.write_text(FLOWN.replace("6s", "60s").replace("5s", "59s"))
    flight = subprocess.Popen(
        [sys.executable, "-m", "windtunnel", "replay", str(scenario), "--backend", "local", "--profile-code", "--out", str(tmp_path / "run")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    found: list[psutil.Process] = []

    def profiled() -> bool:
        assert flight.poll() is None
        found[:] = psutil.Process(flight.pid).children(recursive=True)
        commands = [command(one) for one in found]
        return sum("py-spy" in " ".join(words) and "record" in words for words in commands) >= 5

    try:
        until(profiled, "every role has its profiler", PATIENCE)
        os.kill(flight.pid, signal.SIGKILL)
        flight.wait()
        _, alive = psutil.wait_procs(found, timeout=30)
        assert not alive, alive
    finally:
        if flight.poll() is None:
            flight.kill()
            flight.wait()
