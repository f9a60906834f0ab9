"""A test host with a systemd: namespaces of this machine, over a copy-on-write view of its files. It wants root, unshare, nsenter and systemd."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

BOOT = Path(__file__).parent / "boot_systemd.sh"
SYSTEMD = Path("/lib/systemd/systemd")
PACKAGES = "/opt/packages"
PATHS = f"{PACKAGES}/ours:{PACKAGES}/site"
"""What ``PYTHONPATH`` is in there."""
PYTHON, LIBRARIES = "/opt/python/bin/python3", "/opt/python/lib"
"""An interpreter that any user may run, and where its library is: it may be built for another place."""
BOOT_SECONDS = 60.0


class SystemdHost:
    """One that has booted; *pid* is its first process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(
        self, *words: str, timeout: float = 60.0, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """A command in there, by root."""
        entering = ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-C", "-r", "-w"]
        plain = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
        }
        return subprocess.run(
            [*entering, *words], capture_output=True, text=True, timeout=timeout, env={**plain, **environment}
        )  # fmt: skip

    def say(self, *words: str) -> str:
        """What a command says, which must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def of_unit(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.say("systemctl", "show", "--value", "--property", name, unit)


@contextmanager
def systemd_host(folder: Path, shared: Path) -> Iterator[SystemdHost]:
    """Boot one, whose files are in *folder*; *shared* is the same folder in there. All of it ends with the block."""
    if os.geteuid() != 0 or not SYSTEMD.exists() or not all(map(shutil.which, ("unshare", "nsenter"))):
        pytest.fail(
            "expected root, systemd, unshare and nsenter: apt install systemd util-linux, and run this as root"
        )
    group = f"windtunnel-test-{os.getpid()}"
    seen = {
        sys.base_prefix: "/opt/python",
        sysconfig.get_path("purelib"): f"{PACKAGES}/site",
        str(Path(__file__).parents[4]): f"{PACKAGES}/ours",
        str(shared): str(shared),
    }
    pairs = [f"{source}={target}" for source, target in seen.items()]
    words = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", str(BOOT), str(folder), group, *pairs]  # fmt: skip
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    try:
        yield _booted(process)
    finally:
        with suppress(psutil.NoSuchProcess):
            for first in psutil.Process(process.pid).children():
                # The first process of a namespace takes all others with it.
                first.kill()
        # It ends when all of them have.
        process.communicate(timeout=BOOT_SECONDS)
        _remove_groups(group)


def _booted(process: "subprocess.Popen[str]") -> SystemdHost:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said, _ = process.communicate()
            pytest.fail(f"expected to be allowed to boot a systemd in namespaces: {said.strip()[-300:]}")
        for first in psutil.Process(process.pid).children():
            if first.name() == "systemd":
                host = SystemdHost(first.pid)
                with suppress(subprocess.TimeoutExpired):
                    if host.run("systemctl", "is-system-running", timeout=10).stdout.strip() in (
                        "running",
                        "degraded",
                    ):
                        return host
        time.sleep(0.2)
    raise AssertionError(f"systemd was not up within {BOOT_SECONDS} s")


def _remove_groups(name: str) -> None:
    """Its control groups, which outlive it, empty; the hierarchy may be mounted nowhere."""
    script = 'place=$(mktemp -d); mount -t cgroup2 cgroup2 "$place"; find "$place/$0" -depth -type d -exec rmdir {} \\; ; umount "$place"; rmdir "$place"'
    subprocess.run(["unshare", "--mount", "sh", "-c", script, name], capture_output=True, timeout=30)
