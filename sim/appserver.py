"""An app server: workers, cores, a bounded queue, io, calls to dependencies, memory."""

from collections import deque
from typing import TYPE_CHECKING

from ..core import appserver as rules
from ..core import draws
from ..core.model import FIRST, AppSpec, VersionSpec
from ..core.order import Kind
from ..core.outcomes import Outcome
from ..core.remedy import given_back
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

    def __init__(
        self, number: int, spec: AppSpec, timeline: Timeline, plane: "DataPlane", version: VersionSpec = FIRST
    ) -> None:
        self.number = number
        self.version = version
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
        self.bodies = 0
        self.requests = 0
        self.disturb(1.0, 0.0, 0)
        self.leaked = 0
        self.pressed = 0
        self.pauses = 0
        self._paused_at = self._frozen = 0
        self._parked: list[tuple[Kind, Job, int]] = []
        self._cpu_used = 0
        self._cpu_since = plane.host.clock()

    @property
    def memory(self) -> int:
        """Bytes in use."""
        memory = self.spec.memory
        used = rules.memory_used(
            memory.base, memory.each, len(self.jobs), self.bodies, memory.leak, self.served
        )
        return used + self.leaked + self.pressed

    def arrive(self, job: Job) -> None:
        """A request arrives: it is served, waits, or is turned away."""
        if self.pauses:
            self._parked.append((Kind.APP_ARRIVE, job, 0))
            return
        self.requests += 1
        if job.current:
            job.attempt.arrived = self.timeline.now()
        verdict = rules.admit_request(self.busy, self.spec.workers, len(self.queue), self.spec.queue)
        if verdict == rules.REJECT:
            self.plane.answer(job, QUEUE_FULL, 503)
            return
        self.jobs[job] = None
        self.bodies += job.body
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
        if self.error_share > 0.0 and rules.fails_early(self.error_share, self._error_bits(job)):
            job.error = self.error_status
        if self.cores_busy < self.spec.cores:
            self._run(job)
        else:
            self.run_queue.append(job)

    def _error_bits(self, job: Job) -> int:
        request = job.attempt.request
        purpose = draws.ERROR + draws.TRY * job.tries
        return draws.draw(request.stream, request.index, job.attempt.number, purpose)

    def _run(self, job: Job) -> None:
        self._account()
        self.cores_busy += 1
        job.frozen = self._frozen
        self._compute(job, 0 if job.error else rules.slowed(job.cpu, self.slow))

    def _compute(self, job: Job, demand: int) -> None:
        event = (Kind.CPU_DONE, self.number, job.number, job.lane, self._cpu_done, (job,))
        self.plane.host.compute(demand, event)

    def _account(self) -> None:
        """Bring the CPU time used up to now."""
        clock = self.plane.host.clock()
        if not self.pauses:
            self._cpu_used += self.cores_busy * (clock - self._cpu_since)
        self._cpu_since = clock

    def _cpu_done(self, job: Job) -> None:
        if not self.alive:
            return
        now = self.timeline.now()
        owed = self._frozen - job.frozen
        if self.pauses:
            self._parked.append((Kind.CPU_DONE, job, now - self._paused_at + owed))
            return
        if owed:
            job.frozen = self._frozen
            self._compute(job, owed)
            return
        self._account()
        self.cores_busy -= 1
        if self.run_queue:
            self._run(self.run_queue.popleft())
        if job.current:
            job.attempt.cpu_done = now
        waits = job.endpoint.io is not None
        overhead = rules.held_after(job.cpu, self.spec.cpu_overhead)
        if (waits or overhead) and not job.error:
            time = now + overhead + (job.io + self.spec.timer_slack if waits else 0)
            self.timeline.at(time, Kind.IO_DONE, self.number, job.number, job.lane, self._io_done, job)
        else:
            self._call_next(job)

    def _io_done(self, job: Job) -> None:
        if not self.alive:
            return
        if self.pauses:
            self._parked.append((Kind.IO_DONE, job, 0))
        else:
            self._call_next(job)

    def _call_next(self, job: Job) -> None:
        if job.error:
            self._finish(job, APP_ERROR, job.error)
        elif job.call == len(job.endpoint.calls):
            self._finish(job, APP_ERROR if job.endpoint.status >= 500 else OK, job.endpoint.status)
        else:
            self.plane.call(self, job)

    def called(self, job: Job, succeeded: bool) -> None:
        """A dependency has answered, or refused."""
        if not self.alive:
            return
        job.call += 1
        if not succeeded:
            job.error = 500
        self._io_done(job)

    def _finish(self, job: Job, outcome: int, status: int) -> None:
        if job.current:
            job.attempt.served = self.timeline.now()
        del self.jobs[job]
        self.bodies -= job.body
        self.busy -= 1
        self.served += 1
        self.plane.answer(job, outcome, status)
        if rules.out_of_memory(self.memory, self.spec.memory.total):
            self.plane.out_of_memory(self)
        elif self.queue:
            self._start(self.queue.popleft())

    def pause(self) -> None:
        """Everything stands still."""
        self._account()
        self.pauses += 1
        if self.pauses == 1:
            self._paused_at = self.timeline.now()
            for event, left in self.plane.host.withdraw(Kind.CPU_DONE, self.number):
                self._parked.append((Kind.CPU_DONE, event[-1][0], left))

    def resume(self) -> None:
        """What fell due meanwhile is due now, CPU work after what is left of it."""
        self._account()
        self.pauses -= 1
        if self.pauses:
            return
        now = self.timeline.now()
        self._frozen += now - self._paused_at
        parked, self._parked = self._parked, []
        for kind, job, left in parked:
            job.frozen = self._frozen
            if kind == Kind.CPU_DONE:
                self._compute(job, left)
                continue
            handler = self.plane.arrive if kind == Kind.APP_ARRIVE else self._io_done
            self.timeline.at(now, kind, self.number, job.number, job.lane, handler, job)

    def disturb(self, factor: float, share: float, status: int) -> None:
        """What a fault does to it from now on, beside what its version does (see sim.plane.Plane.disturb_server)."""
        version = self.version
        self.slow = version.cpu_factor * factor
        self.error_share, self.error_status = rules.errors_of_both(
            version.error_share, version.error_status, share, status
        )

    def leak(self, size: int) -> None:
        """So many bytes are lost."""
        self.leaked += size
        if rules.out_of_memory(self.memory, self.spec.memory.total):
            self.plane.out_of_memory(self)

    def press(self, size: int) -> None:
        """Something else holds so many bytes from now on."""
        self.pressed = size
        if rules.out_of_memory(self.memory, self.spec.memory.total):
            self.plane.out_of_memory(self)

    def free(self, share: float) -> int:
        """Give back this share of what was leaked; in bytes."""
        freed = given_back(self.spec.memory.leak * self.served + self.leaked, share)
        self.leaked -= freed
        return freed

    def stop(self) -> list[Job]:
        """The process ends at once; what it had in flight. Requests that nobody took up have no connection any more."""
        self._account()
        self.alive = False
        self.plane.host.withdraw(Kind.CPU_DONE, self.number)
        parked, self._parked = self._parked, []
        for kind, job, _ in parked:
            if kind == Kind.APP_ARRIVE:
                self.plane.arrive(job)
        lost, self.jobs = list(self.jobs), {}
        self.queue.clear()
        self.run_queue.clear()
        self.busy = self.cores_busy = self.bodies = 0
        return lost

    def sample(self) -> tuple[int, int]:
        """Requests and CPU time (ns) since the last sample; both start anew."""
        self._account()
        taken = (self.requests, self._cpu_used)
        self.requests = self._cpu_used = 0
        return taken
