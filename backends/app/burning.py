"""CPU demand that is really burnt: on `cores` processes (backends.app.spinner) that share no GIL with each other or with the server."""

import asyncio
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from ...core.model import SECOND
from . import spinner
from .job import Job

_PREFETCH = 2
"""Orders in the pipe per executor: one that is being worked on and one behind it, so that none waits for the server's loop."""


class BurnExecutor:
    """Implements backends.app.executors.Executor with processes. They end when this process does, however it ends."""

    def __init__(self, cores: int, loop: asyncio.AbstractEventLoop) -> None:
        self.cost: Callable[[Job], int] = lambda job: job.cpu
        self.done: Callable[[Job], None]
        self._loop = loop
        self._room = cores * _PREFETCH
        self._queue: deque[Job] = deque()
        self._under_way: dict[int, Job] = {}
        self._count = 0
        orders, self._orders = os.pipe()
        self._reports, reports = os.pipe()
        command = [sys.executable, "-I", "-S", str(Path(spinner.__file__)), str(orders), str(reports)]
        self._processes = [
            subprocess.Popen(command, pass_fds=(orders, reports), stdin=subprocess.DEVNULL)
            for _ in range(cores)
        ]
        os.close(orders)
        os.close(reports)
        self._watched = [psutil.Process(process.pid) for process in self._processes]
        loop.add_reader(self._reports, self._reported)

    @property
    def pids(self) -> Sequence[int]:
        """See Executor."""
        return [process.pid for process in self._processes]

    def run(self, job: Job) -> None:
        """See Executor."""
        self._queue.append(job)
        self._order()

    def _order(self) -> None:
        ended = []
        while self._queue and len(self._under_way) < self._room:
            job = self._queue.popleft()
            cost = self.cost(job)
            if cost <= 0:
                ended.append(job)
                continue
            self._count += 1
            self._under_way[self._count] = job
            os.write(self._orders, spinner.ORDER.pack(self._count, cost))
        for job in ended:
            self.done(job)

    def _reported(self) -> None:
        reports = os.read(self._reports, spinner.REPORT.size * 1024)
        if not reports:
            self._loop.remove_reader(self._reports)
            return
        ended = [self._under_way.pop(number) for (number,) in spinner.REPORT.iter_unpack(reports)]
        self._order()
        for job in ended:
            self.done(job)

    def used(self) -> int:
        """See Executor: CPU time of the processes, their start included. Raises RuntimeError if one of them has ended."""
        seconds = 0.0
        for process in self._watched:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                times = None
            if times is None or process.status() == psutil.STATUS_ZOMBIE:
                raise RuntimeError(f"expected {len(self._watched)} processes that burn CPU, but {process.pid} has ended")  # fmt: skip
            seconds += times.user + times.system
        return int(seconds * SECOND)

    def abandon(self) -> None:
        """See Executor. What burns already burns to its end; *done* is told, and knows its jobs."""
        self._queue.clear()

    def close(self) -> None:
        """See Executor."""
        self._loop.remove_reader(self._reports)
        os.close(self._orders)
        os.close(self._reports)
        for process in self._processes:
            process.kill()
            process.wait()
