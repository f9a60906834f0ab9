"""A flight on "EC2" at home: a moto server's instances, backed by processes of this machine.

The bridge looks at the server's instances by our tags. For each that runs it starts a process, on the loopback address of the instance's number, and
when the instance is terminated it ends the process (SIGTERM, then SIGKILL). A process that ends by itself leaves its instance running, as a crashed
program does. Every process holds our end of a pipe as its input and must end when that ends: so all end with the bridge's process, however that went.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ...core.ports import Cloud, CloudError, CloudInstance


@dataclass(frozen=True, slots=True)
class Program:
    """What an instance runs: a command, and what is written to its input first (settings, say); the input then stays open."""

    command: Sequence[str]
    settings: str = ""


class Bridge:
    """Keeps a process for each running instance of *cloud*, from ``start`` to ``stop``. *program* says which; *notice* is told of failures.

    *interval*, *grace*: seconds between looks, and from SIGTERM to SIGKILL.
    """

    def __init__(
        self,
        cloud: Cloud,
        program: Callable[[CloudInstance], Program],
        notice: Callable[[str], None] = lambda text: None,
        interval: float = 0.2,
        grace: float = 2.0,
    ) -> None:
        self._cloud = cloud
        self._program = program
        self._notice = notice
        self._interval = interval
        self._grace = grace
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bridge", daemon=True)

    def start(self) -> None:
        """Begin to watch, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and end every process."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._end(list(self._processes))

    def processes(self) -> dict[str, int]:
        """Process ids by instance id, of the processes that live."""
        return {
            name: process.pid for name, process in list(self._processes.items()) if process.poll() is None
        }

    def _watch(self) -> None:
        said = ""
        while not self._stopping.is_set():
            try:
                self._look()
            except (CloudError, OSError) as error:
                if said != str(error):
                    said = str(error)
                    self._notice(f"bridge: {said}")
            self._stopping.wait(self._interval)

    def _look(self) -> None:
        running = {one.provider_id: one for one in self._cloud.list() if one.state == "running"}
        self._end([name for name in self._processes if name not in running])
        for name, instance in running.items():
            if name not in self._processes:
                self._processes[name] = self._begin(self._program(instance))

    def _begin(self, program: Program) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            list(program.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(program.settings)
            process.stdin.flush()
        return process

    def _end(self, names: Sequence[str]) -> None:
        ending = [self._processes.pop(name) for name in names]
        for process in ending:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + self._grace
        for process in ending:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))
            # Also when it ended well: the group may hold children.
            _signal(process, signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
