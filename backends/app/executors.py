"""What an app server's CPU demand runs on: `cores` executors, first come first served.

``sleep``: time passes for it, which costs no CPU. An executor that is free late, because its timer was, begins its next piece of work when it
should have been free, so that lateness does not add up; unless it is later than CATCH_UP, when the process stood still (SIGSTOP) and its work
with it. ``burn``: see backends.app.burning.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ..live.clock import LiveClock
from .job import Job
from .timers import Timers

CATCH_UP = 50_000_000
"""ns by which an executor makes up for late timers."""


class Executor(Protocol):
    """*cost* says what a job takes (ns) when its turn comes, *done* is told when it is done."""

    cost: Callable[[Job], int]
    done: Callable[[Job], None]

    def run(self, job: Job) -> None:
        """Run the job's CPU demand, behind those that came before."""
        ...

    def used(self) -> int:
        """CPU time spent so far (ns). May be called from any thread."""
        ...

    @property
    def pids(self) -> Sequence[int]:
        """Processes that belong to it."""
        ...

    def abandon(self) -> None:
        """Drop what waits, and forget what runs: the server behind it has lost its jobs."""
        ...

    def close(self) -> None:
        """End it; what it has under way is lost."""
        ...


class SleepExecutor:
    """Implements Executor: time is slept for."""

    pids: Sequence[int] = ()

    def __init__(self, cores: int, timers: Timers, clock: LiveClock) -> None:
        self.cost: Callable[[Job], int] = lambda job: job.cpu
        self.done: Callable[[Job], None]
        self._cores = cores
        self._timers = timers
        self._clock = clock
        self._queue: deque[Job] = deque()
        # CPU time used, executors busy, and when that was so: one value, so that another thread reads what belongs together.
        self._books = (0, 0, clock.now())
        self._life = 0

    def run(self, job: Job) -> None:
        """See Executor."""
        if self._books[1] == self._cores:
            self._queue.append(job)
            return
        cost = self.cost(job)
        if cost <= 0:
            self.done(job)
            return
        now = self._clock.now()
        self._account(now, 1)
        self._timers.at(now + cost, self._expired, (job, now + cost, self._life))

    def _account(self, now: int, change: int) -> None:
        used, busy, since = self._books
        self._books = (used + busy * (now - since), busy + change, now)

    def _expired(self, item: tuple[Job, int, int]) -> None:
        job, due, life = item
        if life != self._life:
            return
        now = self._clock.now()
        start = due if now - due < CATCH_UP else now
        self._account(now, -1)
        ended = [job]
        while self._queue:
            following = self._queue.popleft()
            cost = self.cost(following)
            if cost > 0:
                self._account(now, 1)
                self._timers.at(start + cost, self._expired, (following, start + cost, life))
                break
            ended.append(following)
        for one in ended:
            self.done(one)

    def used(self) -> int:
        """See Executor."""
        used, busy, since = self._books
        return used + busy * (self._clock.now() - since)

    def abandon(self) -> None:
        """See Executor."""
        self._queue.clear()
        self._life += 1
        self._account(self._clock.now(), -self._books[1])

    def close(self) -> None:
        """See Executor."""
        self._queue.clear()
