"""A dependency: so many calls at once, the others wait; perhaps a cache in front of it."""

from collections import deque
from typing import Protocol

from ..core import draws
from ..core.appserver import REJECT, START, admit_request, cache_hit, slowed
from ..core.model import DependencySpec
from ..core.order import Kind
from .entities import Job
from .timeline import Timeline


class Caller(Protocol):
    """Who calls: an app server."""

    @property
    def alive(self) -> bool:
        """Whether it is still there."""

    def called(self, job: Job, succeeded: bool) -> None:
        """Take the answer."""
        ...


class Dependency:
    """One dependency of all app servers."""

    def __init__(self, number: int, spec: DependencySpec, timeline: Timeline) -> None:
        self.number = number
        self.spec = spec
        self.timeline = timeline
        self.busy = 0
        self.slow = 1.0
        self.down = False
        self.queue: deque[tuple[Job, int, Caller]] = deque()
        self.filled_until = spec.cache.warm() if spec.cache else []

    def call(self, job: Job, caller: Caller) -> None:
        """A call arrives; *caller* is told whether it succeeded."""
        entry = self._entry(job)
        if entry >= 0 and cache_hit(self.filled_until[entry], self.timeline.now()):
            caller.called(job, True)
            return
        if self.down:
            caller.called(job, False)
            return
        verdict = admit_request(self.busy, self.spec.concurrency, len(self.queue), self.spec.queue)
        if verdict == REJECT:
            caller.called(job, False)
        elif verdict == START:
            self._serve(job, entry, caller)
        else:
            self.queue.append((job, entry, caller))

    def _draw(self, job: Job, which: int) -> int:
        request = job.attempt.request
        purpose = draws.CALL + 2 * job.call + which + draws.TRY * job.tries
        return draws.draw(request.stream, request.index, job.attempt.number, purpose)

    def _entry(self, job: Job) -> int:
        """The cache entry that the call asks for, or -1."""
        cache = self.spec.cache
        if cache is None:
            return -1
        bits = self._draw(job, 1)
        if draws.uniform(bits) >= cache.hit_share:
            return -1
        return draws.below_again(bits, cache.keys)

    def _serve(self, job: Job, entry: int, caller: Caller) -> None:
        self.busy += 1
        service = slowed(self.spec.service.sample(self._draw(job, 0)), self.slow)
        time = self.timeline.now() + service + self.spec.timer_slack
        self.timeline.at(
            time, Kind.DEPENDENCY_DONE, self.number, job.number, job.lane, self._done, job, entry, caller
        )

    def _done(self, job: Job, entry: int, caller: Caller) -> None:
        self.busy -= 1
        if self.down:
            caller.called(job, False)
            return
        if entry >= 0 and self.spec.cache is not None:
            self.filled_until[entry] = self.timeline.now() + self.spec.cache.ttl
        while self.queue and self.busy < self.spec.concurrency:
            following = self.queue.popleft()
            if following[2].alive:  # The connection of a dead caller is closed, and its call with it.
                self._serve(*following)
        caller.called(job, True)

    def disturb(self, factor: float, down: bool) -> None:
        """It is slow, or down, or well again; a dependency that is down fails what waits for it."""
        self.slow, self.down = factor, down
        while down and self.queue:
            job, _, caller = self.queue.popleft()
            caller.called(job, False)

    def flush(self) -> None:
        """The cache is empty."""
        self.filled_until = [0] * len(self.filled_until)
