"""The sidecar of a program that knows nothing of us."""

import json
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel.backends.app.sidecar import GRACE
from windtunnel.backends.live.settings import AppSettings
from windtunnel.backends.registry import RedisRegistry

from ..interop.node import node_executable
from ..redis_fixture import RedisServer
from .running import DEADLINE, NOBODY, Role, app_settings, ask, fleet_of, running, until

MIB = 1 << 20

PROGRAM = """
import http.server, os, subprocess, sys
if "--family" in sys.argv:
    # A child, and one in a session of its own whose parent is gone.
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sh", "-c", "setsid sleep 600 & exit"], start_new_session=True).wait()
if "--deaf" in sys.argv:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("hello from", os.environ["HOST"], flush=True)
held = bytearray(os.urandom(1024) * 60 * 1024)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/exit":
            os._exit(3)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""

NODE = """
const [host, port] = process.argv.slice(2);
require("http").createServer((request, answer) => answer.end("hi from node")).listen(Number(port), host);
"""


@pytest.fixture
def program(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return (sys.executable, str(path), "{host}", "{port}")


def settings_of(command: tuple[str, ...], redis_url: str = NOBODY, **more: Any) -> AppSettings:
    return app_settings(fleet_of(memory={"total": "200MiB"}), redis_url, command=command, **more)


def family(role: Role, name: str) -> list[psutil.Process]:
    """The role's processes whose command holds *name*."""
    return [one for one in role.tree() if name in " ".join(one.cmdline())]


def test_a_python_program_is_registered_and_monitored(
    program: tuple[str, ...], redis_server: RedisServer, proxy: tuple[str, dict[str, Any]]
) -> None:
    url, counts = proxy
    with running("app", settings_of(program, redis_server.url, proxy_admin=url)) as role:
        address = role.wait("up")["address"]
        registry = RedisRegistry(redis_server.client)
        assert registry.servers().serving == (address,)
        assert ask(address).body == b"hi"
        counts[address] = {"requests": 40, "in_flight": 2, "more": "of it"}
        until(lambda: sum(line["requests"] for line in role.said("second")) == 40, "as the proxy counted")
        counts[address] = {"requests": 45, "in_flight": 0}
        until(lambda: sum(line["requests"] for line in role.said("second")) == 45, "the difference")
        sample = until(
            lambda: next((s for s in registry.read_samples([address]).values() if s.in_flight == 0), None),
            "a sample",
        )
        assert sample.state == "serving"
        assert 0.3 < sample.memory < 0.9
        last = role.said("second")[-1]
        assert 60 * MIB < last["rss"] == last["memory"] < 180 * MIB
        assert sum(line["cpu_ns"] for line in role.said("second")) > 10_000_000
        role.send("drain")
        until(lambda: registry.read_samples([address])[address].state == "draining", "draining")
        processes = role.tree()
        assert role.end() == 0
        assert registry.servers().serving == ()
        assert not psutil.wait_procs(processes, timeout=10)[1]
    assert any("hello from 127.0.0.1" in line for line in role.log)


@pytest.fixture
def proxy() -> Iterator[tuple[str, dict[str, Any]]]:
    """A proxy's control API, and what it tells of its servers."""
    counts: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(counts).encode() if self.path == "/servers" else b"{}"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", counts
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_node_program(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text(NODE)
    with running(
        "app", settings_of((node_executable(), str(tmp_path / "app.js"), "{host}", "{port}"))
    ) as role:
        assert ask(role.wait("up")["address"]).body == b"hi from node"
        assert role.wait("second")["rss"] > 10 * MIB
        processes = role.tree()
        assert role.end() == 0
    assert not psutil.wait_procs(processes, timeout=10)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="grandchildren are followed on Linux")
@pytest.mark.parametrize("whom", ["sidecar", "keeper"])
def test_nothing_is_left_after_a_kill(program: tuple[str, ...], whom: str) -> None:
    with running("app", settings_of((*program, "--family"))) as role:
        role.wait("up")
        until(lambda: len(family(role, "sleep 600")) == 2, "the program's children")
        mine = family(role, "program.py")
        keeper = next(one for one in mine if "keeper.py" in " ".join(one.cmdline()))
        processes = role.tree()
        try:
            if whom == "sidecar":
                os.kill(role.process.pid, signal.SIGKILL)
                assert not psutil.wait_procs(processes, timeout=DEADLINE)[1]
            else:
                keeper.kill()
                direct = [one for one in mine if one.pid != keeper.pid]
                assert len(direct) == 1
                assert not psutil.wait_procs(direct, timeout=DEADLINE)[1]
                assert role.process.wait(DEADLINE) == 1
        finally:
            for one in processes:
                with suppress(psutil.NoSuchProcess):
                    one.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="grandchildren are followed on Linux")
def test_a_stop_ends_a_deaf_program_and_its_family(program: tuple[str, ...]) -> None:
    with running("app", settings_of((*program, "--family", "--deaf"))) as role:
        role.wait("up")
        processes = role.tree()
        begin = time.monotonic()
        assert role.end() == 0
        # It is asked first, and has time to go.
        assert time.monotonic() - begin > 0.9 * GRACE
        assert not psutil.wait_procs(processes, timeout=DEADLINE)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says who is stopped")
def test_a_sidecar_that_is_stopped_stops_its_program(program: tuple[str, ...]) -> None:
    with running("app", settings_of(program)) as role:
        role.wait("up")
        target = next(one for one in family(role, "program.py") if "keeper.py" not in " ".join(one.cmdline()))
        os.kill(role.process.pid, signal.SIGSTOP)
        try:
            until(lambda: target.status() == psutil.STATUS_STOPPED, "stopped")
        finally:
            os.kill(role.process.pid, signal.SIGCONT)
        until(lambda: target.status() != psutil.STATUS_STOPPED, "going on")
        assert role.end() == 0


def test_a_program_that_exits(program: tuple[str, ...], redis_server: RedisServer) -> None:
    with running("app", settings_of(program, redis_server.url)) as role:
        address = role.wait("up")["address"]
        with pytest.raises(Exception, match=r"(?i)remote|reset"):
            ask(address, "/exit")
        assert role.process.wait(DEADLINE) == 1
    assert [line["code"] for line in role.said("exited")] == [3]
    assert RedisRegistry(redis_server.client).servers().serving == ()


@pytest.mark.parametrize(
    ("command", "code"), [(("no-such-program-anywhere",), 127), (("sh", "-c", "kill -9 $$"), 137)]
)
def test_a_program_that_never_comes_up(command: tuple[str, ...], code: int) -> None:
    with running("app", settings_of(command)) as role:
        assert role.process.wait(DEADLINE) == 1
    assert [line["code"] for line in role.said("exited")] == [code]
    assert role.said("up") == []


def test_it_waits_for_the_boot(program: tuple[str, ...]) -> None:
    with running("app", settings_of(program, ready_at=2_000_000_000)) as role:
        assert role.wait("up")["t"] >= 2_000_000_000
        assert role.end() == 0
