"""Flights in network namespaces: what tc is told, what is refused, that links are really disturbed, and that nothing is left."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.backends.local.network import checks, choosing, clearing, shaping
from windtunnel.backends.local.network.checks import check_network
from windtunnel.backends.local.network.naming import Names, owner, run
from windtunnel.backends.local.options import FlightOptions
from windtunnel.core.errors import BackendFailure, UsageError
from windtunnel.core.fault_family import link_toxic
from windtunnel.core.model import SECOND, FaultSpec
from windtunnel.scenarios.build import compile_plan

from ..app.running import until
from .test_flight import PATIENCE, started

MINE = Names(os.getpid())
LOST = Names(4_194_303)
"""Of a conductor that is no more: hardly a machine has as many processes."""


def left(names: Names) -> list[str]:
    """Namespaces and devices of a flight."""
    devices = run("ip", "-o", "link", "show").splitlines()
    found = [*clearing.namespaces(), *(line.split()[1].partition("@")[0].rstrip(":") for line in devices)]
    return [name for name in found if owner(name) == names.pid]


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Network namespaces may be made; afterwards nothing is left of them."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.fail("expected root, ip and tc: apt install iproute2, and run this as root")
    try:
        run("ip", "netns", "add", MINE.trial)
    except BackendFailure as error:
        pytest.fail(f"expected to be allowed to make network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN): {error}")  # fmt: skip
    clearing.remove(MINE.trial)
    try:
        yield
        assert left(MINE) == []
    finally:
        clearing.clear([MINE.pid, LOST.pid])


def wrong(kind: str, upstream: bool = True, toxicity: float = 1.0, **attributes: float) -> tuple[Any, Any]:
    fault = FaultSpec(
        "one", kind, 0, "app", upstream=upstream, toxicity=toxicity, attributes=tuple(attributes.items())
    )
    return link_toxic([fault])


def test_what_tc_is_told() -> None:
    far = wrong("latency", latency=40_000_000, jitter=5_000_000)
    assert shaping.leaving("eth0", far[0]) == (
        "qdisc replace dev eth0 root netem limit 1000000 delay 40000us 5000us"
    )
    narrow = wrong("bandwidth", upstream=False, rate=1_000_000.0)
    assert narrow[0] == {}
    assert shaping.leaving("eth0", narrow[0]) == "qdisc replace dev eth0 root noqueue"
    assert shaping.leaving("eth0", narrow[1]) == (
        "qdisc replace dev eth0 root tbf rate 8000000bit burst 3200 limit 1gb"
    )
    assert shaping.leaving("eth0", far[0] | narrow[1]).endswith("delay 40000us 5000us rate 8000000bit")
    (lossy,) = shaping.arriving("eth0", wrong("loss", toxicity=0.25)[0])
    assert '"4,32 0 0 4294963256,53 0 1 1073741824,6 0 0 4294967295,6 0 0 2"' in lossy
    (cut,) = shaping.arriving("eth0", wrong("partition")[0])
    assert '"1,6 0 0 2"' in cut
    (well,) = shaping.arriving("eth0", {})
    assert '"1,6 0 0 4294967295"' in well


def test_whose_a_name_is() -> None:
    names = Names(4_194_304)
    assert {owner(name) for name in (names.bridge, names.clients, names.proxy, names.server(65_535))} == {
        4_194_304
    }
    assert max(map(len, (names.server(65_535), names.bridge))) <= 15
    assert not any(owner(name) for name in ("wt", "wt1", "wtn1", "wtx1n2", "eth0", "wt1n", "mywt1n2"))


@pytest.mark.parametrize(
    ("routes", "chosen"),
    [([], "10.160"), (["10.160.3.0/24", "default"], "10.161"), (["10.0.0.0/8", "127.0.0.1"], "198.18")],
)
def test_its_network_is_nobody_elses(monkeypatch: pytest.MonkeyPatch, routes: list[str], chosen: str) -> None:
    monkeypatch.setattr(choosing, "run", lambda *words: json.dumps([{"dst": one} for one in routes]))
    assert choosing.free_network(64) == chosen
    monkeypatch.setattr(choosing, "run", lambda *words: json.dumps([{"dst": "0.0.0.0/1"}, {"dst": "128.0.0.0/1"}]))  # fmt: skip
    with pytest.raises(BackendFailure, match="expected a network that this machine does not use"):
        choosing.free_network(64)


FLEET = """
scenario: apart
seed: 5
duration: 18s
fleet:
  app: {initial: 2, min: 2, workers: 8, cores: 2, queue: 64}
  proxy: {upstream_timeout: 1s, routing: round_robin}
  dependencies: [{name: db, service: {constant: 5ms}, concurrency: 50}]
endpoints: [{path: /, cpu: {constant: 2ms}, calls: [db], response_size: 20KB}]
traffic: [{name: users, stages: [{for: 18s, rate: 40/s}], client: {timeout: 5s, connections: {pool: 50}}}]
autoscaler: {policy: {target_tracking: {metric: requests, target: 100/s}}, interval: 1s, cooldown: 2s, dead_after: 4s}
faults:
"""
FAULTS = """
  - {name: deaf, type: partition, at: 2s, for: 2s, target: {count: all}, stream: downstream}
  - {name: narrow, type: bandwidth, at: 7s, for: 2s, target: {role: proxy}, attributes: {rate: 1MB}}
  - {name: cut-off, type: partition, at: 11s, for: 6s, target: {count: 1}, attributes: {from: registry}}
"""


@pytest.mark.parametrize(
    ("fault", "root", "given", "said"),
    [
        ("{name: a, type: loss, at: 1s, toxicity: 5%, target: {role: app}}", False, False, "expected root"),
        ("{name: a, type: loss, at: 1s, toxicity: 5%, target: {role: app}}", True, True, "expected no --redis-url"),
        ("{name: a, type: latency, at: 1s, toxicity: 5%, target: {role: app}, attributes: {latency: 1ms}}", True, False,
         "fault a: tc netem delays every packet; expected no toxicity, got 5%"),
        ("{name: a, type: latency, at: 1s, target: {role: app}, attributes: {latency: 1ms}}", True, False,
         "fault a: latency is made by tc netem, which this kernel lacks .CONFIG_NET_SCH_NETEM.; expected one that has it, or no --network"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, fault: str, root: bool, given: bool, said: str
) -> None:
    def lacking(program: str, lines: list[str], inside: str = "") -> None:
        if "netem" in " ".join(lines):
            raise BackendFailure("tc: Specified qdisc kind is unknown.")

    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(shutil, "which", lambda program: f"/sbin/{program}")
    monkeypatch.setattr(checks, "run", lambda *words: "")
    monkeypatch.setattr(checks, "batch", lacking)
    monkeypatch.setattr(checks, "remove", lambda name: None)
    plan = compile_plan(Scenario.parse(f"{FLEET}  - {fault}\n"))
    with pytest.raises(UsageError, match=f"--network namespaces: .*{said}"):
        check_network(plan, given)


def test_other_backends_keep_their_links() -> None:
    options = FlightOptions(proxy="http://127.0.0.1:1", network="namespaces")
    with pytest.raises(UsageError, match="--network: expected --backend local"):
        replay(Scenario.parse(FLEET.replace("faults:\n", "")), backend="attach", flight=options)


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_what_a_lost_conductor_left_is_removed_by_name() -> None:
    run("ip", "netns", "add", LOST.server(3))
    run("ip", "netns", "add", MINE.server(3))
    run("ip", "link", "add", LOST.bridge, "type", "bridge")
    sleeper = subprocess.Popen(["ip", "netns", "exec", LOST.server(3), "sleep", "60"])
    try:
        until(lambda: run("ip", "netns", "pids", LOST.server(3)).split(), "it is there", PATIENCE)
        clearing.clear_lost()
        assert sleeper.wait(PATIENCE) == -signal.SIGKILL
        assert (left(LOST), left(MINE)) == ([], [MINE.server(3)])
    finally:
        sleeper.kill()
        sleeper.wait()
        clearing.remove(MINE.server(3))


def share(flown: Run, outcome: str, begin: float, end: float) -> float:
    rows = flown.requests.select(["time_ns", "outcome"]).to_pylist()
    found = [row["outcome"] for row in rows if begin * SECOND <= row["time_ns"] < end * SECOND]
    return found.count(outcome) / len(found)


def median(flown: Run, begin: float, end: float) -> float:
    rows = flown.requests.select(["time_ns", "latency_ns"]).to_pylist()
    found = sorted(
        float(row["latency_ns"]) for row in rows if begin * SECOND <= row["time_ns"] < end * SECOND
    )
    return found[len(found) // 2] / 1e6


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_links_are_disturbed_as_in_the_rehearsal_and_well_afterwards(tmp_path: Path) -> None:
    scenario = Scenario.parse(FLEET + FAULTS)
    told: dict[str, Any] = {}
    options = FlightOptions(network="namespaces", announce=told.update)
    flown = replay(scenario, backend="local", flight=options, out=tmp_path / "flight", figure=False)
    rehearsed = replay(scenario)
    network = told["proxy"].removeprefix("http://").rpartition(":")[0].rsplit(".", 2)[0]
    assert network.startswith("10.")
    assert all(where.startswith(f"http://{network}.0.") for where in told["servers"].values())
    for one in (rehearsed, flown):
        assert share(one, "ok", 0, 2) == share(one, "ok", 5.5, 7) == 1.0
        # All that begin a second before its end wait in vain for one.
        assert share(one, "upstream_timeout", 2.1, 2.9) > 0.9
        assert median(one, 7, 9) > median(one, 5.5, 7) + 15
    assert median(flown, 7, 9) == pytest.approx(median(rehearsed, 7, 9), rel=0.6, abs=30)
    assert median(flown, 9.5, 11) < median(flown, 7, 9) - 10
    # Who is cut off from the registry serves on, until it has been silent for too long.
    silent = [[event["server"] for event in one.events if event["event"] == "terminated"] for one in (rehearsed, flown)]  # fmt: skip
    assert silent[0] == silent[1] != []
    assert share(flown, "ok", 11, 14) == 1.0


@pytest.mark.long
@pytest.mark.usefixtures("nothing_left")
def test_nothing_is_left_of_a_conductor_that_is_killed(tmp_path: Path) -> None:
    text = FLEET.replace("18s", "120s") + FAULTS
    with started(tmp_path, "--network", "namespaces", text=text) as conductor:
        names = Names(conductor.pid)
        events = tmp_path / "run" / "events.jsonl"
        until(lambda: events.exists() and '"fault"' in events.read_text(), "the first fault", PATIENCE)
        assert {names.proxy, names.server(1), names.server(2), names.bridge} <= {*left(names)}
        family = psutil.Process(conductor.pid).children(recursive=True)
        conductor.send_signal(signal.SIGKILL)
        conductor.wait(PATIENCE)
        assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
    until(lambda: left(names) == [], "they are removed", PATIENCE)
