"""Starts a program and sees to it that nothing of it is left: run as a script, ``keeper.py SIDECAR_PID GRACE COMMAND...``.

Theory of operation
-------------------
The keeper stands between a sidecar and the user's program, in a session of its own, so that it outlives whatever kills the sidecar. Its input is a pipe from
the sidecar: a line asks it to end the program (SIGTERM, after GRACE seconds SIGKILL), and input that ends, because the sidecar died, even by SIGKILL,
means SIGKILL at once. On Linux it is a subreaper: whatever the program forks stays among its descendants, new sessions included, and is found and
killed; and should the keeper itself be killed, the kernel kills the program (PR_SET_PDEATHSIG). A sidecar that is stopped (SIGSTOP) has its program
stopped with it. The keeper ends with the program's status, 128 + N for signal N.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SET_PDEATHSIG = 1
SET_CHILD_SUBREAPER = 36
LOOK = 0.1
"""Seconds between looks at what nobody tells."""

PATIENCE = 10.0
"""Seconds after which what cannot be killed is left alone."""

DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What the keeper does not end by; the program does."""

LINUX = sys.platform == "linux"


def _control(option: int, value: int) -> None:
    """prctl(2), where it exists."""
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """All processes below *pid*; none where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for number, parent, _ in _processes():
        parents.setdefault(parent, []).append(number)
    found, ahead = [], [pid]
    while ahead:
        below = parents.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def _processes() -> Iterator[tuple[int, int, str]]:
    """(pid, parent, state) of all processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name before the last parenthesis may hold anything.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        yield int(folder.name), int(fields[1]), fields[0]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


class Keeper:
    """One program and its descendants."""

    def __init__(self, sidecar: int, grace: float, command: list[str]) -> None:
        _control(SET_CHILD_SUBREAPER, 1)
        self._sidecar = sidecar
        self._grace = grace
        own = os.getpid()

        def before_exec() -> None:
            for number in DEAF_TO:
                signal.signal(number, signal.SIG_DFL)
            _control(SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own:
                os._exit(1)

        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=before_exec
        )
        self._status: int | None = None
        self._stopped = False

    def keep(self) -> int:
        """Until the program has ended, or the sidecar; the program's status."""
        asked = 0.0
        while self._reap() is None:
            ready = [] if asked else select.select([0], [], [], LOOK)[0]
            if ready and not os.read(0, 4096):
                self._signal(signal.SIGKILL)
            elif ready:
                asked = time.monotonic()
                self._signal(signal.SIGTERM)
            elif asked and (time.monotonic() > asked + self._grace or _gone(0)):
                self._signal(signal.SIGKILL)
            self._follow_stops()
            if asked:
                time.sleep(LOOK / 4)
        self._clear()
        status = self._status or 0
        return 128 - status if status < 0 else status

    def _reap(self) -> int | None:
        """Take note of whatever has ended, orphans too; the program's status once that has."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._child.pid:
                    self._status = self._child.returncode = os.waitstatus_to_exitcode(ended[1])
        except ChildProcessError:
            pass  # Nothing is left to wait for.
        return self._status

    def _follow_stops(self) -> None:
        stopped = _state(self._sidecar) == "T"
        if stopped != self._stopped:
            self._stopped = stopped
            self._signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)
        for pid in descendants(os.getpid()):
            if _group(pid) != self._child.pid:
                _kill(pid, number)

    def _clear(self) -> None:
        """Kill whatever the program left, until there is nothing: what dies leaves its children to us."""
        deadline = time.monotonic() + PATIENCE
        self._signal(signal.SIGKILL)
        while (left := descendants(os.getpid())) and time.monotonic() < deadline:
            for pid in left:
                _kill(pid, signal.SIGKILL)
            time.sleep(LOOK / 10)
            self._reap()


def _gone(descriptor: int) -> bool:
    """Whether the other end of a pipe is closed."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    events = poll.poll(0)
    return bool(events and events[0][1] & select.POLLHUP)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def main() -> int:
    """See the module's text. 127 if the program cannot be started."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    try:
        keeper = Keeper(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    except OSError as error:
        os.write(2, f"{sys.argv[3]}: {error.strerror}\n".encode())
        return 127
    return keeper.keep()


if __name__ == "__main__":
    sys.exit(main())
