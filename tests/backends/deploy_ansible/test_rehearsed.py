"""What a rehearsal says of a deploy, and what becomes of it: the same scenario rehearsed by the pipeline, and attached to the test hosts while the build server deploys to them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.backends.deploy.server.builds import Build

from ..deploy.support_builds import windtunnel
from ..redis_fixture import RedisServer
from .hosts import FLEET, Hosts, until
from .pushed_fleet import PASSWORD, Fleet, pushed_fleet
from .test_apply import apply, begin, serve

pytestmark = pytest.mark.long

ENDPOINT = {"path": "/", "cpu": {"exponential": {"mean": "20ms"}}, "response_size": "20B"}
APP = {"workers": 8, "cores": 8, "max": 4}
DEPLOYED = {**FLEET, "fleet": {**FLEET["fleet"], "app": {"initial": 1, **APP}}, "endpoints": [ENDPOINT]}
NOTICED_SECONDS = 5.0
"""So much later than in the rehearsal a bad canary may be noticed: a few of the turns, which are a second apart."""
TURNS_SECONDS = 12.0
"""And so much longer the way back may take besides the playbook, of which no rehearsal knows how long it takes today."""


def scenario(
    branch: str, install: int, length: int, version: dict[str, Any], **deploy: Any
) -> dict[str, Any]:
    """The deploy of *branch* to hosts on which an exchange takes *install* seconds, under 40 requests a second, half of them on new connections."""
    app = {"initial": 2, "canaries": 1 if branch == "canary" else 0, **APP}
    stages = [{"for": f"{length}s", "rate": "20/s"}]
    return {
        "scenario": f"hosts-{branch}",
        "duration": f"{length}s",
        "fleet": {"app": app, "proxy": {"upstream_timeout": "5s"}, "registry": {"refresh_interval": "200ms"}},
        "endpoints": [ENDPOINT],
        "traffic": [
            {"name": "kept", "stages": stages, "client": {"timeout": "10s", "connections": {"pool": 20}}},
            {"name": "fresh", "stages": stages, "client": {"timeout": "10s", "connections": "per_request"}},
        ],
        "versions": {"next": version},
        "deploys": [
            {"at": "10s", "branch": branch, "version": "next", "install": f"{install}s", "min_ready": "1s", "drain": "5s", "max_surge": 0, "max_unavailable": 1, **deploy}
        ],
    }  # fmt: skip


def seconds_of_an_exchange(hosts: Hosts) -> int:
    """The first deploy of the app servers, and how long its playbook took."""
    process = begin(hosts, "master", "v1", source(hosts, "v1"))
    assert process.stdout is not None
    marks: dict[str, float] = {}
    for line in process.stdout:
        for mark in ("installing v1", "in rotation"):
            if mark in line:
                marks.setdefault(mark, time.monotonic())
    assert process.wait(60) == 0
    return max(1, round(marks["in rotation"] - marks["installing v1"]))


def source(hosts: Hosts, name: str) -> Path:
    """What is deployed first."""
    folder = hosts.source(name)
    (folder / "fleet.yaml").write_text(yaml.safe_dump(DEPLOYED))
    return folder


class Flights:
    """Deploys of a fleet by pushes, each attached to by its own scenario."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self._folder = folder
        self._count = 0

    def fly(self, branch: str, planned: dict[str, Any], **changes: Any) -> tuple[Build, dict[str, Any]]:
        """Attach, push, and wait for both; the build, and how its rehearsal and the flight compare."""
        self._count += 1
        file, flight = self._folder / f"{self._count}.yaml", self._folder / f"flight-{self._count}"
        file.write_text(yaml.safe_dump(planned))
        hosts = self.fleet.hosts
        words = [
            sys.executable, "-m", "windtunnel", "replay", str(file), "--backend", "attach", "--no-figure", "--out", str(flight),
            "--proxy", f"http://127.0.0.1:{hosts.proxy_port}", "--redis-url", hosts.redis_url,
        ]  # fmt: skip
        said = self._folder / f"flight-{self._count}.txt"
        with said.open("w") as output:
            process = subprocess.Popen(words, stdout=output, stderr=output, env=os.environ)
        try:
            until(lambda: "redis " in said.read_text() or process.poll() is not None, "the flight has begun")
            _, build = self.fleet.push(branch, planned, DEPLOYED, **changes)
            assert process.wait(300) == 0, said.read_text() + self.fleet.story(build)
        finally:
            process.kill()
            process.wait()
        rehearsal = str(self.fleet.rehearsed(build))
        done = windtunnel("compare", rehearsal, str(flight), "--tolerance", "deploys=any", "--json")
        assert done.stdout, done.stderr
        return build, json.loads(done.stdout)


