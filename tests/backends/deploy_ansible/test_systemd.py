"""The roles under a real systemd: units start with their limits and hardening, come back when they are killed, and are exchanged without a lost request."""

import sys
from pathlib import Path

import pytest
import yaml

from ..redis_fixture import RedisServer
from .hosts import Hosts, fetch, hosts_of, until
from .load import steady_load
from .systemd_host import LIBRARIES, PATHS, PYTHON, SystemdHost, systemd_host

pytestmark = pytest.mark.long

ROOT = "/opt/windtunnel"


def with_systemd(hosts: Hosts) -> None:
    """One app server and the proxy on one host, as they are by default but for what pip would install."""
    inventory = yaml.safe_load(hosts.inventory.read_text())
    common = inventory["all"]["vars"]
    common |= {
        "common_service_manager": "systemd",
        "common_root": ROOT,
        "common_memory_max": "1G",
        "common_python": PYTHON,
    }
    common["common_environment"] = {
        "PYTHONPATH": PATHS,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": LIBRARIES,
    }
    for group, own in (("app", ""), ("proxy", "-proxy")):
        for variables in inventory["all"]["children"][group]["hosts"].values():
            variables |= {"common_root": f"{ROOT}{own}", "common_user": f"windtunnel{own}"}
    hosts.inventory.write_text(yaml.safe_dump(inventory))


def apply(host: SystemdHost, hosts: Hosts, branch: str, version: str, *more: str) -> str:
    """``windtunnel deploy apply`` in there."""
    words = [
        sys.executable, "-m", "windtunnel", "deploy", "apply", "--branch", branch, "--version", version, "--source", str(hosts.source(version)),
        "--inventory", str(hosts.inventory), "--min-ready", "500ms", "--artefacts", str(hosts.folder / f"artefacts-{branch}-{version}"), *more,
    ]  # fmt: skip
    done = host.run(*words, timeout=300, WINDTUNNEL_REDIS_URL=hosts.redis_url, PYTHONPATH=PATHS)
    journal = (
        "" if done.returncode == 0 else host.run("journalctl", "--no-pager", "-n", "40", "-o", "cat").stdout
    )
    assert done.returncode == 0, done.stdout + done.stderr + journal
    return done.stdout + done.stderr


def test_services_run_under_systemd(tmp_path: Path, redis_server: RedisServer) -> None:
    place, machine = tmp_path / "hosts", tmp_path / "machine"
    place.mkdir()
    machine.mkdir()
    with systemd_host(machine, place) as host, hosts_of(place, redis_server.url, apps=1) as hosts:
        with_systemd(hosts)
        apply(host, hosts, "master", "v1")
        apply(host, hosts, "proxy", "v1")
        until(lambda: fetch(f"http://127.0.0.1:{hosts.proxy_port}/") == 200, "the proxy answers")
        unit = "windtunnel-app.service"
        pid = int(host.of_unit(unit, "MainPID"))
        assert host.of_unit(unit, "ActiveState") == "active"
        assert host.say("ps", "-o", "user=", "-p", str(pid)) == "windtunnel"
        assert host.of_unit(unit, "MemoryMax") == str(2**30)
        assert host.of_unit(unit, "LimitNOFILE") == "65536"
        # It is in a world of its own: nothing but its own folder can be written, no home is seen, no privilege is to be had.
        status = host.say("cat", f"/proc/{pid}/status")
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert "Seccomp:\t2" in status
        inside = ["nsenter", "-t", str(pid), "-m", "-r", "--"]
        assert host.run(*inside, "touch", "/usr/x").returncode != 0
        assert host.say(*inside, "find", "/root", "-mindepth", "1") == ""
        assert host.run(*inside, "touch", f"{ROOT}/run/x").returncode == 0
        # A second run changes nothing; a service that is killed comes back by itself.
        assert "nothing to change" in apply(host, hosts, "master", "v1", "--direct")
        assert int(host.of_unit(unit, "MainPID")) == pid
        host.say("kill", "-9", str(pid))
        until(lambda: int(host.of_unit(unit, "MainPID")) not in (0, pid), "systemd starts it again")
        until(lambda: fetch(f"http://127.0.0.1:{hosts.proxy_port}/") == 200, "it serves again")
        # The proxy of the next version takes over from the one that runs.
        assert host.of_unit("windtunnel-proxy@v1.service", "ActiveState") == "active"
        with steady_load("127.0.0.1", hosts.proxy_port) as load:
            apply(host, hosts, "proxy", "v2")
        assert load.failures == {}
        assert load.outcomes["200"] > 50
        assert host.of_unit("windtunnel-proxy@v2.service", "ActiveState") == "active"
        assert host.of_unit("windtunnel-proxy@v1.service", "ActiveState") == "inactive"
        # That one starts with the machine, and no other.
        assert host.say("systemctl", "is-enabled", "windtunnel-proxy@v2.service") == "enabled"
        assert host.run("systemctl", "is-enabled", "windtunnel-proxy@v1.service").stdout.strip() == "disabled"
