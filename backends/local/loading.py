"""The load generators of a flight: started, heard, read, and asked whether they are done."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from ...core.errors import BackendFailure
from ..load.frames import FrameReader
from .process import Line, RoleProcess
from .recording import Recording
from .roles import END_SECONDS, UP_SECONDS, RoleFactory


class LoadGenerators:
    """One or more processes that share a plan. Their rows go to *recording* as they come."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._processes: list[RoleProcess] = []
        self._readers: list[asyncio.Task[None]] = []
        self._seconds: dict[str, Line] = {}
        self._done: dict[str, Line] = {}

    async def start(
        self, factory: RoleFactory, cleanup: AsyncExitStack, scenario: Path, fds: tuple[int, ...],
        target: tuple[str, int], allowed: tuple[str, ...], parts: int,
    ) -> None:  # fmt: skip
        """Start *parts* of them against *target* and wait until they hold the plan of *scenario*. Raises BackendFailure."""
        self._processes, pipes = await factory.load(scenario, fds, target, allowed, parts)
        for process in self._processes:
            cleanup.push_async_callback(process.end, END_SECONDS)
        self._readers = [asyncio.create_task(self._read(pipe)) for pipe in pipes]
        for process in self._processes:
            await process.wait_up(UP_SECONDS)

    def begin(self, start: int) -> None:
        """Fire from *start* (ns, live clock) on."""
        for process in self._processes:
            process.send({"command": "start", "start": start})

    def heard(self, process: RoleProcess, line: Line) -> None:
        """What one of them said."""
        match line.get("status"):
            case "load":
                self._seconds[process.label] = line
            case "done":
                self._done[process.label] = line

    @property
    def done(self) -> bool:
        """Whether every request has its outcome."""
        return len(self._done) == len(self._processes)

    def check(self) -> None:
        """Raises BackendFailure if one has ended before the plan did."""
        for process in self._processes:
            if process.returncode is not None and process.label not in self._done:
                words = "\n  ".join(process.last_words)
                raise BackendFailure(f"{process.label} ended before the plan did:\n  {words}")

    async def read_all(self) -> None:
        """Wait until their rows are read to the end."""
        for process in self._processes:
            await process.end(END_SECONDS)
        await asyncio.gather(*self._readers)

    def figures(self) -> dict[str, int]:
        """Offered, completed and failed so far, and the worst p99 (ns) of the last second."""
        lines = list(self._seconds.values())
        found = {name: sum(int(line[name]) for line in lines) for name in ("offered", "completed", "failed")}
        return {**found, "p99": max((int(line["p99_ns"]) for line in lines), default=0)}

    def lateness(self, zero: int) -> dict[str, float]:
        """How late requests were sent, over the whole plan: the worst process's quantiles (ns), and the largest share more than 2 ms late.

        And when the plan began, *zero*, the scenario's zero in Unix time (ns).
        """
        names = ("late_p50_ns", "late_p99_ns", "late_max_ns", "late_share")
        worst = {name: max((line[name] for line in self._done.values()), default=0) for name in names}
        return {**worst, "zero_unix_ns": zero}

    async def _read(self, pipe: int) -> None:
        """Rows of one of them, until it closes its end."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
        )
        frames = FrameReader()
        try:
            while data := await stream.read(1 << 20):
                self._recording.rows(frames.feed(data))
        finally:
            transport.close()
