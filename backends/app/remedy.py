"""The remedy against low memory in flight: a program that runs beside an app server, one at a time, and of which nothing is left.

It is run by a keeper (backends.app.keeper): whatever it started is killed when it ends, when its time is over, and when the app server dies. What it writes is
logged. It gets its words filled in, and HOST, PORT and APP_PID in its environment.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ...core.remedy import RemedySpec, RemedyWatch
from ..live.role import RoleLink
from ..live.settings import AppSettings
from . import keeper
from .observation import Observation

MOST_LINES = 200
"""Of what one run writes so many lines are logged."""

LONGEST_LINE = 4096

CANNOT_START = 127


class Remedy:
    """One server's. *pid* tells which process is to be helped; *succeeded* is called, from a thread, after a run that ended with status 0."""

    def __init__(
        self, spec: RemedySpec, settings: AppSettings, link: RoleLink, pid: Callable[[], int],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._settings = settings
        self._link = link
        self._pid = pid
        self._succeeded = succeeded
        self._watch = RemedyWatch(spec)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def look(self, seen: Observation, time: int) -> None:
        """A second has passed, by *time* (ns), in which *seen* was observed. Never waits."""
        with self._lock:
            due = not self._closed and self._watch.due(time, seen.share)
        if due:
            self._link.emit("remedy_started", {"server": self._settings.number, "memory": seen.memory})
            self._thread = threading.Thread(target=self._run, name="remedy", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        status, timed_out = self._carry_out()
        with self._lock:
            if self._closed:
                return
            self._watch.ended(self._link.clock.now(), status == 0)
        self._link.emit(
            "remedy_ended", {"server": self._settings.number, "status": status, "timed_out": timed_out}
        )
        if status == 0:
            self._succeeded()

    def _carry_out(self) -> tuple[int, bool]:
        """Run the program: its exit status (128 + N for signal N), and whether its time was over."""
        try:
            process = self._start()
        except OSError as error:
            self._link.log("error", f"the remedy cannot be started: {error}")
            return CANNOT_START, False
        output = threading.Thread(target=self._log_output, args=(process,), daemon=True)
        output.start()
        timed_out = False
        try:
            process.wait(self._spec.timeout / 1e9)
        except subprocess.TimeoutExpired:
            timed_out = True
            self._link.log("warning", f"the remedy is killed: it did not end within {self._spec.timeout / 1e9:g} s")  # fmt: skip
        self._kill(process)
        status = process.wait()
        output.join(keeper.PATIENCE)
        return status, timed_out

    def _start(self) -> subprocess.Popen[bytes]:
        settings, pid = self._settings, str(self._pid())
        values = {"{host}": settings.host, "{port}": str(settings.port), "{pid}": pid}
        words = list(self._spec.command)
        for name, value in values.items():
            words = [word.replace(name, value) for word in words]
        environment = {**os.environ, "HOST": settings.host, "PORT": str(settings.port), "APP_PID": pid}
        script = str(Path(keeper.__file__))
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", script, str(os.getpid()), "0", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
            cwd=settings.directory or None, start_new_session=True,
        )  # fmt: skip
        with self._lock:
            self._process = process
            closed = self._closed
        if closed:
            self._kill(process)
        return process

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """A keeper whose input ends kills what it keeps."""
        assert process.stdin is not None
        with self._lock, suppress(BrokenPipeError):
            process.stdin.close()

    def _log_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        lines = 0
        with process.stdout:
            while line := process.stdout.readline(LONGEST_LINE):
                lines += 1
                if lines <= MOST_LINES:
                    text = line.decode(errors="replace").rstrip()
                    self._link.log("info", text, {"from": "remedy"})
        if lines > MOST_LINES:
            self._link.log("warning", "the remedy wrote more than is logged", {"lines": lines})

    def end(self) -> None:
        """Kill what is under way; nothing is begun any more."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            self._kill(process)
            with suppress(subprocess.TimeoutExpired):
                process.wait(keeper.PATIENCE + 1.0)
