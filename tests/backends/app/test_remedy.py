"""A remedy against low memory in flight: real programs beside an app server, and beside a program of the user's."""

import http.client
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel.backends.live.settings import AppSettings

from .running import DEADLINE, Role, app_settings, ask, fleet_of, running, until

MIB = 1 << 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grandchildren are followed on Linux")


def settings_of(
    command: list[str], endpoint: dict[str, Any] | None = None, program: tuple[str, ...] = (), **remedy: Any
) -> AppSettings:
    """A server whose processes alone are beyond the mark, so that the first sample begins the remedy."""
    more = {"command": command, "above": "1%", "clear": "1%", "cooldown": "1h", **remedy}
    fleet = fleet_of(endpoint, memory={"total": "400MiB"}, workers=4, on_low_memory=more)
    return app_settings(fleet, command=program)


def python(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [sys.executable, str(path), "{host}", "{port}", "{pid}"]


def event(role: Role, name: str, count: int = 1) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        lines = [line for line in role.lines if line.get("event") == name]
        return lines[count - 1] if len(lines) >= count else None

    return dict(until(found, f"{name}: {role.lines[-3:]} {role.log[-5:]}"))


TELLS = """
import json, os, sys
print("trimming", flush=True)
json.dump([sys.argv[1:], os.environ["HOST"], os.environ["PORT"], os.environ["APP_PID"]], open({out!r}, "w"))
sys.exit({status})
"""


def test_a_program_is_run_and_its_end_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with running("app", settings_of(python(tmp_path / "a.py", TELLS.format(out=str(out), status=3)))) as role:
        begun, ended = event(role, "remedy_started"), event(role, "remedy_ended")
        assert (ended["server"], ended["status"], ended["timed_out"]) == (7, 3, False)
        assert begun["memory"] >= 0
        assert begun["t"] < ended["t"]
        host, port, pid = "127.0.0.1", str(role.settings.port), str(role.process.pid)  # type: ignore[attr-defined]
        assert json.loads(out.read_text()) == [[host, port, pid], host, port, pid]
        until(lambda: any("trimming" in line for line in role.log), "its output")


def test_one_that_hangs_is_killed_with_all_that_it_started_and_the_server_serves_on(tmp_path: Path) -> None:
    text = (
        "import subprocess, time\n"
        "subprocess.Popen(['sh', '-c', 'setsid sleep 611 & exec sleep 612'], start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    with running("app", settings_of(python(tmp_path / "a.py", text), timeout="3s")) as role:
        address = role.wait("up")["address"]
        event(role, "remedy_started")
        until(lambda: sum("sleep" in one.name() for one in role.tree()) == 2, "its children")
        family = [one for one in role.tree() if one.pid != role.process.pid]
        begin = time.monotonic()
        assert ask(address).status == 200
        assert time.monotonic() - begin < 2.5
        ended = event(role, "remedy_ended")
        assert (ended["status"], ended["timed_out"]) == (137, True)
        assert not psutil.wait_procs(family, timeout=DEADLINE)[1]
        assert len([line for line in role.lines if line.get("event") == "remedy_started"]) == 1


@pytest.mark.parametrize("how", ["told", "killed"])
def test_it_ends_with_its_server(tmp_path: Path, how: str) -> None:
    with running("app", settings_of(python(tmp_path / "a.py", "import time; time.sleep(600)"))) as role:
        event(role, "remedy_started")
        until(lambda: any("a.py" in " ".join(one.cmdline()) for one in role.tree()), "it runs")
        family = role.tree()
        if how == "killed":
            os.kill(role.process.pid, 9)
            assert role.process.wait(DEADLINE) == -9
        else:
            assert role.end() == 0
        assert not psutil.wait_procs(family, timeout=DEADLINE)[1]
        assert not [line for line in role.lines if line.get("event") == "remedy_ended"]


def test_one_that_cannot_be_started_is_tried_again() -> None:
    with running("app", settings_of(["/nowhere/no-such-program"], cooldown="1s")) as role:
        assert event(role, "remedy_ended", 2)["status"] == 127
        assert any("No such file" in line for line in role.log)


def test_what_is_given_back_leaves_the_ballast(tmp_path: Path) -> None:
    fleet = fleet_of(
        memory={"total": "600MiB", "base": "100MiB"},
        on_low_memory={"command": ["true"], "above": "60%", "effect": {"free": "90%"}},
    )
    with running("app", app_settings(fleet)) as role:
        role.wait("up")
        role.send("leak", bytes=400 * MIB)
        event(role, "remedy_ended")
        last = until(
            lambda: next((s for s in role.said("second")[::-1] if s["memory"] == 140 * MIB), None),
            "the model",
        )
        until(lambda: role.said("second")[-1]["rss"] < 200 * MIB, "real pages")
        assert last["memory"] == 140 * MIB
        assert event(role, "remedy_started")["memory"] == 500 * MIB


@pytest.mark.long
def test_a_restart_is_one_to_whoever_asks() -> None:
    fleet = fleet_of(
        {"io": {"constant": "30s"}},
        memory={"total": "600MiB", "base": "100MiB"}, workers=4,
        on_low_memory={"command": ["true"], "above": "60%", "effect": {"restart": "2s"}},
    )  # fmt: skip
    with running("app", app_settings(fleet)) as role:
        address = role.wait("up")["address"]
        lost: list[str] = []

        def hanging() -> None:
            try:
                ask(address, planned="0-1-1")
            except (OSError, http.client.HTTPException) as error:
                lost.append(type(error).__name__)

        thread = threading.Thread(target=hanging)
        thread.start()
        until(lambda: any(line["in_flight"] == 1 for line in role.said("second")), "one in flight")
        role.send("leak", bytes=400 * MIB)
        away = event(role, "restarting")
        assert away["lost"] == 1
        thread.join(DEADLINE)
        assert lost
        with pytest.raises(ConnectionRefusedError):
            ask(address, "/health")
        back = event(role, "restarted")
        assert back["t"] - away["t"] > 1.9e9
        assert ask(address, "/health").status == 200
        last = until(
            lambda: next((s for s in role.said("second") if s["t"] > back["t"] + 1e9), None), "a sample after"
        )
        assert (last["in_flight"], last["memory"]) == (0, 100 * MIB)


PROGRAM = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def test_beside_a_program_of_the_users_it_is_told_whom_to_help(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = python(tmp_path / "a.py", TELLS.format(out=str(out), status=0))
    program = tuple(python(tmp_path / "program.py", PROGRAM)[:4])
    with running("app", settings_of(command, program=program, effect={"restart": "1s"})) as role:
        assert event(role, "remedy_ended")["status"] == 0
        pid = int(json.loads(out.read_text())[0][2])
        assert "program.py" in " ".join(psutil.Process(pid).cmdline())
        assert "keeper.py" not in " ".join(psutil.Process(pid).cmdline())
        # What it does to a real program's memory is not ours to say.
        assert not [line for line in role.lines if line.get("event") == "restarting"]
