"""A dependency in real time: so many calls at once, the others wait; perhaps a cache in front of it. It is sim.dependency with a clock and timers."""

import asyncio
from collections import deque

from ...core import draws
from ...core.appserver import REJECT, START, admit_request, cache_hit, slowed
from ...core.model import DependencySpec
from ..live.clock import LiveClock
from .timers import Timers


class Call:
    """A call to a dependency: whose draws, and the entry of the cache that it asks for (-1: none)."""

    __slots__ = ("attempt", "entry", "index", "position", "stream", "succeeded", "tries", "waiter")

    def __init__(self, stream: int, index: int, attempt: int, tries: int, position: int) -> None:
        self.stream = stream
        self.index = index
        self.attempt = attempt
        self.tries = tries
        self.position = position
        self.entry = -1
        self.succeeded: bool | None = None
        self.waiter: asyncio.Future[None] | None = None

    def draw(self, which: int) -> int:
        """Bits for the service time (0) or the cache (1)."""
        purpose = draws.CALL + 2 * self.position + which + draws.TRY * self.tries
        return draws.draw(self.stream, self.index, self.attempt, purpose)

    def finish(self, succeeded: bool) -> None:
        """It has its answer."""
        self.succeeded = succeeded
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Dependency:
    """One dependency. *begin*: when its warm cache was filled (ns on the live clock); before that nothing in it expires."""

    def __init__(self, spec: DependencySpec, clock: LiveClock, timers: Timers) -> None:
        self.spec = spec
        self._clock = clock
        self._timers = timers
        self._busy = 0
        self._slow = 1.0
        self._down = False
        self._queue: deque[Call] = deque()
        self._begin = 0
        self._filled_until: list[int] = []
        self.warm(clock.now())

    def warm(self, begin: int) -> None:
        """The cache is as at the scenario's start, which is *begin*."""
        self._begin = begin
        self._filled_until = self.spec.cache.warm() if self.spec.cache else []

    def _now(self) -> int:
        return max(0, self._clock.now() - self._begin)

    def arrive(self, call: Call) -> None:
        """A call arrives."""
        call.entry = self._entry(call)
        if call.entry >= 0 and cache_hit(self._filled_until[call.entry], self._now()):
            call.finish(True)
            return
        if self._down:
            call.finish(False)
            return
        verdict = admit_request(self._busy, self.spec.concurrency, len(self._queue), self.spec.queue)
        if verdict == REJECT:
            call.finish(False)
        elif verdict == START:
            self._serve(call)
        else:
            self._queue.append(call)

    def _entry(self, call: Call) -> int:
        cache = self.spec.cache
        if cache is None:
            return -1
        bits = call.draw(1)
        if draws.uniform(bits) >= cache.hit_share:
            return -1
        return draws.below_again(bits, cache.keys)

    def _serve(self, call: Call) -> None:
        self._busy += 1
        length = slowed(self.spec.service.sample(call.draw(0)), self._slow)
        self._timers.at(self._clock.now() + length, self._done, call)

    def _done(self, call: Call) -> None:
        self._busy -= 1
        if self._down:
            call.finish(False)
            return
        if call.entry >= 0 and self.spec.cache is not None:
            self._filled_until[call.entry] = self._now() + self.spec.cache.ttl
        while self._queue and self._busy < self.spec.concurrency:
            self._serve(self._queue.popleft())
        call.finish(True)

    def abandon(self, call: Call) -> None:
        """The caller is dead: a call that still waits is not served."""
        if call in self._queue:
            self._queue.remove(call)
            call.finish(False)

    def disturb(self, factor: float, down: bool) -> None:
        """It is slow, or down, or well again; a dependency that is down fails what waits for it."""
        self._slow, self._down = factor, down
        while down and self._queue:
            self._queue.popleft().finish(False)

    def flush(self) -> None:
        """The cache is empty."""
        self._filled_until = [0] * len(self._filled_until)
