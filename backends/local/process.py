"""A role as a child process of the conductor: it dies with the conductor, speaks JSON lines, and ends when told."""

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...core.errors import BackendFailure
from ..live.children import die_with_parent
from ..live.settings import Settings
from .role_log import RoleLog, as_line

Line = Mapping[str, Any]

_LONGEST_LINE = 1 << 20
_KEPT_LINES = 20
_LAST_WORDS_SECONDS = 1.0


class RoleProcess:
    """One role. *on_line* gets each of its events and status lines; *log* its diagnostics, of which the last lines are kept for errors.

    *before*: what stands before its command. *greet* is called when it has been started and been given its settings: what is sent then comes before all else.
    """

    def __init__(
        self, role: str, label: str, on_line: Callable[["RoleProcess", Line], None], log: Path | None = None,
        greet: Callable[["RoleProcess"], None] = lambda process: None, before: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.role = role
        self.label = label
        self.up: Line = {}
        self.last_words: deque[str] = deque(maxlen=_KEPT_LINES)
        self._on_line = on_line
        self._greet = greet
        self._before = before
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._started = asyncio.Event()
        self._is_up = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []

    async def start(self, settings: Settings, fds: Sequence[int] = ()) -> None:
        """Start the process with *settings*; it inherits *fds*. It is not up yet."""
        self._process = await asyncio.create_subprocess_exec(
            *self._before, sys.executable, "-m", "windtunnel.backends.live.role", self.role,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True, preexec_fn=die_with_parent, pass_fds=tuple(fds), limit=_LONGEST_LINE,
        )  # fmt: skip
        self._started.set()
        self._readers = [asyncio.create_task(self._read_lines()), asyncio.create_task(self._read_log())]
        assert self._process.stdin is not None
        self._process.stdin.write(settings.model_dump_json().encode() + b"\n")
        self._greet(self)
        with suppress(ConnectionError):
            await self._process.stdin.drain()

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs, or before it was started."""
        return None if self._process is None else self._process.returncode

    async def wait_up(self, seconds: float) -> Line:
        """Wait until it serves. Raises BackendFailure with its last words if it ends or takes too long."""
        await self._started.wait()
        assert self._process is not None
        serving = asyncio.create_task(self._is_up.wait())
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({serving, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not self._is_up.is_set():
                # One that was up and ended at once may be gone before it is read.
                await asyncio.wait(self._readers, timeout=_LAST_WORDS_SECONDS)
            if self._is_up.is_set():
                return self.up
            if self.returncode is None:
                raise BackendFailure(f"{self.label}: expected it to be up within {seconds:.0f} s")
            raise BackendFailure(await self.obituary())
        finally:
            serving.cancel()
            ended.cancel()

    async def obituary(self) -> str:
        """How it ended, with its last words."""
        await asyncio.wait(self._readers, timeout=_LAST_WORDS_SECONDS)
        words = "\n  ".join(self.last_words)
        return f"{self.label} ended with status {self.returncode}" + (f":\n  {words}" if words else "")

    def send(self, command: Line) -> None:
        """Send a command; one that nobody reads any more is lost."""
        if self._process is None or self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        with suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send a signal to the process itself."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for its end."""
        assert self._process is not None
        return await self._process.wait()

    async def end(self, grace: float) -> None:
        """Tell it to end, and kill it with all that it started if it has not within *grace* seconds."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self.send({"command": "stop"})
            self.signal(signal.SIGCONT)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.wait(self._readers, timeout=2)
        for reader in self._readers:
            reader.cancel()
        # Without this the pipe's transport complains when the loop is gone.
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def _read_lines(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for text in self._process.stdout:
            try:
                line = json.loads(text)
            except ValueError:
                self.last_words.append(text.decode(errors="replace").rstrip())
                continue
            if line.get("status") == "up":
                self.up = line
                self._is_up.set()
            self._on_line(self, line)

    async def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        log = None if self._log is None else RoleLog(self._log)
        try:
            async for text in self._process.stderr:
                line = as_line(text, self.role)
                self.last_words.append(str(line["message"]))
                if log is not None:
                    log.write(line)
        finally:
            if log is not None:
                log.close()
