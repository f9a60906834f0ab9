"""Pushes to a bare repository, built by ``windtunnel deploy serve``: rehearsed, deployed with Ansible to hosts that are folders of this machine, verified; under a steady load."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.backends.deploy.server.build_client import BuildClient
from windtunnel.backends.deploy.server.builds import Build

from ..deploy.support_builds import SECRET, Repo, Server, git, pipeline
from ..redis_fixture import RedisServer, free_port
from .hosts import FLEET, Hosts, fetch, hosts_of, needs_ansible, until
from .load import SteadyLoad, steady_load
from .test_apply import apply

pytestmark = [needs_ansible, pytest.mark.long]

ROOT = Path(__file__).parents[3]
BUILD_SECONDS = 300.0
CANARY_SHARE = "30%"
COMMAND = f"{sys.executable} -m windtunnel"
PIPELINE: dict[str, Any] = {
    "pipeline": "fleet",
    "branches": {"master": "app", "canary": "canary", "proxy": "proxy"},
    "stages": [
        {"stage": "check out", "checkout": True},
        {"stage": "rehearse", "timeout": "4m", "steps": [f'{COMMAND} replay "deploys/$BRANCH_NAME.yaml" --no-figure --out runs/rehearsal']},
        {"stage": "deploy", "timeout": "4m", "roll_back": True, "steps": [f'{COMMAND} deploy apply --branch "$BRANCH_NAME" --version "$GIT_COMMIT" --inventory "$WINDTUNNEL_INVENTORY" --as-in "deploys/$BRANCH_NAME.yaml"']},
        {"stage": "verify", "timeout": "1m", "roll_back": True, "steps": [f"{COMMAND} fleet status"]},
    ],
    "roll_back": {"timeout": "4m", "steps": [f'{COMMAND} deploy apply --branch "$BRANCH_NAME" --version "$GIT_PREVIOUS_SUCCESSFUL_COMMIT" --inventory "$WINDTUNNEL_INVENTORY" --min-ready 500ms --strategy rolling']},
}  # fmt: skip


class ServeCommand(Server):
    """The build server as its command starts it."""

    def command(self, listen: str) -> list[str]:
        """``windtunnel deploy serve``."""
        bare, redis_url, folder = self.before
        secret_file, _, *env = self.after
        words = [
            sys.executable,
            "-m",
            "windtunnel",
            "deploy",
            "serve",
            "--repository",
            bare,
            "--redis-url",
            redis_url,
        ]
        words += ["--dir", folder, "--listen", listen, "--webhook-secret-file", secret_file, "--grace", "5"]
        return [*words, *(f"--env={one}" for one in env)]


class Fleet:
    """Hosts, and the repository and the build server from which they get their versions."""

    def __init__(self, hosts: Hosts, repo: Repo, server: Server) -> None:
        self.hosts = hosts
        self._repo = repo
        self._server = server
        self._builds = 0

    def push(self, branch: str, version: dict[str, Any] | None = None, **changes: Any) -> tuple[str, Build]:
        """Push a commit whose endpoint has *changes*, and whose rehearsal is of *version*; the commit and how its build ended."""
        (self._repo.clone / "deploys").mkdir(exist_ok=True)
        scenario = yaml.safe_load((ROOT / "deploys" / f"{branch}.yaml").read_text())
        scenario.get("versions", {}).get("next", {}).update(version or {})
        scenario["deploys"][0].update({"min_ready": "1s", "verify": "1s"})
        if branch == "canary":
            analysis = {"for": "10s", "error_margin": "3%", "latency_margin": "100%"}
            scenario["deploys"][0]["steps"] = [{"set_weight": CANARY_SHARE}, {"analysis": analysis}]
        fleet = {**FLEET, "endpoints": [{**FLEET["endpoints"][0], **changes}]}
        files = {"fleet.yaml": yaml.safe_dump(fleet), f"deploys/{branch}.yaml": yaml.safe_dump(scenario)}
        commit = self._repo.commit(PIPELINE, **files)
        self._builds += 1
        told = self._repo.push(branch)
        assert f"build {self._builds}" in told, told
        return commit, self._server.ended(self._builds, BUILD_SECONDS)

    def passes(self, branch: str, **changes: Any) -> str:
        """Push what must pass; the commit."""
        commit, build = self.push(branch, **changes)
        assert build.state == "passed", self.story(build)
        return commit

    def story(self, build: Build) -> str:
        """What its stages said."""
        logs = [self._server.log(build.number, run.stage) for run in build.stages if run.started]
        return f"{build.state} {build.reason}\n" + "".join(logs)

    @contextmanager
    def load(self, failures: float = 0.0, rate: float = 40.0) -> Iterator[SteadyLoad]:
        """A steady load, of which no more than a share of *failures* may be answered with 500, and nothing else may happen, while the block runs."""
        until(lambda: fetch(f"http://127.0.0.1:{self.hosts.proxy_port}/") == 200, "the proxy answers")
        with steady_load("127.0.0.1", self.hosts.proxy_port, rate) as load:
            yield load
        assert set(load.failures) <= ({"500"} if failures else set())
        assert load.outcomes["500"] <= failures * load.outcomes.total()
        assert load.outcomes["200"] > 50


@pytest.fixture
def fleet(tmp_path: Path, redis_server: RedisServer) -> Iterator[Fleet]:
    """Two app servers, a canary and a proxy on which nothing runs yet, and a build server without builds."""
    folder = tmp_path / "hosts"
    folder.mkdir()
    with hosts_of(folder, redis_server.url, apps=2, canaries=1) as hosts:
        repo = Repo(tmp_path / "git")
        env = (
            "PYTHONPATH",
            f"WINDTUNNEL_INVENTORY={hosts.inventory}",
            f"WINDTUNNEL_REDIS_URL={redis_server.url}",
        )
        with ServeCommand(tmp_path, repo, f"{redis_server.url}/1", *env) as server:
            server.hook()
            yield Fleet(hosts, repo, server)


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
        _, build = fleet.push("master", version={"error_share": "20%"})
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
    assert hosts.versions() == dict.fromkeys(addresses, good)
    assert [hosts.pid(name) for name in ("app1", "app2")] == servers
    assert hosts.registry.canary_share() is None


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
