"""The live proxy beside HAProxy (one thread), in alternating runs: wrk with 64 kept connections, an app server that answers at once.

Needs wrk, nginx (the app server, and the peer where there is no HAProxy) and haproxy on the path.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from windtunnel.backends.connection import registry_at
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.core.model import SECOND, AppSpec, FleetSpec, ProxySpec
from windtunnel.tests.backends.proxy.test_role import redis_server

pytestmark = pytest.mark.benchmark

ROUNDS = 5
LENGTH = "3s"


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(*command: str, port: int, given: str = "") -> Iterator[int]:
    """A process that listens on *port*; its id."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    try:
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.flush()
        end = time.monotonic() + 30
        while True:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end, f"{command[0]} does not listen"
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.communicate()


def nginx(folder: Path, port: int, location: str) -> list[str]:
    """The command of an nginx with one worker that listens on *port*."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / f"{port}.conf"
    file.write_text(
        f"worker_processes 1; daemon off; master_process off; pid {folder}/{port}.pid; error_log {folder}/error.log;"
        f"events {{ worker_connections 1024; }} http {{ access_log off; keepalive_requests 1000000000; {temporary}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }} }}"
    )
    return ["nginx", "-c", str(file), "-p", str(folder)]


def haproxy(folder: Path, port: int, app: int) -> list[str]:
    """The command of an HAProxy with one thread."""
    file = folder / "haproxy.cfg"
    file.write_text(
        "global\n nbthread 1\n maxconn 2000\ndefaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
        f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n http-reuse always\n option forwardfor\n"
        f" server s 127.0.0.1:{app}\n"
    )
    return ["haproxy", "-f", str(file)]


def wrk(port: int, process: int) -> tuple[float, float]:
    """Requests a second, and microseconds of CPU that each cost the process."""
    before = sum(psutil.Process(process).cpu_times()[:2])
    text = subprocess.run(
        ["wrk", "-t1", "-c64", f"-d{LENGTH}", f"http://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    used = sum(psutil.Process(process).cpu_times()[:2]) - before
    assert "Non-2xx" not in text, text
    count = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert count, text
    assert rate, text
    return float(rate[1]), used / int(count[1]) * 1e6


@pytest.mark.skipif(
    not (shutil.which("wrk") and shutil.which("nginx") and shutil.which("haproxy")),
    reason="needs wrk, nginx and haproxy",
)
def test_requests_a_second_beside_haproxy(tmp_path: Path) -> None:
    app, peer, ours = free_port(), free_port(), free_port()
    fleet = FleetSpec(
        "bench", 1, SECOND, 0, AppSpec(),
        ProxySpec(upstream_timeout=5 * SECOND, keepalive_timeout=30 * SECOND, retry_attempts=1, max_in_flight=1000),
    )  # fmt: skip
    with ExitStack() as stack:
        url = stack.enter_context(redis_server())
        registry_at(url, "").register(f"http://127.0.0.1:{app}", "serving")
        settings = ProxySettings(origin=LiveClock.begin().origin, fleet=fleet, redis_url=url, port=ours)
        stack.enter_context(running(*nginx(tmp_path, app, 'return 200 "hello, world\\n";'), port=app))
        theirs = stack.enter_context(running(*haproxy(tmp_path, peer, app), port=peer))
        command = (sys.executable, "-m", "windtunnel.backends.live.role", "proxy")
        proxy = stack.enter_context(running(*command, port=ours, given=settings.model_dump_json() + "\n"))
        time.sleep(1)
        rates, costs = [], []
        for _ in range(ROUNDS):
            mine, my_cpu = wrk(ours, proxy)
            other, other_cpu = wrk(peer, theirs)
            rates.append(mine / other)
            costs.append((my_cpu, other_cpu))
            print(
                f"ours {mine:8.0f}/s {my_cpu:5.1f} us   haproxy {other:8.0f}/s {other_cpu:5.1f} us   {mine / other:.2f}"
            )
    ratio = statistics.median(rates)
    print(f"ratio of requests a second, median of {ROUNDS}: {ratio:.2f} (aim: 0.6)")
    assert ratio > 0.35
