"""A fleet of test hosts whose versions come by pushes: a bare repository, and ``windtunnel deploy serve`` over it with the deploying stages of this project's own pipeline."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from windtunnel.backends.deploy.server.builds import Build

from ..deploy.support_builds import Repo, Server
from ..redis_fixture import RedisServer
from .hosts import FLEET, Hosts, fetch, hosts_of, until
from .load import SteadyLoad, steady_load

ROOT = Path(__file__).parents[3]
BUILD_SECONDS = 900.0
CANARY_SHARE = "30%"
PASSWORD = "WINDTUNNEL_REDIS_PASSWORD"


def deploying(*secrets: str) -> dict[str, Any]:
    """The project's pipeline without its stages that build and test, and with no secrets but *secrets*."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "pipeline.yaml").read_text())
    document["secrets"] = {name: document["secrets"][name] for name in secrets}
    document["stages"] = [one for one in document["stages"] if one["stage"] not in ("build", "test")]
    for stage in document["stages"]:
        if "secrets" in stage:
            stage["secrets"] = list(secrets)
    return document


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

    def __init__(self, hosts: Hosts, repo: Repo, server: Server, pipeline: dict[str, Any]) -> None:
        self.hosts = hosts
        self.pipeline = pipeline
        self._repo = repo
        self._server = server
        self._builds = 0

    def begin(
        self, branch: str, scenario: dict[str, Any] | None, fleet: dict[str, Any], **changes: Any
    ) -> tuple[str, int]:
        """Push a commit with *fleet*, whose endpoint has *changes*, and whose deploy is rehearsed by *scenario*; the commit and its build's number."""
        (self._repo.clone / "deploys").mkdir(exist_ok=True)
        fleet = {**fleet, "endpoints": [{**fleet["endpoints"][0], **changes}]}
        rehearsed = yaml.safe_dump(scenario or quick(branch))
        files = {"fleet.yaml": yaml.safe_dump(fleet), f"deploys/{branch}.yaml": rehearsed}
        commit = self._repo.commit(self.pipeline, **files)
        self._builds += 1
        told = self._repo.push(branch)
        assert f"build {self._builds}" in told, told
        return commit, self._builds

    def ended(self, number: int) -> Build:
        """How a build ended."""
        return self._server.ended(number, BUILD_SECONDS)

    def push(
        self,
        branch: str,
        scenario: dict[str, Any] | None = None,
        fleet: dict[str, Any] = FLEET,
        **changes: Any,
    ) -> tuple[str, Build]:
        """See :meth:`begin`; the commit and how its build ended."""
        commit, number = self.begin(branch, scenario, fleet, **changes)
        return commit, self.ended(number)

    def log(self, build: Build, stage: str) -> str:
        """What a stage said, its way back too."""
        return self._server.log(build.number, stage)

    def rehearsed(self, build: Build) -> Path:
        """The run that the build rehearsed."""
        return self._server.folder / str(build.number) / "artifacts" / "runs" / "rehearsal"

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


def quick(branch: str, version: dict[str, Any] | None = None) -> dict[str, Any]:
    """What this project rehearses before a deploy of *branch*, with shorter waits; of a *version* that is so."""
    scenario: dict[str, Any] = yaml.safe_load((ROOT / "deploys" / f"{branch}.yaml").read_text())
    scenario.get("versions", {}).get("next", {}).update(version or {})
    scenario["deploys"][0].update({"min_ready": "1s", "verify": "1s"})
    if branch == "canary":
        analysis = {"for": "10s", "error_margin": "3%", "latency_margin": "100%"}
        scenario["deploys"][0]["steps"] = [{"set_weight": CANARY_SHARE}, {"analysis": analysis}]
    return scenario


def environment_in(folder: Path) -> Path:
    """An environment as the pipeline's steps expect it (``VENV``), with this very program in it."""
    program = folder / "bin" / "windtunnel"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m windtunnel "$@"\n')
    program.chmod(0o755)
    return folder


@contextmanager
def pushed_fleet(
    folder: Path, redis_server: RedisServer, apps: int = 2, canaries: int = 1, password: str = ""
) -> Iterator[Fleet]:
    """Hosts on which nothing runs yet, and a build server without builds. With *password* the registry is a host too, else it is *redis_server*, which keeps the builds in any case."""
    place = folder / "hosts"
    place.mkdir()
    with hosts_of(place, redis_server.url, apps, canaries) as hosts:
        secrets = {}
        if password:
            hosts.add_registry(password)
            secrets = {PASSWORD: password}
        repo = Repo(folder / "git")
        env = (
            "PYTHONPATH",
            f"VENV={environment_in(folder / 'venv')}",
            f"WINDTUNNEL_INVENTORY={hosts.inventory}",
            f"WINDTUNNEL_REDIS_URL={hosts.redis_url.replace(f':{password}@', '') if password else hosts.redis_url}",
        )
        with ServeCommand(folder, repo, f"{redis_server.url}/1", *env, **secrets) as server:
            server.hook()
            yield Fleet(hosts, repo, server, deploying(*secrets))
