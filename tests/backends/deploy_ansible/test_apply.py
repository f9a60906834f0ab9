"""``windtunnel deploy apply`` with Ansible, on hosts that are folders of this machine, under a steady load."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..redis_fixture import RedisServer
from .hosts import Hosts, fetch, hosts_of, until
from .load import steady_load

NOT_LOST = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def begin(hosts: Hosts, branch: str, version: str, source: Path, *more: str) -> "subprocess.Popen[str]":
    """The command, begun."""
    folder = hosts.folder / f"artefacts-{branch}-{version}-{time.monotonic_ns()}"
    words = [
        sys.executable, "-m", "windtunnel", "deploy", "apply", "--branch", branch, "--version", version, "--source",
        str(source), "--inventory", str(hosts.inventory), "--min-ready", "500ms", "--artefacts", str(folder), *more,
    ]  # fmt: skip
    environment = {**os.environ, "WINDTUNNEL_REDIS_URL": hosts.redis_url}
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def apply(hosts: Hosts, branch: str, version: str, source: Path, *more: str, code: int = 0) -> str:
    """The command, to its end; what it said."""
    process = begin(hosts, branch, version, source, *more)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    return said


@contextmanager
def running_proxy(hosts: Hosts) -> Iterator[None]:
    """A proxy that nobody deploys."""
    words = [
        sys.executable, "-m", "windtunnel", "proxy", str(hosts.source("proxy") / "fleet.yaml"), "--port",
        str(hosts.proxy_port), "--redis-url", hosts.redis_url,
    ]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def serve(hosts: Hosts) -> None:
    """Wait until the proxy answers."""
    until(lambda: fetch(f"http://127.0.0.1:{hosts.proxy_port}/") == 200, "the proxy answers")


def test_a_deploy_brings_a_host_into_rotation(tmp_path: Path, redis_server: RedisServer) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=1) as hosts:
        said = apply(hosts, "master", "v1", hosts.source("v1"))
        assert "app1: Unpack it: changed" in said
        assert said.endswith("master v1: promoted\n")
        assert hosts.versions() == {hosts.address("app1"): "v1"}
        assert fetch(hosts.address("app1")) == 200
        assert hosts.registry.updating() == ()


@pytest.mark.long
def test_a_rolling_deploy_loses_no_request(tmp_path: Path, redis_server: RedisServer) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=2) as hosts, running_proxy(hosts):
        apply(hosts, "master", "v1", hosts.source("v1"))
        serve(hosts)
        assert set(hosts.versions().values()) == {"v1"}
        with steady_load("127.0.0.1", hosts.proxy_port) as load:
            said = apply(hosts, "master", "v2", hosts.source("v2"))
        assert "promoted" in said
        assert hosts.versions() == {hosts.address("app1"): "v2", hosts.address("app2"): "v2"}
        assert load.failures == {}
        assert load.outcomes["200"] > 50


@pytest.mark.long
def test_a_playbook_that_fails_half_way_leaves_one_version_in_rotation(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=2) as hosts:
        apply(hosts, "proxy", "p1", hosts.source("p1"))
        apply(hosts, "master", "v1", hosts.source("v1"))
        serve(hosts)
        broken = hosts.source("v2")
        (broken / "fleet.yaml").write_text("nonsense: [")
        with steady_load("127.0.0.1", hosts.proxy_port) as load:
            said = apply(hosts, "master", "v2", broken, code=3)
        assert "rolled_back" in said
        assert set(hosts.versions().values()) == {"v1"}
        assert len(hosts.versions()) == 2
        assert load.failures == {}
        # Also the playbook alone goes back, and touches no further host.
        before = hosts.pid("app2")
        said = apply(hosts, "master", "v3", broken, "--direct", code=3)
        assert "back on v1" in said
        assert set(hosts.versions().values()) == {"v1"}
        assert hosts.pid("app2") == before


@pytest.mark.long
def test_a_deploy_that_is_killed_is_repaired_by_the_next(tmp_path: Path, redis_server: RedisServer) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=2) as hosts:
        apply(hosts, "proxy", "p1", hosts.source("p1"))
        apply(hosts, "master", "v1", hosts.source("v1"))
        serve(hosts)
        with steady_load("127.0.0.1", hosts.proxy_port) as load:
            process = begin(hosts, "master", "v2", hosts.source("v2"))
            until(lambda: hosts.registry.updating(), "a server is taken in hand")
            os.killpg(process.pid, 9)
            process.communicate()
            time.sleep(3)
            # Whoever was in hand is out, and stays out whatever it runs.
            assert len(hosts.registry.updating()) == 1
            assert set(hosts.versions().values()) == {"v1"}
            assert len(hosts.versions()) == 1
            apply(hosts, "master", "v2", hosts.source("v2"))
        assert set(hosts.versions().values()) == {"v2"}
        assert len(hosts.versions()) == 2
        assert hosts.registry.updating() == ()
        assert load.failures == {}


@pytest.mark.long
def test_a_rolling_proxy_deploy_hands_over(tmp_path: Path, redis_server: RedisServer) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=1) as hosts:
        apply(hosts, "proxy", "p1", hosts.source("p1"))
        apply(hosts, "master", "v1", hosts.source("v1"))
        serve(hosts)
        first = hosts.pid("proxy1", "proxy")
        with steady_load("127.0.0.1", hosts.proxy_port) as load:
            apply(hosts, "proxy", "p2", hosts.source("p2"))
            second = hosts.pid("proxy1", "proxy")
            assert second not in (0, first)
            broken = hosts.source("p3")
            (broken / "fleet.yaml").write_text("nonsense: [")
            apply(hosts, "proxy", "p3", broken, code=3)
        assert hosts.pid("proxy1", "proxy")
        assert load.failures == {}


@pytest.mark.long
def test_a_bad_canary_hurts_less_than_its_share_and_is_taken_back(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=2, canaries=1) as hosts:
        apply(hosts, "proxy", "p1", hosts.source("p1"))
        apply(hosts, "master", "v1", hosts.source("v1"))
        apply(hosts, "canary", "v1", hosts.source("v1"), "--strategy", "all_at_once")
        serve(hosts)
        bad = hosts.source("v2", status=500)
        with steady_load("127.0.0.1", hosts.proxy_port, rate=80) as load:
            begun = time.monotonic()
            said = apply(hosts, "canary", "v2", bad, "--weight", "20%", "--analysis", "60s", code=3)
            took = time.monotonic() - begun
        assert "rolled_back" in said, said
        assert set(hosts.versions().values()) == {"v1"}
        assert set(load.failures) == {"500"}
        assert load.failures["500"] < 0.2 * load.outcomes.total()
        assert took < 240


@pytest.mark.long
def test_the_playbook_alone_is_idempotent_and_check_mode_changes_nothing(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with hosts_of(tmp_path, redis_server.url, apps=1) as hosts:
        apply(hosts, "master", "v1", hosts.source("v1"), "--check")
        assert not (hosts.roots["app1"] / "releases").exists()
        said = apply(hosts, "master", "v1", hosts.source("v1"), "--direct")
        assert "changed: app1" in said
        pid = hosts.pid("app1")
        assert "nothing to change" in apply(hosts, "master", "v1", hosts.source("v1"), "--direct")
        assert hosts.pid("app1") == pid
        said = apply(hosts, "master", "v2", hosts.source("v2"), "--check")
        assert "changed: app1" in said
        assert (hosts.pid("app1"), hosts.versions()) == (pid, {hosts.address("app1"): "v1"})
        # A service that died comes back with the next run, which is the same version's.
        os.kill(pid, 9)
        assert "changed: app1" in apply(hosts, "master", "v1", hosts.source("v1"), "--direct")
        # A version is what it was: another content needs another name.
        (hosts.source("v1") / "more.txt").write_text("more")
        assert "another content" in apply(
            hosts, "master", "v1", hosts.folder / "sources" / "v1", "--direct", code=3
        )


@pytest.mark.long
def test_the_registry_is_closed_to_the_world(tmp_path: Path, redis_server: RedisServer) -> None:
    import redis
    import yaml

    with hosts_of(tmp_path, redis_server.url, apps=1) as hosts:
        password = "correct-horse-battery"
        hosts.add_registry(password)
        inventory = yaml.safe_load(hosts.inventory.read_text())
        port = inventory["all"]["children"]["redis"]["hosts"]["redis1"]["redis_port"]
        os.environ["WINDTUNNEL_REDIS_PASSWORD"] = password
        try:
            apply(hosts, "redis", "r1", hosts.source("r1"))
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
            assert redis.Redis(port=port, password=password).ping()
            assert hosts.pid("autoscaler1", "autoscaler")
            pid = hosts.pid("redis1", "redis")
            assert "nothing to change" in apply(hosts, "redis", "r1", hosts.source("r1"))
            assert hosts.pid("redis1", "redis") == pid
            # No password stands in what Ansible left, nor in any command line.
            left = [path for path in hosts.folder.rglob("artefacts-*/**/*") if path.is_file()]
            assert left
            assert not [path for path in left if password in path.read_text(errors="replace")]
            inventory["all"]["children"]["redis"]["hosts"]["redis1"]["redis_bind"] = ["0.0.0.0"]
            hosts.inventory.write_text(yaml.safe_dump(inventory))
            assert "own network" in apply(hosts, "redis", "r2", hosts.source("r2"), code=3)
        finally:
            del os.environ["WINDTUNNEL_REDIS_PASSWORD"]


@pytest.mark.long
def test_the_content_is_clean_to_ansible_lint() -> None:
    from windtunnel.backends.deploy.playbooks import FOLDER

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "ANSIBLE_LIBRARY": str(FOLDER / "library"), "NO_COLOR": "1"}
    words = [
        sys.executable,
        "-m",
        "ansiblelint",
        "--offline",
        "--nocolor",
        "--profile",
        "production",
        "-f",
        "json",
        ".",
    ]
    done = subprocess.run(words, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == []
