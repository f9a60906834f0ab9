"""An app server: workers, cores, a bounded queue, io, calls to dependencies, memory."""

from collections import deque
from typing import TYPE_CHECKING

from ..core import appserver as rules
from ..core.model import AppSpec
from ..core.order import Kind
from ..core.outcomes import Outcome
from .entities import Job
from .timeline import Timeline

if TYPE_CHECKING:
    from .dataplane import DataPlane

OK = int(Outcome.OK)
APP_ERROR = int(Outcome.APP_ERROR)
QUEUE_FULL = int(Outcome.QUEUE_FULL)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)


class AppServer:
    """The process on one instance."""

    def __init__(self, number: int, spec: AppSpec, timeline: Timeline, plane: "DataPlane") -> None:
        self.number = number
        self.spec = spec
        self.timeline = timeline
        self.plane = plane
        self.alive = True
        self.busy = 0
        self.queue: deque[Job] = deque()
        self.cores_busy = 0
        self.run_queue: deque[Job] = deque()
        self.jobs: dict[Job, None] = {}
        self.served = 0
        self.requests = 0
        self._cpu_used = 0
        self._cpu_since = timeline.now()

    @property
    def memory(self) -> int:
        """Bytes in use."""
        memory = self.spec.memory
        return rules.memory_used(memory.base, memory.each, len(self.jobs), memory.leak, self.served)

    def arrive(self, job: Job) -> None:
        """A request arrives: it is served, waits, or is turned away."""
        self.requests += 1
        if job.current:
            job.attempt.arrived = self.timeline.now()
        verdict = rules.admit_request(self.busy, self.spec.workers, len(self.queue), self.spec.queue)
        if verdict == rules.REJECT:
            self.plane.answer(job, QUEUE_FULL, 503)
            return
        self.jobs[job] = None
        if rules.out_of_memory(self.memory, self.spec.memory.total):
            self.plane.out_of_memory(self)
        elif verdict == rules.START:
            self._start(job)
        else:
            self.queue.append(job)

    def _start(self, job: Job) -> None:
        self.busy += 1
        assert self.busy <= self.spec.workers, f"server {self.number} has more busy workers than workers"
        if job.current:
            job.attempt.started = self.timeline.now()
        if self.cores_busy < self.spec.cores:
            self._run(job)
        else:
            self.run_queue.append(job)

    def _run(self, job: Job) -> None:
        now = self._account()
        self.cores_busy += 1
        self.timeline.at(now + job.cpu, Kind.CPU_DONE, self.number, job.number, job.lane, self._cpu_done, job)

    def _account(self) -> int:
        now = self.timeline.now()
        self._cpu_used += self.cores_busy * (now - self._cpu_since)
        self._cpu_since = now
        return now

    def _cpu_done(self, job: Job) -> None:
        if not self.alive:
            return
        now = self._account()
        self.cores_busy -= 1
        if self.run_queue:
            self._run(self.run_queue.popleft())
        if job.current:
            job.attempt.cpu_done = now
        if job.endpoint.io is not None:
            self.timeline.at(
                now + job.io, Kind.IO_DONE, self.number, job.number, job.lane, self._io_done, job
            )
        else:
            self._call_next(job)

    def _io_done(self, job: Job) -> None:
        if self.alive:
            self._call_next(job)

    def _call_next(self, job: Job) -> None:
        if job.call == len(job.endpoint.calls):
            self._finish(job, APP_ERROR if job.endpoint.status >= 500 else OK, job.endpoint.status)
        else:
            self.plane.call(self, job)

    def called(self, job: Job, succeeded: bool) -> None:
        """A dependency has answered, or refused."""
        if not self.alive:
            return
        job.call += 1
        if succeeded:
            self._call_next(job)
        else:
            self._finish(job, APP_ERROR, 500)

    def _finish(self, job: Job, outcome: int, status: int) -> None:
        if job.current:
            job.attempt.served = self.timeline.now()
        del self.jobs[job]
        self.busy -= 1
        self.served += 1
        self.plane.answer(job, outcome, status)
        if rules.out_of_memory(self.memory, self.spec.memory.total):
            self.plane.out_of_memory(self)
        elif self.queue:
            self._start(self.queue.popleft())

    def stop(self) -> list[Job]:
        """The process ends at once; what it had in flight."""
        self._account()
        self.alive = False
        lost, self.jobs = list(self.jobs), {}
        self.queue.clear()
        self.run_queue.clear()
        self.busy = self.cores_busy = 0
        return lost

    def sample(self) -> tuple[int, int]:
        """Requests and CPU time (ns) since the last sample; both start anew."""
        self._account()
        taken = (self.requests, self._cpu_used)
        self.requests = self._cpu_used = 0
        return taken