def figure(compared: dict[str, Any], name: str) -> dict[str, Any]:
    """One figure of both."""
    found: dict[str, Any] = next(one for one in compared["figures"] if one["name"] == name)
    return found


def outcomes(compared: dict[str, Any]) -> set[str]:
    """Every outcome that some request had in either run."""
    return {one["name"] for one in compared["figures"] if one["unit"] == "1"}


def show(name: str, compared: dict[str, Any]) -> None:
    """What docs/deploys-live.md tells of it (with ``-s``)."""
    sys.stdout.write(f"\n{name}\n")
    for one in compared["figures"]:
        sys.stdout.write(f"  {one['name']}: {one['a']} {one['b']} {one['unit']} {one['verdict']}\n")


def test_pushes_to_master_and_proxy_lose_no_request_as_rehearsed(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with pushed_fleet(tmp_path, redis_server, canaries=0) as fleet:
        hosts = fleet.hosts
        install = seconds_of_an_exchange(hosts)
        apply(hosts, "proxy", "v1", source(hosts, "v1"))
        serve(hosts)
        flights = Flights(fleet, tmp_path)
        rolling = scenario("master", install, 60 + 4 * install, {}, expect="promoted")
        handed = scenario(
            "proxy", install, 50 + 3 * install, {}, connections="handed_over", expect="promoted"
        )
        for branch, planned in (("master", rolling), ("proxy", handed)):
            build, compared = flights.fly(branch, planned)
            show(branch, compared)
            assert build.state == "passed", fleet.story(build)
            assert outcomes(compared) == {"ok"}
            assert compared["deploys"]["verdict"] == "within"
            assert compared["deploys"]["pairs"][0]["b"]["end"] == "promoted"


def test_pushes_of_canaries_end_as_rehearsed_and_hurt_as_few(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with pushed_fleet(tmp_path, redis_server) as fleet:
        hosts = fleet.hosts
        install = seconds_of_an_exchange(hosts)
        first = source(hosts, "v1")
        apply(hosts, "canary", "v1", first, "--strategy", "all_at_once")
        apply(hosts, "proxy", "v1", first)
        serve(hosts)
        flights = Flights(fleet, tmp_path)
        analysis = {"for": "15s", "every": "3s", "error_margin": "5%", "latency_margin": "100%"}
        steps = [{"set_weight": "30%"}, {"analysis": analysis}]
        good = scenario(
            "canary", install, 90 + 6 * install, {}, strategy="canary", steps=steps, expect="promoted"
        )
        bad = scenario(
            "canary", install, 60 + 4 * install, {"error_share": "100%"}, strategy="canary", steps=steps, expect="rolled_back"
        )  # fmt: skip
        build, compared = flights.fly("canary", good)
        show("good canary", compared)
        assert build.state == "passed", fleet.story(build)
        assert outcomes(compared) == {"ok"}
        assert compared["deploys"]["verdict"] == "within"
        build, compared = flights.fly("canary", bad, status=500)
        show("bad canary", compared)
        assert build.reason == "deploy: exit code 3; rolled back", fleet.story(build)
        assert outcomes(compared) == {"ok", "app_error"}
        failed = figure(compared, "app_error")
        assert failed["verdict"] == "within"
        assert 0 < failed["b"] <= 3 * failed["a"]
        assert compared["deploys"]["pairs"][0]["b"]["end"] == "rolled_back"
        noticed, back = (figure(compared, f"canary next {name}") for name in ("noticed", "way back"))
        assert abs(noticed["b"] - noticed["a"]) <= NOTICED_SECONDS
        assert back["b"] <= 2 * back["a"] + TURNS_SECONDS


def test_a_push_to_redis_loses_no_request_as_rehearsed(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, "correct-horse-battery")
    with pushed_fleet(tmp_path, redis_server, canaries=0, password="correct-horse-battery") as fleet:
        hosts = fleet.hosts
        apply(hosts, "redis", "v1", source(hosts, "v1"))
        install = seconds_of_an_exchange(hosts)
        apply(hosts, "proxy", "v1", source(hosts, "v1"))
        serve(hosts)
        planned = scenario("redis", 1, 60 + 4 * install, {}, expect="promoted")
        build, compared = Flights(fleet, tmp_path).fly("redis", planned)
        show("redis", compared)
        assert build.state == "passed", fleet.story(build)
        assert outcomes(compared) == {"ok"}
        assert compared["deploys"]["verdict"] == "within"
