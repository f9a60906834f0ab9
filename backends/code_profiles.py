"""Profiles of our own code: a sampling profiler (py-spy) beside a process, which writes a flame graph of it.

Theory of operation
-------------------
py-spy reads the memory of the process that it looks into, without stopping it (``--nonblocking``), so that it takes CPU time of its own and next to none of the process's. Linux allows that to
processes of the same user, unless Yama's ``ptrace_scope`` is 1: then only to an ancestor, or to whom the process names, and to descendants of that (prctl(2), PR_SET_PTRACER). So whoever is
profiled names the one that starts the profiler. From scope 2 on it takes the capability SYS_PTRACE. All this is tried on a process of our own before anything else is started.

A profiler ends with the process that it looks into, and then writes its file; it dies with the one that has started it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import UsageError
from .live.children import die_with_parent, may_be_read_by

FOLDER = "profiles"
"""Of a run's directory."""

RATE = 100
"""Samples a second."""

_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_TRIAL_SECONDS = 15.0
_TRIAL = "import sys; from windtunnel.backends.live.children import may_be_read_by; may_be_read_by(int(sys.argv[1])); print(flush=True); sys.stdin.read()"
_WRITE_SECONDS = 15.0


def sampler() -> str:
    """Where py-spy is: beside the interpreter, or on PATH. Raises UsageError."""
    beside = Path(sys.executable).parent / "py-spy"
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    if found is None:
        raise UsageError(
            "--profile-code: expected py-spy, which is not installed; `pip install 'windtunnel[profile]'` installs it"
        )
    return found


def check_sampler() -> None:
    """Raises UsageError where no process can be profiled: py-spy is missing, or may not read another process."""
    program = sampler()
    with subprocess.Popen(
        [sys.executable, "-c", _TRIAL, str(os.getpid())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent,
    ) as trial:  # fmt: skip
        assert trial.stdin is not None
        assert trial.stdout is not None
        trial.stdout.readline()
        try:
            # Without pausing, as it is done later.
            tried = subprocess.run(
                [program, "dump", "--nonblocking", "--pid", str(trial.pid)], capture_output=True, text=True, timeout=_TRIAL_SECONDS,
            )  # fmt: skip
            problem = "" if tried.returncode == 0 else tried.stderr.strip().replace("\n", " ")
        except subprocess.TimeoutExpired:
            problem = f"no answer within {_TRIAL_SECONDS:.0f} s"
        finally:
            trial.stdin.close()
    if problem:
        scope = f"kernel.yama.ptrace_scope is {_SCOPE.read_text().strip()}; " if _SCOPE.exists() else ""
        raise UsageError(
            f"--profile-code: expected that py-spy may read a process of ours, it may not: {problem[:300]} ({scope}a scope of 0 or 1, or the capability SYS_PTRACE, allows it)"
        )


class Sampler:
    """A profiler of the process *pid*, whose flame graph goes to *path*; what it says besides, to *log*."""

    def __init__(self, pid: int, path: Path, log: Path | None = None) -> None:
        self.path = path
        path.parent.mkdir(exist_ok=True)
        self._draft = path.with_suffix(".draft")
        output = None if log is None else log.open("ab")
        try:
            self._process = subprocess.Popen(
                [sampler(), "record", "--pid", str(pid), "--nonblocking", "--rate", str(RATE), "--format", "flamegraph",
                 "--output", str(self._draft)],
                stdin=subprocess.DEVNULL, stdout=output or subprocess.DEVNULL, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()

    def end(self) -> bool:
        """Have it write its file, which it does by itself if the process has ended; whether there is one."""
        # One that has only just begun cannot be told yet; it looks for its process again.
        end = time.monotonic() + _WRITE_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_WRITE_SECONDS / 3)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if not self._draft.is_file() or not self._draft.stat().st_size:
            self._draft.unlink(missing_ok=True)
            return False
        self._draft.rename(self.path)
        return True


@contextmanager
def profiled(directory: Path | None) -> Iterator[None]:
    """Profile this process meanwhile, for the run's *directory*; None: do not."""
    if directory is None:
        yield
        return
    may_be_read_by(os.getpid())
    found = Sampler(os.getpid(), directory / FOLDER / "rehearsal.svg")
    try:
        yield
    finally:
        found.end()
