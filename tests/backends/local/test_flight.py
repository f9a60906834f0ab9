"""Flights: the plan of the rehearsal, row for row, against real processes; and nothing is left behind, however they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel import Run, Scenario, replay, report
from windtunnel.backends.connection import redis_client
from windtunnel.backends.local.options import Figures, FlightOptions
from windtunnel.backends.local.redis_server import RedisServer
from windtunnel.backtesting import backtest, explain

SMALL = """
scenario: small
seed: 3
duration: 4s
fleet:
  app: {initial: 2, workers: 4, cores: 2, queue: 64}
  proxy: {upstream_timeout: 5s}
endpoints:
  - {path: /, weight: 3, cpu: {exponential: {mean: 8ms}}, response_size: 12KiB}
  - {path: /slow, cpu: {constant: 1ms}, io: {constant: 30ms}, status: 404}
traffic:
  - {name: users, stages: [{for: 4s, rate: 60/s}], client: {timeout: 3s, connections: {pool: 50}}}
  - {name: closed, closed: {concurrency: 3, for: 4s, think: {constant: 50ms}}, client: {connections: per_request}}
slo:
  - {name: answered, indicator: availability, above: 99%}
"""

LONG = SMALL.replace("4s", "60s")


def roles_alive() -> list[str]:
    """Command lines of whatever a flight starts, of any flight of this test's processes."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = set(Path("/tmp").glob("*")) if os.path.isdir("/tmp") else set()
    yield
    assert roles_alive() == []
    new = {path.name for path in set(Path("/tmp").glob("*")) - before}
    assert not {name for name in new if "redis" in name or "windtunnel" in name}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, list[Figures], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("flight")
    scenario = Scenario.parse(SMALL)
    figures: list[Figures] = []
    told: dict[str, Any] = {}
    options = FlightOptions(announce=told.update, watch=figures.append)
    flown = replay(scenario, backend="local", flight=options, out=folder / "flight")
    return replay(scenario), flown, figures, told


def planned(run: Run, source: str) -> list[tuple[Any, ...]]:
    rows = run.requests.select(["source", "index", "endpoint", "time_ns"]).to_pylist()
    return sorted((row["index"], row["endpoint"], row["time_ns"]) for row in rows if row["source"] == source)


def test_the_plan_is_the_rehearsals_row_for_row(runs: tuple[Run, Run, Any, Any]) -> None:
    rehearsed, flown, _, _ = runs
    assert len(planned(flown, "users")) > 200
    assert planned(flown, "users") == planned(rehearsed, "users")
    closed = {index: endpoint for index, endpoint, _ in planned(rehearsed, "closed")}
    for index, endpoint, _ in planned(flown, "closed"):
        assert closed.setdefault(index, endpoint) == endpoint


def test_every_request_is_answered_as_planned(runs: tuple[Run, Run, Any, Any]) -> None:
    _, flown, _, _ = runs
    assert flown.passed
    assert flown.summary["outcomes"] == {"ok": flown.summary["planned"]}
    status = {row["endpoint"]: row["status"] for row in flown.requests.to_pylist()}
    assert status == {"/": 200, "/slow": 404}


def test_the_way_of_a_request_is_timed_at_every_station(runs: tuple[Run, Run, Any, Any]) -> None:
    rehearsed, flown, _, _ = runs
    stations = ["start_ns", "proxy_ns", "routed_ns", "arrived_ns", "started_ns", "cpu_done_ns", "served_ns",
                "answered_ns", "end_ns"]  # fmt: skip
    for row in flown.attempts.select(stations).to_pylist():
        times = [row[name] for name in stations]
        assert min(times) >= 0
        assert times == sorted(times)
    # What was drawn for a request is what it took: never less, and hardly more on a machine that has other things to do.
    demands = {
        (row["source"], row["index"]): row["latency_ns"] for row in rehearsed.requests.to_pylist()
        if row["endpoint"] == "/slow"
    }  # fmt: skip
    for row in flown.requests.to_pylist():
        if (row["source"], row["index"]) in demands:
            assert row["latency_ns"] >= 30_000_000


