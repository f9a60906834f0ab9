"""Flights: the plan of the rehearsal, row for row, against real processes; and nothing is left behind, however they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel import Run, Scenario, replay, report
from windtunnel.backends.local.options import Figures, FlightOptions
from windtunnel.backtesting import backtest, explain

from ..app.running import until
from ..redis_fixture import RedisServer

SMALL = """
scenario: small
seed: 3
duration: 4s
fleet:
  app: {initial: 2, workers: 4, cores: 2, queue: 64}
  proxy: {upstream_timeout: 20s}
endpoints:
  - {path: /, weight: 3, cpu: {exponential: {mean: 8ms}}, response_size: 12KiB}
  - {path: /slow, cpu: {constant: 1ms}, io: {constant: 30ms}, status: 404}
traffic:
  - {name: users, stages: [{for: 4s, rate: 60/s}], client: {timeout: 10s, connections: {pool: 50}}}
  - {name: closed, closed: {concurrency: 3, for: 4s, think: {constant: 50ms}}, client: {connections: per_request}}
slo:
  - {name: answered, indicator: availability, above: 99%}
"""

LONG = SMALL.replace("4s", "60s")
PATIENCE = 120.0


@pytest.fixture(autouse=True)
def _no_file_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Temporary files of a flight go to a folder of the test's own, and are gone afterwards."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, list[Figures], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("flight")
    scenario = Scenario.parse(SMALL)
    figures: list[Figures] = []
    told: dict[str, Any] = {}
    options = FlightOptions(announce=told.update, watch=figures.append)
    flown = replay(scenario, backend="local", flight=options, out=folder / "flight", figure=False)
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


@contextmanager
def started(
    folder: Path, *more: str, text: str = SMALL, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """The command line flies *text* into the folder ``run`` of *folder*; it is gone afterwards, and so is its fleet."""
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
    conductor = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )  # fmt: skip
    try:
        yield conductor
    finally:
        conductor.kill()
        conductor.communicate()


def role_of(conductor: subprocess.Popen[str], name: str) -> psutil.Process | None:
    """The process of its role *name*, if it is there."""
    for process in psutil.Process(conductor.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.cmdline()[-1:] == [name]:
                return process
    return None


def family_in_flight(folder: Path, conductor: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its processes once answers are on record: Redis, two servers, proxy, load generator."""

    def recorded() -> bool:
        assert conductor.poll() is None, conductor.communicate()
        return any((folder / "run" / "parts").glob("requests-*.arrow"))

    until(recorded, "answers on record", PATIENCE)
    family: list[psutil.Process] = psutil.Process(conductor.pid).children(recursive=True)
    assert len(family) >= 5
    return family


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        signal.SIGKILL,
    ],
)
def test_no_process_outlives_its_conductor(tmp_path: Path, sent: signal.Signals) -> None:
    with started(tmp_path, text=LONG) as conductor:
        family = family_in_flight(tmp_path, conductor)
        conductor.send_signal(sent)
        _, message = conductor.communicate(timeout=PATIENCE)
    assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
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
    with started(tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}") as conductor:
        _, message = conductor.communicate(timeout=PATIENCE)
    assert conductor.returncode == 4
    assert message == "a backend failed: redis-server ended with status 7\n"


@pytest.mark.long
def test_held_until_interrupted_it_is_a_whole_run(tmp_path: Path) -> None:
    with started(tmp_path, "--hold", text=SMALL.replace("4s", "1s")) as conductor:
        load = until(lambda: role_of(conductor, "load"), "the load generator", PATIENCE)
        until(lambda: not load.is_running(), "the plan is flown", PATIENCE)
        time.sleep(2)
        family = psutil.Process(conductor.pid).children(recursive=True)
        assert len(family) >= 4
        conductor.send_signal(signal.SIGINT)
        _, message = conductor.communicate(timeout=PATIENCE)
    assert conductor.returncode == 0, message
    assert not Run.open(tmp_path / "run").partial
    assert not psutil.wait_procs(family, timeout=PATIENCE)[1]


def test_a_killed_server_is_struck_and_seen(tmp_path: Path) -> None:
    text = SMALL + "faults: [{name: dies, type: kill, at: 1500ms, target: {role: app, count: 1}}]\n"
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run", figure=False)
    rehearsed = replay(Scenario.parse(text))
    struck = [event for event in flown.events if event["event"] in ("fault", "killed")]
    assert [event["event"] for event in struck] == ["fault", "killed"]
    assert struck[0]["targets"] == next(e["targets"] for e in rehearsed.events if e["event"] == "fault")
    assert 1_500_000_000 <= struck[0]["t"] < 4_000_000_000
    states = {(row["server"], row["state"]) for row in flown.metrics.to_pylist()}
    assert (struck[1]["server"], "failed") in states


