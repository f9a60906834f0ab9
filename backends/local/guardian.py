"""What undoes, when the conductor is gone, what would outlive it: processes that a fault has stopped go on, and a registry of the user's is as it was.

Run as a script it is the guardian itself, a process in a session of its own that neither a signal to the conductor's group nor the conductor's death ends. Its input is a pipe
from the conductor: ``hold PID BEGAN`` and ``release PID`` lines, ``sweep`` with the registry (JSON), ``address`` with a server that will write there, and ``swept``. Input that ends, however that came about, means SIGCONT to whatever is held still,
and, when the roles have had a moment to end, a sweep of the registry that was not swept, and an end of network namespaces (``network``). A process is known by its number and when it began, so that no other one is met that
has got its number since.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 5.0
_ROLES_END = 2.0
"""Seconds in which roles have ended that lost their conductor."""


def began(pid: int) -> str:
    """When process *pid* began, in the kernel's ticks (proc(5), field 22); ``-`` where nobody says so, or if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "-"
    # The name before the last parenthesis may hold anything.
    return text.rpartition(")")[2].split()[19]


class Guardian:
    """The conductor's end. The process is started when there is something to hold."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sweeps = False

    @property
    def pid(self) -> int:
        """The guardian's process; 0 as long as there is none."""
        return self._process.pid if self._process is not None else 0

    def hold(self, pid: int) -> None:
        """Process *pid* is about to be stopped."""
        self._say(f"hold {pid} {began(pid)}")

    def release(self, pid: int) -> None:
        """It goes on, or is gone."""
        self._say(f"release {pid}")

    def watch_registry(self, url: str, prefix: str) -> None:
        """The registry at *url*, which is the user's, is to be swept of keys under *prefix*, unless that is said to have been done."""
        self._sweeps = True
        self._say(f"sweep {json.dumps({'url': url, 'prefix': prefix})}")

    def knows(self, address: str) -> None:
        """A server at *address* will write to that registry; where there is none to be swept, that is nobody's concern."""
        if self._sweeps:
            self._say(f"address {address}")

    def swept(self) -> None:
        """It was."""
        self._say("swept")

    def watch_network(self, conductor: int) -> None:
        """Namespaces and devices of the flight of this *conductor* (its process number) are to be removed, if there are any."""
        self._say(f"network {conductor}")

    def cleared(self) -> None:
        """They were."""
        self._say("cleared")

    def _say(self, line: str) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(__file__))],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """Nothing is held any more; what is, goes on."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """The guardian."""
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    held: dict[int, str] = {}
    registry, network = "", ""
    addresses = []
    for line in sys.stdin:
        match line.split():
            case ["hold", pid, since]:
                held[int(pid)] = since
            case ["release", pid]:
                held.pop(int(pid), None)
            case ["address", address]:
                addresses.append(address)
            case ["sweep", *_]:
                registry = line.partition(" ")[2]
            case ["network", conductor]:
                network = conductor
            case ["cleared"]:
                network = ""
            case ["swept"]:
                registry = ""
    for pid, since in held.items():
        if since == began(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGCONT)
    if registry or network:
        time.sleep(_ROLES_END)
    if network:
        subprocess.run(
            [sys.executable, "-m", "windtunnel.backends.local.network.clearing", network], check=False
        )
    if registry:
        # What it needs to know of Redis is not for a script without packages. There may be a password: it goes by the input.
        command = [sys.executable, "-m", "windtunnel.backends.local.sweeping"]
        told = json.dumps({**json.loads(registry), "addresses": addresses})
        subprocess.run(command, input=told.encode(), check=False)


if __name__ == "__main__":
    main()