def test_the_same_run_directory_and_report(runs: tuple[Run, Run, Any, Any]) -> None:
    _, flown, _, _ = runs
    assert flown.directory is not None
    opened = Run.open(flown.directory)
    assert opened.digest == flown.digest
    assert json.loads((flown.directory / "host.json").read_text())["backend"] == "local"
    assert report(flown.directory)[0].stat().st_size > 10_000
    servers = {(row["server"], row["state"]) for row in opened.metrics.to_pylist()}
    assert servers == {(0, "serving"), (1, "serving"), (2, "serving")}
    names = [event["event"] for event in opened.events]
    assert names == ["run", "launched", "launched", "ready", "ready", "end"]


def test_live_figures_and_addresses(runs: tuple[Run, Run, list[Figures], dict[str, Any]]) -> None:
    _, flown, figures, told = runs
    assert len(figures) >= 4
    assert figures[-1].completed <= flown.summary["planned"]
    assert figures[-1].servers == 2
    assert list(told["servers"]) == ["1", "2"]
    for address in [told["proxy"], told["control"], *told["servers"].values()]:
        host, port = address.removeprefix("http://").split(":")
        with socket.socket() as probe:
            assert probe.connect_ex((host, int(port))) != 0, "somebody still listens there"


def start(folder: Path, *more: str, text: str = SMALL, **environment: str) -> subprocess.Popen[str]:
    (folder / "s.yaml").write_text(text)
    command = [
        sys.executable,
        "-m",
        "windtunnel",
        "replay",
        "s.yaml",
        "--backend",
        "local",
        "--out",
        "run",
        *more,
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def family_in_flight(conductor: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its processes once load is on its way: Redis, two servers, proxy, load generator."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and conductor.poll() is None:
        family: list[psutil.Process] = psutil.Process(conductor.pid).children(recursive=True)
        if len(family) >= 5 and conductor.stderr is not None:
            # Addresses are told when the scenario begins.
            assert conductor.stderr.readline().startswith("proxy ")
            time.sleep(5)
            family = psutil.Process(conductor.pid).children(recursive=True)
            return family
        time.sleep(0.05)
    conductor.kill()
    raise AssertionError(f"the fleet did not come up: {conductor.communicate()}")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_conductor(tmp_path: Path, sent: signal.Signals) -> None:
    conductor = start(tmp_path, text=LONG)
    family = family_in_flight(conductor)
    conductor.send_signal(sent)
    _, message = conductor.communicate(timeout=40)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    if sent != signal.SIGKILL:
        assert conductor.returncode == 130
        assert "what was recorded until then is in run" in message
    run = Run.open(tmp_path / "run")
    assert run.partial
    assert run.requests.num_rows > 0


def test_a_failure_in_start_up_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "redis-server"
    fake.write_text("#!/bin/sh\nexit 7\n")
    fake.chmod(0o755)
    conductor = start(tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    _, message = conductor.communicate(timeout=60)
    assert conductor.returncode == 4
    assert message == "a backend failed: redis-server ended with status 7\n"


def test_held_until_interrupted_it_is_a_whole_run(tmp_path: Path) -> None:
    conductor = start(tmp_path, "--hold")
    family = family_in_flight(conductor)
    time.sleep(6)
    conductor.send_signal(signal.SIGINT)
    _, message = conductor.communicate(timeout=40)
    assert conductor.returncode == 0, message
    assert not Run.open(tmp_path / "run").partial
    assert not psutil.wait_procs(family, timeout=20)[1]


def test_a_killed_server_is_struck_and_seen(tmp_path: Path) -> None:
    text = SMALL + "faults: [{name: dies, type: kill, at: 1500ms, target: {role: app, count: 1}}]\n"
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run")
    rehearsed = replay(Scenario.parse(text))
    struck = [event for event in flown.events if event["event"] in ("fault", "killed")]
    assert [event["event"] for event in struck] == ["fault", "killed"]
    assert struck[0]["targets"] == next(e["targets"] for e in rehearsed.events if e["event"] == "fault")
    assert 1_500_000_000 <= struck[0]["t"] < 2_500_000_000
    states = {(row["server"], row["state"]) for row in flown.metrics.to_pylist()}
    assert (struck[1]["server"], "failed") in states


@pytest.mark.long
def test_a_proxy_that_is_restarted_comes_back(tmp_path: Path) -> None:
    text = SMALL + "faults: [{name: swap, type: proxy_restart, at: 1s, target: {role: proxy}}]\n"
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run")
    names = [event["event"] for event in flown.events]
    assert names.index("fault") < names.index("proxy_down") < names.index("proxy_up")
    last = [row for row in flown.requests.to_pylist() if row["time_ns"] > 3_500_000_000]
    assert last
    assert {row["outcome"] for row in last} == {"ok"}


def test_a_proxy_whose_memory_is_exhausted_crashes_and_comes_back(tmp_path: Path) -> None:
    crash = "{upstream_timeout: 5s, memory: {total: 50MiB, base: 40MiB, per_connection: 4MiB}, on_exhaustion: crash, restart_after: 500ms}"
    text = SMALL.replace("{upstream_timeout: 5s}", crash).replace("pool: 50", "pool: 8")
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run")
    downs = [event for event in flown.events if event["event"] in ("proxy_down", "proxy_up")]
    assert [event["event"] for event in downs[:2]] == ["proxy_down", "proxy_up"]
    assert downs[0]["cause"] == "memory"
    assert downs[1]["t"] - downs[0]["t"] >= 500_000_000
    assert flown.summary["outcomes"]["refused"] > 0


def test_an_autoscaler_launches_drains_and_ends_and_is_replaced_when_it_crashes(tmp_path: Path) -> None:
    text = """
scenario: scaling
duration: 20s
fleet: {app: {initial: 1, max: 3, workers: 8, boot_time: {constant: 500ms}}}
endpoints: [{path: /, cpu: {constant: 5ms}}]
traffic: [{name: users, stages: [{for: 6s, rate: 60/s}, {for: 14s, rate: 4/s}], client: {connections: {pool: 20}}}]
autoscaler: {policy: {target_tracking: {metric: requests, target: 25/s}}, cooldown: 1s}
faults: [{name: dies, type: autoscaler_crash, at: 3500ms, for: 500ms, target: {role: autoscaler}}]
slo: [{name: answered, indicator: availability, above: 99%}]
"""
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run")
    names = [event["event"] for event in flown.events]
    for expected in ("decision", "launched", "booting", "ready", "draining", "terminated"):
        assert expected in names, names
    assert flown.passed, flown.summary["outcomes"]
    ended = [event for event in flown.events if event["event"] == "terminated"]
    assert {event["reason"] for event in ended} == {"drained"}
    assert {event["lost"] for event in ended} == {0}
    # Nobody waits only so long here: whatever is not answered would have been lost with a server.
    assert set(flown.summary["outcomes"]) == {"ok"}
    sizes = flown.summary["fleet"]
    assert sizes["most"] >= 2
    assert sizes["last"] == 1
    assert flown.decisions.column("time_ns").to_pylist()[0] == 10**9
    told = [sentence.text for sentence in explain(tmp_path / "run").story()]
    assert any("wanted: the policy asked for" in text and "Done: launch" in text for text in told), told
    again = backtest(tmp_path / "run", ["autoscaler.cooldown=1s"])
    assert (again.parts, again.otherwise) == (-1, 0)
    other = backtest(tmp_path / "run", ["autoscaler.policy.target_tracking.target=90/s"])
    assert 0 < other.parts <= 4 * 10**9


def test_a_registry_of_the_users_is_left_as_it_was(tmp_path: Path) -> None:
    import asyncio

    async def run() -> None:
        server = RedisServer()
        await server.start()
        try:
            client = redis_client(server.url)
            client.set("theirs", "1")
            options = FlightOptions(redis_url=server.url)
            text = SMALL.replace("4s", "2s").replace("initial: 2,", "initial: 2, max: 3,")
            text += "autoscaler: {policy: {target_tracking: {metric: requests, target: 25/s}}}\n"
            flown = await asyncio.to_thread(
                replay, Scenario.parse(text), backend="local", flight=options, out=tmp_path / "run"
            )
            assert flown.passed
            assert [event for event in flown.events if event["event"] == "decision"]
            assert client.keys("*") == ["theirs"]
        finally:
            await server.end()

    asyncio.run(run())


@pytest.mark.long
def test_load_from_two_processes_is_the_same_plan(tmp_path: Path, runs: tuple[Run, Run, Any, Any]) -> None:
    rehearsed = runs[0]
    options = FlightOptions(load_processes=2)
    flown = replay(Scenario.parse(SMALL), backend="local", flight=options, out=tmp_path / "run")
    assert planned(flown, "users") == planned(rehearsed, "users")
    numbers = flown.requests.column("request").to_pylist()
    assert len(set(numbers)) == len(numbers)
    assert flown.summary["outcomes"] == {"ok": flown.summary["planned"]}
