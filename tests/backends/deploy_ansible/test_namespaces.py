"""Hosts with addresses, links and an sshd of their own: network namespaces. They want root, ip and sshd, and are skipped without."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml
from windtunnel.backends.local.network.clearing import remove
from windtunnel.backends.local.network.naming import Names, batch, run
from windtunnel.core.errors import BackendFailure

from ..redis_fixture import RedisServer
from .hosts import Hosts, hosts_of, until
from .load import steady_load
from .test_apply import apply, running_proxy, serve

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NETWORK = "10.231"

pytestmark = pytest.mark.long


NAMES = Names(os.getpid())
"""A host's namespace, and the link that leads there, have a server's name."""


@contextmanager
def namespace(number: int, folder: Path, key: Path) -> Iterator[str]:
    """A namespace with a link, and an sshd in it; its address."""
    name, ours, theirs = NAMES.server(number), f"{NETWORK}.{number}.1", f"{NETWORK}.{number}.2"
    run("ip", "netns", "add", name)
    sshd = None
    try:
        batch("ip", [f"link add {name} type veth peer name eth0 netns {name}", f"address add {ours}/30 dev {name}", f"link set {name} up"])  # fmt: skip
        batch("ip", [f"address add {theirs}/30 dev eth0", "link set eth0 up", "link set lo up", f"route add default via {ours}"], name)  # fmt: skip
        settings = folder / f"sshd{number}.conf"
        settings.write_text(
            f"ListenAddress {theirs}\nHostKey {key}\nAuthorizedKeysFile {key}.pub\nStrictModes no\nUsePAM yes\n"
            f"PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\n"
            f"Subsystem sftp internal-sftp\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        assert SSHD is not None
        command = ["ip", "netns", "exec", name, SSHD, "-D", "-e", "-f", str(settings)]
        sshd = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        yield theirs
    finally:
        # Servers, sshd, and its sessions, which wait for ever for a peer that was cut off.
        remove(name)
        if sshd is not None:
            sshd.wait(20)
        with suppress(BackendFailure):
            run("ip", "link", "delete", name)


def end_connections(folder: Path) -> None:
    """Kill the connections that Ansible keeps for its next run: their sockets are in *folder*."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "ssh" and str(folder) in " ".join(process.info["cmdline"] or ()):
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def hosts_by_ssh(folder: Path, redis_server: RedisServer) -> Iterator[Hosts]:
    """Two app servers in namespaces."""
    if os.geteuid() != 0 or SSHD is None or shutil.which("ip") is None or shutil.which("ssh") is None:
        pytest.fail(
            "expected root, ip, ssh and sshd: apt install iproute2 openssh-server, and run this as root"
        )
    try:
        run("ip", "netns", "add", NAMES.trial)
    except BackendFailure:
        pytest.fail("expected to be allowed to make network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN)")
    remove(NAMES.trial)
    key = folder / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    with (
        namespace(1, folder, key) as one,
        namespace(2, folder, key) as two,
        hosts_of(folder, redis_server.url, apps=2) as hosts,
    ):
        redis_server.client.config_set("protected-mode", "no")
        redis_server.client.config_set("bind", f"127.0.0.1 {NETWORK}.1.1 {NETWORK}.2.1")
        inventory = yaml.safe_load(hosts.inventory.read_text())
        places = inventory["all"]["children"]["app"]["hosts"]
        for host, address in (("app1", one), ("app2", two)):
            gateway = address.removesuffix("2") + "1"
            places[host] |= {
                "ansible_connection": "ssh", "ansible_host": address, "app_host": address, "ansible_user": "root",
                "ansible_ssh_private_key_file": str(key),
                "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5",
                "common_registry_url": f"redis://{gateway}:{redis_server.port}",
            }  # fmt: skip
        hosts.inventory.write_text(yaml.safe_dump(inventory))
        try:
            yield hosts
        finally:
            end_connections(folder)


def test_rolling_over_ssh_loses_no_request_and_a_host_that_is_cut_off_stays_out_until_the_next_run(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with hosts_by_ssh(tmp_path, redis_server) as hosts, running_proxy(hosts):
        apply(hosts, "master", "v1", hosts.source("v1"))
        serve(hosts)
        one, two = (f"http://{NETWORK}.{number}.2:{hosts.port}" for number in (1, 2))
        assert hosts.versions() == {one: "v1", two: "v1"}
        with steady_load("127.0.0.1", hosts.proxy_port) as load:
            apply(hosts, "master", "v2", hosts.source("v2"))
        assert hosts.versions() == {one: "v2", two: "v2"}
        assert load.failures == {}
        # At its end: at ours the packets would go elsewhere.
        run("ip", "-n", NAMES.server(1), "link", "set", "eth0", "down")
        said = apply(hosts, "master", "v3", hosts.source("v3"), code=3)
        assert "unreachable" in said
        assert hosts.versions() == {two: "v2"}
        assert hosts.registry.updating() == (one,)
        run("ip", "-n", NAMES.server(1), "link", "set", "eth0", "up")
        time.sleep(3)
        # It lives, on the old version, and nobody sends it anything.
        assert hosts.registry.servers().serving == (two,)
        apply(hosts, "master", "v3", hosts.source("v3"))
        until(lambda: hosts.versions() == {one: "v3", two: "v3"}, "both run the new version")
        assert hosts.registry.updating() == ()
