"""An app server in real time: workers, cores, a bounded queue, io, calls to dependencies, memory.

It is sim.appserver with a clock, executors and sockets in place of the timeline: the same rules of core.appserver in the same order. A job's
worker is held from `started` to `served`; its CPU demand runs on the executor's cores, io and calls hold the worker only.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ...core import appserver as rules
from ...core import draws
from ...core.model import FIRST, AppSpec, VersionSpec
from ...core.outcomes import Outcome
from ...core.remedy import given_back
from ..live.clock import LiveClock
from .executors import Executor
from .job import Job
from .timers import Timers

OK = int(Outcome.OK)
APP_ERROR = int(Outcome.APP_ERROR)
QUEUE_FULL = int(Outcome.QUEUE_FULL)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
FAILED_CALL = 500


class Calls(Protocol):
    """Whoever carries calls to dependencies."""

    def call(self, job: Job, called: Callable[[Job, bool], None]) -> None:
        """Make the job's next call; *called* is told whether it succeeded."""
        ...


class AppServer:
    """The rules of one app server. Everything but :attr:`requests`, :attr:`in_flight`, :attr:`busy`, :attr:`queued` and :attr:`memory` belongs to the loop's thread.

    *held* is told the bytes in use whenever they change, *out_of_memory* when the instance dies of them: bytes and requests in flight.
    """

    def __init__(
        self, spec: AppSpec, clock: LiveClock, executor: Executor, timers: Timers, calls: Calls,
        held: Callable[[int], None], out_of_memory: Callable[[int, int], None], version: VersionSpec = FIRST,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.version = version
        self._clock = clock
        self._executor = executor
        self._timers = timers
        self._calls = calls
        self._held = held
        self._out_of_memory = out_of_memory
        executor.cost = self._cost
        executor.done = self._cpu_done
        self._busy = 0
        self._queue: deque[Job] = deque()
        self._jobs: dict[Job, None] = {}
        self._served = 0
        self._bodies = 0
        self._leaked = 0
        self._pressed = 0
        self.disturb(1.0, 0.0, 0)
        self._taking_up = False
        self._down = False
        self.requests = 0

    @property
    def in_flight(self) -> int:
        """Requests accepted and not answered."""
        return len(self._jobs)

    @property
    def busy(self) -> int:
        """Workers that have a request."""
        return self._busy

    @property
    def queued(self) -> int:
        """Of these, those that wait for a worker."""
        return len(self._queue)

    @property
    def memory(self) -> int:
        """Bytes in use, by the model; none of a process that is not there."""
        if self._down:
            return 0
        memory = self.spec.memory
        used = rules.memory_used(
            memory.base, memory.each, len(self._jobs), self._bodies, memory.leak, self._served
        )
        return used + self._leaked + self._pressed

    def arrive(self, job: Job) -> None:
        """A request has arrived: it is served, waits, or is turned away."""
        if self._down:
            job.finish(UPSTREAM_RESET, 502)
            return
        self.requests += 1
        job.arrived = self._clock.now()
        verdict = rules.admit_request(self._busy, self.spec.workers, len(self._queue), self.spec.queue)
        if verdict == rules.REJECT:
            job.finish(QUEUE_FULL, 503)
            return
        self._jobs[job] = None
        self._bodies += job.body
        self._remember()
        if verdict == rules.START:
            self._start(job)
        else:
            self._queue.append(job)

    def _remember(self) -> None:
        used = self.memory
        if rules.out_of_memory(used, self.spec.memory.total):
            self._out_of_memory(used, len(self._jobs))
        self._held(used)

    def _start(self, job: Job) -> None:
        self._busy += 1
        assert self._busy <= self.spec.workers, "more busy workers than workers"
        job.started = self._clock.now()
        if self._error_share > 0.0 and rules.fails_early(self._error_share, _error_bits(job)):
            job.error = self._error_status
        self._executor.run(job)

    def _cost(self, job: Job) -> int:
        return 0 if job.error else rules.slowed(job.cpu, self._slow)

    def _cpu_done(self, job: Job) -> None:
        if job not in self._jobs:
            return
        now = job.cpu_done = self._clock.now()
        if job.io > 0 and not job.error:
            self._timers.at(now + job.io, self._call_next, job)
        else:
            self._call_next(job)

    def _call_next(self, job: Job) -> None:
        if job not in self._jobs:
            # It was lost with the process that it was in flight at.
            return
        if job.error:
            self._finish(job, APP_ERROR, job.error)
        elif job.call == len(job.endpoint.calls):
            status = job.endpoint.status
            self._finish(job, APP_ERROR if status >= 500 else OK, status)
        else:
            self._calls.call(job, self._called)

    def _called(self, job: Job, succeeded: bool) -> None:
        job.call += 1
        if not succeeded:
            job.error = FAILED_CALL
        self._call_next(job)

    def _finish(self, job: Job, outcome: int, status: int) -> None:
        job.served = self._clock.now()
        del self._jobs[job]
        self._bodies -= job.body
        self._busy -= 1
        self._served += 1
        job.finish(outcome, status)
        self._remember()
        self._take_up()

    def _take_up(self) -> None:
        """Start what waits, on the workers that are free. A job without any demand ends while it starts; the loop further out goes on then."""
        if self._taking_up:
            return
        self._taking_up = True
        while self._queue and self._busy < self.spec.workers:
            self._start(self._queue.popleft())
        self._taking_up = False

    def disturb(self, factor: float, share: float, status: int) -> None:
        """CPU work that begins from now on takes *factor* times as long (1: none); *share* of the requests fail at once with *status*. Both beside what the version does."""
        version = self.version
        self._slow = version.cpu_factor * factor
        self._error_share, self._error_status = rules.errors_of_both(
            version.error_share, version.error_status, share, status
        )

    def leak(self, size: int) -> None:
        """So many bytes are lost."""
        if not self._down:
            self._leaked += size
            self._remember()

    def press(self, size: int) -> None:
        """Something else on the machine holds so many bytes of its memory from now on."""
        self._pressed = size
        if not self._down:
            self._remember()

    def free(self, share: float) -> None:
        """Give back this share of what was leaked."""
        if not self._down:
            self._leaked -= given_back(self.spec.memory.leak * self._served + self._leaked, share)
            self._remember()

    def stop(self) -> int:
        """The process ends at once, as far as anybody can see; how many requests it had in flight."""
        self._down = True
        lost, self._jobs = list(self._jobs), {}
        self._queue.clear()
        self._executor.abandon()
        self._busy = self._bodies = self._served = self._leaked = 0
        for job in lost:
            job.finish(UPSTREAM_RESET, 502)
        self._held(self.memory)
        return len(lost)

    def start(self) -> None:
        """A new process serves."""
        self._down = False
        self._remember()


def _error_bits(job: Job) -> int:
    return draws.draw(job.stream, job.index, job.attempt, draws.ERROR + draws.TRY * job.tries)
