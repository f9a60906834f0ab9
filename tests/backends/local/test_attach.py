"""The plan's load on a fleet that is there already: it is measured and watched, and nothing about it is changed."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel import Run, Scenario, replay, report
from windtunnel.backends.live.addresses import split
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.backends.local.options import Figures, FlightOptions
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.errors import BackendFailure, UsageError
from windtunnel.core.ports import RegistryError
from windtunnel.scenarios.build import compile_plan

from ..app.running import DEADLINE, Role, app_settings, running, until
from ..redis_fixture import RedisServer, free_port

FILE = """
scenario: attached
seed: 4
duration: 4s
fleet:
  app: {initial: 2, min: 1, max: 9, workers: 8}
  registry: {refresh_interval: 200ms, key_prefix: "mine:"}
endpoints:
  - {path: /, cpu: {constant: 2ms}, response_size: 100B}
traffic:
  - {name: users, stages: [{for: 4s, rate: 60/s}], client: {timeout: 10s, connections: {pool: 10}}}
autoscaler: {policy: {threshold: {requests_high: 10/s}}, interval: 1s, cooldown: 2s, max_sample_age: 3s}
slo: [{name: answered, indicator: availability, above: 99.9%}]
"""
SECOND = 1_000_000_000
PATIENCE = 120.0


class Fleet:
    """Two app servers and a proxy, each a process, over *redis*; *proxy* is the address to attach to."""

    def __init__(self, proxy: str, roles: list[Role], redis: RedisServer, addresses: list[str]) -> None:
        self.proxy = proxy
        self.roles = roles
        self.redis = redis
        self.addresses = addresses
        self.registry = RedisRegistry(redis.client, "mine:")

    def options(self, **more: Any) -> FlightOptions:
        return FlightOptions(proxy=self.proxy, redis_url=self.redis.url, **more)


def answers(address: str) -> int:
    """The status that is answered there to a request for /."""
    connection = http.client.HTTPConnection(*split(address), timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def fleet(redis_server: RedisServer) -> Iterator[Fleet]:
    spec = compile_plan(Scenario.parse(FILE)).fleet
    origin = LiveClock.begin().origin
    with ExitStack() as stack:
        apps = [
            stack.enter_context(
                running("app", app_settings(spec, redis_server.url, origin=origin, number=number))
            )
            for number in (1, 2)
        ]
        addresses = [app.wait("up")["address"] for app in apps]
        settings = ProxySettings(origin=origin, fleet=spec, redis_url=redis_server.url)
        proxy = stack.enter_context(running("proxy", settings))
        where = proxy.wait("up")["address"]
        until(lambda: answers(where) == 200, "a proxy that knows its servers")
        yield Fleet(where, [*apps, proxy], redis_server, addresses)
        assert [role.process.poll() for role in (*apps, proxy)] == [None] * 3


def children() -> set[psutil.Process]:
    """Every process below this one."""
    return set(psutil.Process().children(recursive=True))


def test_a_fleet_with_a_registry_is_measured_watched_and_left_as_it_was(fleet: Fleet, tmp_path: Path) -> None:
    told: dict[str, Any] = {}
    before = children()
    until(fleet.registry.read_proxy_load, "the sample that its proxy writes each second")
    keys = set(fleet.redis.client.keys("*"))
    run = replay(
        Scenario.parse(FILE),
        backend="attach",
        flight=fleet.options(announce=told.update),
        out=tmp_path / "run",
        figure=False,
    )
    assert run.passed
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    assert run.summary["planned"] > 200
    # What our proxy and app servers say of a request's way is recorded as in a flight of our own.
    for row in run.attempts.to_pylist():
        times = [
            row[name] for name in ("start_ns", "proxy_ns", "routed_ns", "arrived_ns", "served_ns", "end_ns")
        ]
        assert times == sorted(times)
        assert times[0] >= 0
    ready = [event for event in run.events if event["event"] == "ready"]
    assert [event["address"] for event in ready] == sorted(fleet.addresses)
    # It decides by what the servers say of themselves, and carries nothing out.
    assert set(run.decisions.column("dry_run").to_pylist()) == {True}
    assert set(run.observations.column("server").to_pylist()) == set(fleet.addresses)
    decisions = [event for event in run.events if event["event"] == "decision"]
    busy = next(event for event in decisions if event["reason"] == "requests_high")
    assert busy["desired"] > busy["actual"] == 2
    assert not {"launched", "terminated", "draining", "promoted"} & {event["event"] for event in run.events}
    assert set(fleet.registry.servers().serving) == set(fleet.addresses)
    assert set(fleet.redis.client.keys("*")) == keys
    assert children() == before
    counted = sum(row["requests"] for row in run.metrics.to_pylist() if row["server"] > 0)
    assert counted > 100
    assert told == {"proxy": fleet.proxy, "redis": fleet.redis.url}
    assert report(tmp_path / "run")[0].stat().st_size > 10_000
    assert json.loads((tmp_path / "run" / "host.json").read_text())["backend"] == "attach"


@pytest.mark.long
def test_a_server_that_says_nothing_any_more_is_unknown_and_one_that_leaves_is_gone(fleet: Fleet) -> None:
    first, second = fleet.roles[:2]
    silent = str(first.said("up")[0]["address"])
    leaving = str(second.said("up")[0]["address"])
    os.kill(first.process.pid, signal.SIGSTOP)
    try:
        text = FILE.replace("60/s", "5/s").replace("requests_high: 10/s", "requests_high: 1/s")

        def leave(figures: Figures) -> None:
            if figures.now == 2 * SECOND:
                fleet.registry.deregister(leaving)

        run = replay(Scenario.parse(text), backend="attach", flight=fleet.options(watch=leave))
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
    fleet.registry.register(leaving, "serving")
    # The sample of the stopped one is older than max_sample_age: half of the fleet is unknown, which is no reason to do anything.
    reasons = [event["reason"] for event in run.events if event["event"] == "decision"]
    assert "unknown" in reasons
    assert [event["address"] for event in run.events if event["event"] == "unlisted"] == [leaving]
    number = next(event["server"] for event in run.events if event.get("address") == silent)
    assert {row["requests"] for row in run.metrics.to_pylist() if row["server"] == number} == {0}


@pytest.mark.long
def test_a_registry_that_goes_away_and_comes_back(fleet: Fleet) -> None:
    pid = fleet.redis.pid

    def blink(figures: Figures) -> None:
        if figures.now == SECOND:
            os.kill(pid, signal.SIGSTOP)
        elif figures.now == 4 * SECOND:
            os.kill(pid, signal.SIGCONT)

    text = FILE.replace("4s", "6s")
    try:
        run = replay(Scenario.parse(text), backend="attach", flight=fleet.options(watch=blink))
    finally:
        os.kill(pid, signal.SIGCONT)
    # Proxy and app servers serve on, and so does the load.
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    names = [event["event"] for event in run.events]
    assert names.count("registry_unreachable") == 1
    assert names.count("registry_reachable") == 1
    reasons = [event["reason"] for event in run.events if event["event"] == "decision"]
    assert "unreachable" in reasons


@pytest.mark.long
def test_ctrl_c_ends_the_watching_and_not_the_fleet(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(FILE.replace("4s", "60s"))
    command = [
        sys.executable, "-m", "windtunnel", "replay", "s.yaml", "--backend", "attach", "--out", "run",
        "--proxy", fleet.proxy, "--redis-url", fleet.redis.url,
    ]  # fmt: skip
    watcher = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert watcher.stderr is not None
        first = watcher.stderr.readline()
        assert first == f"proxy    {fleet.proxy}\n", first + watcher.stderr.read()
        until(
            lambda: any((tmp_path / "run" / "parts").glob("requests-*.arrow")), "answers on record", PATIENCE
        )
        family = psutil.Process(watcher.pid).children(recursive=True)
        assert len(family) >= 2
        watcher.send_signal(signal.SIGINT)
        _, message = watcher.communicate(timeout=PATIENCE)
    finally:
        watcher.kill()
        watcher.communicate()
    assert watcher.returncode == 130, message
    assert not psutil.wait_procs(family, timeout=DEADLINE)[1]
    run = Run.open(tmp_path / "run")
    assert run.partial
    assert run.requests.num_rows > 0
    assert answers(fleet.proxy) == 200


# A server that knows nothing of us.


class Foreign(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def foreign() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.long
def test_a_foreign_server_without_a_registry(foreign: str, tmp_path: Path) -> None:
    scenario = Scenario.parse(FILE.replace("4s", "2s"))
    run = replay(
        scenario, backend="attach", flight=FlightOptions(proxy=foreign), out=tmp_path / "run", figure=False
    )
    assert run.passed
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    rows = run.metrics.to_pylist()
    assert {row["server"] for row in rows} == {0}
    assert sum(row["requests"] for row in rows) == run.summary["planned"]
    # Nobody but the client says what happened when.
    (known,) = {
        tuple(name for name in row if name.endswith("_ns") and row[name] >= 0)
        for row in run.attempts.to_pylist()
    }
    assert "end_ns" in known
    assert "routed_ns" not in known
    # There is nothing to decide by.
    assert [event["event"] for event in run.events] == ["run", "end"]
    assert report(tmp_path / "run")[0].stat().st_size > 10_000


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(BackendFailure, match=f"^{nobody}: expected a proxy that accepts connections, got "):
        replay(Scenario.parse(FILE), backend="attach", flight=FlightOptions(proxy=nobody))


def test_a_registry_that_is_not_there_is_one_sentence(foreign: str) -> None:
    options = FlightOptions(proxy=foreign, redis_url=f"redis://127.0.0.1:{free_port()}")
    before = children()
    with pytest.raises(RegistryError):
        replay(Scenario.parse(FILE), backend="attach", flight=options)
    assert children() == before


def test_a_registrys_address_is_checked() -> None:
    with pytest.raises(
        UsageError, match=r"^--redis-url: expected redis://HOST:PORT/DATABASE, got 'localhost'"
    ):
        FlightOptions(redis_url="localhost")
