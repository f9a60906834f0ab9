"""Pushes to a bare repository, built by ``windtunnel deploy serve``: rehearsed, deployed with Ansible to hosts that are folders of this machine, verified; under a steady load."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from windtunnel.backends.deploy.server.build_client import BuildClient

from ..deploy.support_builds import SECRET, Repo, git, pipeline
from ..redis_fixture import RedisServer, free_port
from .hosts import hosts_of, until
from .pushed_fleet import PASSWORD, Fleet, pushed_fleet, quick
from .test_apply import apply

pytestmark = pytest.mark.long


@pytest.fixture
def fleet(tmp_path: Path, redis_server: RedisServer) -> Iterator[Fleet]:
    """Two app servers, a canary and a proxy on which nothing runs yet, and a build server without builds."""
    with pushed_fleet(tmp_path, redis_server) as fleet:
        yield fleet


def test_pushes_deploy_without_a_lost_request_and_a_bad_rehearsal_stops_one(fleet: Fleet) -> None:
    hosts = fleet.hosts
    first = fleet.passes("master")
    fleet.passes("proxy")
    assert set(hosts.versions().values()) == {first}
    with fleet.load():
        second = fleet.passes("master")
    addresses = {hosts.address("app1"), hosts.address("app2")}
    assert hosts.versions() == dict.fromkeys(addresses, second)
    proxy = hosts.pid("proxy1", "proxy")
    with fleet.load():
        fleet.passes("proxy")
    assert hosts.pid("proxy1", "proxy") not in (0, proxy)
    # The rehearsal of a version that fails violates an objective: nothing is deployed, nothing is taken back.
    servers = [hosts.pid(name) for name in ("app1", "app2")]
    with fleet.load():
        _, build = fleet.push("master", quick("master", {"error_share": "20%"}))
    assert (build.state, build.reason) == ("failed", "rehearse: exit code 3"), fleet.story(build)
    assert [run.state for run in build.stages] == ["passed", "failed", "not run", "not run"]
    assert [hosts.pid(name) for name in ("app1", "app2")] == servers
    assert hosts.versions() == dict.fromkeys(addresses, second)


def test_a_push_of_a_good_canary_reaches_all_and_a_bad_one_is_taken_back(fleet: Fleet) -> None:
    hosts = fleet.hosts
    fleet.passes("master")
    fleet.passes("proxy")
    with fleet.load(rate=80):
        good = fleet.passes("canary")
    addresses = {hosts.address(name) for name in ("app1", "app2", "canary1")}
    assert hosts.versions() == dict.fromkeys(addresses, good)
    servers = [hosts.pid(name) for name in ("app1", "app2")]
    with fleet.load(failures=0.3, rate=80) as load:
        _, build = fleet.push("canary", status=500)
    assert (build.state, build.reason) == ("failed", "deploy: exit code 3; rolled back"), fleet.story(build)
    assert load.outcomes["500"] > 0
    said, back = fleet.log(build, "deploy").split("the way back begins")
    assert "rollback started" in said
    assert f"canary {good}: promoted" in back
    assert "analysing" not in back, "what has served before is not compared again"
    assert hosts.versions() == dict.fromkeys(addresses, good)
    assert [hosts.pid(name) for name in ("app1", "app2")] == servers
    assert hosts.registry.canary_share() is None


def test_a_canary_that_had_gone_on_to_the_app_servers_is_taken_back_from_them_too(fleet: Fleet) -> None:
    hosts = fleet.hosts
    apply(hosts, "master", "v1", hosts.source("v1"))
    apply(hosts, "proxy", "v1", hosts.source("v1"))
    # Without requests to compare no analysis has a verdict.
    with fleet.load(rate=80):
        good = fleet.passes("canary")
    verify = next(one for one in fleet.pipeline["stages"] if one["stage"] == "verify")
    verify["steps"].append("echo it is not what we want; exit 1")
    with fleet.load(rate=80):
        bad, build = fleet.push("canary")
    assert (build.state, build.reason) == ("failed", "verify: exit code 1; rolled back"), fleet.story(build)
    assert f"canary {bad}: promoted" in fleet.log(build, "deploy")
    back = fleet.log(build, "verify").split("the way back begins")[1]
    assert "analysing" not in back
    assert f"master {good}: promoted" in back
    addresses = {hosts.address(name) for name in ("app1", "app2", "canary1")}
    assert hosts.versions() == dict.fromkeys(addresses, good)
    assert hosts.registry.updating() == ()


def test_a_push_to_redis_starts_registry_and_autoscaler_anew_and_traffic_goes_on(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "correct-horse-battery"
    monkeypatch.setenv(PASSWORD, password)
    with pushed_fleet(tmp_path, redis_server, canaries=0, password=password) as fleet:
        hosts = fleet.hosts
        # A fleet that serves: nobody verifies a registry without one.
        for branch in ("redis", "master", "proxy"):
            apply(hosts, branch, "v1", hosts.source("v1"))
        listed = hosts.registry.servers()
        assert len(listed.serving) == 2
        names = [
            ("redis1", "redis"),
            ("autoscaler1", "autoscaler"),
            ("proxy1", "proxy"),
            ("app1", "app"),
            ("app2", "app"),
        ]
        before = {name: hosts.pid(name, service) for name, service in names}
        assert all(before.values())
        with fleet.load():
            _, build = fleet.push("redis")
        assert build.state == "passed", fleet.story(build)
        rehearsed = json.loads((fleet.rehearsed(build) / "summary.json").read_text())
        assert set(rehearsed["outcomes"]) == {"ok"}, "which is what was measured, too"
        after = {name: hosts.pid(name, service) for name, service in names}
        assert all(after.values())
        assert {name for name, pid in after.items() if pid != before[name]} == {"redis1", "autoscaler1"}
        # Its lists outlive it, so that nobody had to be found again.
        assert hosts.registry.servers() == listed


def test_the_build_server_is_deployed_and_builds_what_is_pushed_to_it(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=1) as hosts:
        secret, port = tmp_path / "webhook.secret", free_port()
        secret.write_text(SECRET)
        secret.chmod(0o600)
        root = hosts.roots["build1"] = tmp_path / "build1"
        inventory = yaml.safe_load(hosts.inventory.read_text())
        variables = {
            "common_root": str(root), "build_port": port, "build_redis_url": f"{redis_server.url}/1", "build_packages": [],
            "build_webhook_secret_file": str(secret), "build_environment": {"WINDTUNNEL_REDIS_URL": redis_server.url},
        }  # fmt: skip
        inventory["all"]["children"]["build"] = {"hosts": {"build1": variables}}
        hosts.inventory.write_text(yaml.safe_dump(inventory))
        apply(hosts, "build", "b1", hosts.source("b1"), "--check")
        assert not (root / "run" / "fleet.git").exists()
        assert "changed: build1" in apply(hosts, "build", "b1", hosts.source("b1"))
        pid = hosts.pid("build1", "build")
        assert "nothing to change" in apply(hosts, "build", "b1", hosts.source("b1"))
        assert hosts.pid("build1", "build") == pid
        repo = Repo(tmp_path / "git")
        git(repo.clone, "remote", "set-url", "origin", str(root / "run" / "fleet.git"))
        repo.commit(pipeline('test "$WINDTUNNEL_REDIS_URL" = ' + redis_server.url))
        assert "build 1" in repo.push()
        client = BuildClient(f"http://127.0.0.1:{port}")
        until(lambda: not client.build(1).open, "the build ends")
        assert client.build(1).state == "passed", client.build(1).reason