@pytest.mark.long
def test_a_proxy_that_is_restarted_comes_back(tmp_path: Path) -> None:
    text = SMALL + "faults: [{name: swap, type: proxy_restart, at: 1s, target: {role: proxy}}]\n"
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run", figure=False)
    names = [event["event"] for event in flown.events]
    assert names.index("fault") < names.index("proxy_down") < names.index("proxy_up")
    last = [row for row in flown.requests.to_pylist() if row["time_ns"] > 3_500_000_000]
    assert last
    assert {row["outcome"] for row in last} == {"ok"}


@pytest.mark.long
def test_a_proxy_whose_memory_is_exhausted_crashes_and_comes_back(tmp_path: Path) -> None:
    crash = "{upstream_timeout: 20s, memory: {total: 50MiB, base: 40MiB, per_connection: 4MiB}, on_exhaustion: crash, restart_after: 500ms}"
    text = SMALL.replace("{upstream_timeout: 20s}", crash).replace("pool: 50", "pool: 8").replace("4s", "5s")
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run", figure=False)
    downs = [event for event in flown.events if event["event"] in ("proxy_down", "proxy_up")]
    assert [event["event"] for event in downs[:2]] == ["proxy_down", "proxy_up"]
    assert all(one["event"] != other["event"] for one, other in pairwise(downs))
    assert downs[0]["cause"] == "memory"
    assert downs[1]["t"] - downs[0]["t"] >= 500_000_000
    assert flown.summary["outcomes"]["refused"] > 0


def test_an_autoscaler_launches_drains_and_ends_and_is_replaced_when_it_crashes(tmp_path: Path) -> None:
    text = """
scenario: scaling
duration: 16s
fleet: {app: {initial: 1, max: 3, workers: 8, boot_time: {constant: 500ms}}}
endpoints: [{path: /, cpu: {constant: 5ms}}]
traffic: [{name: users, stages: [{for: 6s, rate: 60/s}, {for: 10s, rate: 4/s}], client: {connections: {pool: 20}}}]
autoscaler: {policy: {target_tracking: {metric: requests, target: 25/s}}, cooldown: 1s}
faults: [{name: dies, type: autoscaler_crash, at: 3500ms, for: 500ms, target: {role: autoscaler}}]
slo: [{name: answered, indicator: availability, above: 99%}]
"""
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run", figure=False)
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


@pytest.mark.long
def test_a_fleet_flies_from_no_server_to_one_and_back(tmp_path: Path) -> None:
    text = """
scenario: zero
duration: 16s
fleet: {app: {initial: 0, min: 0, max: 2, workers: 8, boot_time: {constant: 500ms}}}
endpoints: [{path: /, cpu: {constant: 2ms}}]
traffic: [{name: users, stages: [{for: 7s, rate: 40/s}, {for: 9s, rate: 0/s}], client: {connections: {pool: 20}}}]
autoscaler: {policy: {queue: {target: 100/s, polling: 1s, sync: 1s, cooldown: 2s, downscale_stabilization: 1s}}}
"""
    flown = replay(Scenario.parse(text), backend="local", out=tmp_path / "run")
    decisions = [event for event in flown.events if event["event"] == "decision"]
    assert (decisions[0]["reason"], decisions[0]["actual"], decisions[0]["desired"]) == ("active", 0, 1)
    assert [event["desired"] for event in decisions][-1] == 0
    counts = flown.summary["outcomes"]
    assert set(counts) == {"ok", "no_server"}, counts
    assert counts["ok"] > 40
    ended = [event["reason"] for event in flown.events if event["event"] == "terminated"]
    assert ended == ["drained"]
    assert flown.summary["fleet"]["last"] == 0


@pytest.mark.long
def test_a_registry_of_the_users_is_left_as_it_was(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.client.set("theirs", "1")
    options = FlightOptions(redis_url=redis_server.url)
    text = SMALL.replace("4s", "2s").replace("initial: 2,", "initial: 2, max: 3,")
    text += "autoscaler: {policy: {target_tracking: {metric: requests, target: 25/s}}}\n"
    flown = replay(Scenario.parse(text), backend="local", flight=options, out=tmp_path / "run", figure=False)
    assert flown.passed
    assert [event for event in flown.events if event["event"] == "decision"]
    assert redis_server.client.keys("*") == ["theirs"]


@pytest.mark.long
def test_load_from_two_processes_is_the_same_plan(tmp_path: Path, runs: tuple[Run, Run, Any, Any]) -> None:
    rehearsed = runs[0]
    options = FlightOptions(load_processes=2)
    flown = replay(Scenario.parse(SMALL), backend="local", flight=options, out=tmp_path / "run", figure=False)
    assert planned(flown, "users") == planned(rehearsed, "users")
    numbers = flown.requests.column("request").to_pylist()
    assert len(set(numbers)) == len(numbers)
    assert flown.summary["outcomes"] == {"ok": flown.summary["planned"]}
