"""A program of the user's own in place of app servers: flown, monitored, and gone afterwards."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel import Run, Scenario, replay, report
from windtunnel.backends.local.options import FlightOptions
from windtunnel.backends.local.ports import port_row
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.problems import ScenarioError

MIB = 1 << 20

PROGRAM = """
import http.server, os, subprocess, sys
# Half of its memory is a child's.
code = "import os, sys; held = bytearray(os.urandom(1024) * 40 * 1024); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"own")
    def log_message(self, *args): pass
print("directory", os.getcwd(), flush=True)
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""

FILE = """
scenario: own
seed: 5
duration: 4s
fleet:
  app:
    command: {command}
    directory: programs
    initial: 2
    memory: {{total: 400MiB}}
endpoints:
  - {{path: /, weight: 3}}
  - {{path: /missing, status: 404}}
traffic:
  - {{name: users, stages: [{{for: 4s, rate: 50/s}}], client: {{timeout: 10s, connections: {{pool: 10}}}}}}
slo: [{{name: answered, indicator: availability, above: 99.9%}}]
"""


def mine(tree: psutil.Process) -> list[psutil.Process]:
    """What a flight started that still runs."""
    return [
        one for one in tree.children(recursive=True) if one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    ]  # fmt: skip


def write(folder: Path, *command: str) -> Path:
    """A scenario file whose program is *command*; ``program.py`` is in the folder ``programs`` beside it."""
    (folder / "programs").mkdir()
    (folder / "programs" / "program.py").write_text(textwrap.dedent(PROGRAM))
    path = folder / "own.yaml"
    path.write_text(FILE.format(command=json.dumps(list(command))))
    return path


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("own")
    told: dict[str, Any] = {}
    path = write(folder, sys.executable, "program.py", "{port}")
    run = replay(
        path, backend="local", flight=FlightOptions(announce=told.update), out=folder / "run", figure=False
    )
    return folder, run, told


def test_everything_is_answered_by_it(flown: tuple[Path, Run, dict[str, Any]]) -> None:
    folder, run, told = flown
    assert run.passed
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    assert run.summary["planned"] > 150
    rows = run.attempts.to_pylist()
    assert {row["server"] for row in rows} == {1, 2}
    assert {row["endpoint"]: row["status"] for row in run.requests.to_pylist()} == {"/": 200, "/missing": 404}
    # Where it stood in the app server nobody can know.
    assert {(row["arrived_ns"], row["served_ns"]) for row in rows} == {(-1, -1)}
    assert len(set(told["servers"].values())) == 2
    log = (folder / "run" / "logs" / "app-1.jsonl").read_text()
    assert f"directory {folder / 'programs'}" in log


def test_it_is_monitored_with_its_family(flown: tuple[Path, Run, dict[str, Any]]) -> None:
    _, run, _ = flown
    rows = [row for row in run.metrics.to_pylist() if row["server"] > 0]
    counted = sum(row["requests"] for row in rows)
    # The monitors look once a second, and the last look may be before the last request.
    assert 0.5 * run.summary["planned"] < counted <= run.summary["planned"]
    last = {row["server"]: row["memory"] for row in rows}
    assert set(last) == {1, 2}
    for memory in last.values():
        assert 45 * MIB < memory < 250 * MIB
    assert sum(row["cpu_ns"] for row in rows) > 0


def test_the_run_is_like_any_other_and_can_be_flown_again(flown: tuple[Path, Run, dict[str, Any]]) -> None:
    folder, run, _ = flown
    assert report(folder / "run")[0].stat().st_size > 10_000
    kept = Scenario.load(folder / "run" / "scenario.yaml")
    assert kept.document.fleet.app.directory == str(folder / "programs")
    assert kept.fingerprint() == Scenario.load(folder / "own.yaml").fingerprint()
    rehearsed = replay(folder / "own.yaml")
    assert rehearsed.summary["planned"] == run.summary["planned"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("no-such-program", "{port}"), "expected a program, found no 'no-such-program' on PATH"),
        (("./missing", "{port}"), r"expected a program, found no './missing' in .*programs"),
        (("./program.py",), "expected a program, found no './program.py'"),
    ],
)
def test_a_program_that_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, command: tuple[str, ...], message: str
) -> None:
    path = write(tmp_path, *command)
    with pytest.raises(UsageError, match=f"^fleet.app.command: {message}"):
        replay(path, backend="local", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_its_demand_is_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, sys.executable, "program.py", "{port}")
    with pytest.raises(UsageError, match=r"^--demand burn: expected no fleet\.app\.command"):
        replay(path, backend="local", flight=FlightOptions(demand="burn"))
    (tmp_path / "programs" / "program.py").unlink()
    (tmp_path / "programs").rmdir()
    with pytest.raises(UsageError, match=r"^fleet\.app\.directory: expected a directory, got '.*programs'"):
        replay(path, backend="local")


def test_a_program_that_ends_at_once_is_a_failure_in_its_own_words(tmp_path: Path) -> None:
    path = write(tmp_path, sys.executable, "-c", "import sys; sys.exit('no database here')")
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel", "replay", str(path), "--backend", "local", "--out", "run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=180, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("a backend failed: app-1 ended with status 1:\n")
    assert "  no database here\n" in done.stderr
    assert "  the program ended by itself with status 1\n" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux kills the children of the dead")
def test_nothing_of_it_outlives_a_killed_conductor(tmp_path: Path) -> None:
    path = write(tmp_path, sys.executable, "program.py", "{port}")
    conductor = subprocess.Popen(
        [sys.executable, "-m", "windtunnel", "replay", str(path), "--backend", "local", "--out", "run", "--hold"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    assert conductor.stderr is not None
    try:
        assert conductor.stderr.readline().startswith("proxy ")
        family = mine(psutil.Process(conductor.pid))
    finally:
        conductor.kill()
        conductor.wait()
        conductor.stderr.close()
    # Of each server: role, keeper, program and its child.
    assert len([one for one in family if one.pid]) >= 8
    assert not psutil.wait_procs(family, timeout=60)[1]


def test_ports_are_in_a_row_and_not_among_the_kernels_own() -> None:
    port = port_row()
    assert 10_240 <= port < 65_000
    with socket.socket() as held:
        held.bind(("0.0.0.0", port + 100))
        held.listen()
        other = port_row()
        assert not other < port + 100 <= other + 199


def test_a_command_is_words() -> None:
    for text, message in (
        ("{command: []}", "expected at least one entry, got none"),
        ("{command: node app.js}", "expected a list"),
        ("{command: [node, 3]}", "expected text"),
        ("{directory: there}", "expected a command to run in the directory 'there'"),
    ):
        with pytest.raises(ScenarioError, match=message):
            Scenario.parse(f"scenario: x\nduration: 1s\nfleet: {{app: {text}}}\n")
