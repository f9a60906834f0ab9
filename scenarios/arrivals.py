"""When requests come: arrival times of open sources, as pure functions of seed and position.

Theory of operation
-------------------
A rate profile is a list of segments with linear rates; its integral L(t) counts expected requests. The k-th arrival of a
Poisson source comes when L reaches the sum of k unit exponentials (time change of a Poisson process, e.g. Cinlar, "Introduction to
Stochastic Processes", 1975, ch. 4.7); of a constant source when it reaches k - 1/2. The exponentials are summed as integers, so that the sum does not
depend on where a block ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.distributions import STEP_UNIT, exponential_steps
from ..core.draws import ARRIVAL, OFFSET, RATE, below, draw, uniform
from ..core.model import SECOND
from .schema import Stage

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Profile:
    """Segments: start (ns), length (s), rate at both ends (requests/s), and requests expected before each (one more)."""

    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.float64]
    first: npt.NDArray[np.float64]
    last: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]

    @classmethod
    def of(cls, segments: list[tuple[int, int, float, float]]) -> "Profile":
        """From (start ns, end ns, first rate, last rate), in order and without gaps."""
        table = np.array(segments, dtype=np.float64).reshape(-1, 4)
        start = np.array([segment[0] for segment in segments], dtype=np.int64)
        length = (table[:, 1] - table[:, 0]) / SECOND
        expected = length * (table[:, 2] + table[:, 3]) / 2
        before = np.concatenate(([0.0], np.cumsum(expected)))
        return cls(start, length, table[:, 2], table[:, 3], before)

    @property
    def expected(self) -> float:
        """Requests expected in all."""
        return float(self.before[-1])

    def invert(self, position: npt.NDArray[np.float64]) -> Times:
        """Times (ns) at which the integral reaches each of *position* (below ``expected``)."""
        segment = np.searchsorted(self.before, position, side="right") - 1
        segment = np.minimum(segment, len(self.length) - 1)
        rest = position - self.before[segment]
        first = self.first[segment]
        length = self.length[segment]
        slope = (self.last[segment] - first) / length
        root = np.sqrt(np.maximum(first * first + 2.0 * slope * rest, 0.0))
        denominator = first + root
        seconds = np.divide(2.0 * rest, denominator, out=np.zeros_like(rest), where=denominator > 0)
        offset = np.floor(np.minimum(seconds, length) * SECOND).astype(np.int64)
        times: Times = self.start[segment] + offset
        return times


def staged_profile(stages: list[Stage], start: int, stream: int) -> Profile:
    """The profile of ``stages`` from *start* (ns); random rates are drawn from *stream*."""
    segments: list[tuple[int, int, float, float]] = []
    time, rate = start, 0.0
    for number, stage in enumerate(stages):
        end = time + stage.for_
        if stage.to is not None:
            segments.append((time, end, rate, stage.to))
            rate = stage.to
        elif stage.rate is not None and stage.rate.constant is not None:
            rate = stage.rate.constant
            segments.append((time, end, rate, rate))
        elif stage.rate is not None and stage.rate.uniform is not None:
            spread = stage.rate.uniform
            for period, begin in enumerate(range(time, end, stage.rate.every)):
                luck = uniform(draw(stream, period, number, RATE))
                rate = spread.min + (spread.max - spread.min) * luck
                segments.append((begin, min(begin + stage.rate.every, end), rate, rate))
        time = end
    return Profile.of(segments)


def recorded_profile(requests: npt.NDArray[np.float64], scale: float, start: int) -> Profile:
    """The profile of requests per second as recorded."""
    begin = start + np.arange(len(requests), dtype=np.int64) * SECOND
    rates = requests * scale
    before = np.concatenate(([0.0], np.cumsum(rates)))
    return Profile(begin, np.ones(len(rates)), rates, rates, before)


def poisson_times(profile: Profile, stream: int, chunk: int) -> Iterator[Times]:
    """Arrival times in chunks of up to *chunk*, ascending."""
    reached, latest, index = 0, 0, 0
    while True:
        indices = np.arange(index, index + chunk, dtype=np.int64)
        steps = exponential_steps(stream, indices, 0, ARRIVAL)
        sums = np.cumsum(steps) + reached
        times, done = _invert_until_end(profile, sums / STEP_UNIT)
        times = np.maximum.accumulate(np.maximum(times, latest))
        if len(times):
            yield times
            latest = int(times[-1])
        if done:
            return
        reached, index = int(sums[-1]), index + chunk


def constant_times(profile: Profile, chunk: int) -> Iterator[Times]:
    """Evenly spaced arrival times (in terms of the rate), in chunks."""
    index = 0
    while True:
        position = np.arange(index, index + chunk, dtype=np.float64) + 0.5
        times, done = _invert_until_end(profile, position)
        if len(times):
            yield times
        if done:
            return
        index += chunk


def _invert_until_end(profile: Profile, position: npt.NDArray[np.float64]) -> tuple[Times, bool]:
    inside = int(np.searchsorted(position, profile.expected, side="left"))
    return profile.invert(position[:inside]), inside < len(position)


def timer_times(
    start: int, end: int, concurrency: int, rate: float, limit: int | None, stream: int, chunk: int
) -> Iterator[Times]:
    """Sends of *concurrency* clients that share *rate*: own timers, begun at a random moment of the first second."""
    period = concurrency * SECOND / rate
    offsets = np.array(
        sorted(below(draw(stream, client, 0, OFFSET), SECOND) for client in range(concurrency)),
        dtype=np.int64,
    )
    sent, tick = 0, 0
    ticks = max(1, chunk // concurrency)
    held: Times = np.zeros(0, dtype=np.int64)
    while limit is None or sent < limit:
        rounds = np.floor(np.arange(tick, tick + ticks) * period).astype(np.int64)
        fresh = (start + rounds[:, None] + offsets[None, :]).ravel()
        times = np.sort(np.concatenate((held, fresh)))
        tick += ticks
        # A later round may still come before a late starter of this one.
        horizon = start + int(tick * period)
        ready, held = times[times < horizon], times[times >= horizon]
        ready = ready[ready < end]
        if limit is not None:
            ready = ready[: limit - sent]
        if len(ready):
            yield ready
            sent += len(ready)
        if horizon >= end:
            return


def take_until(times: Iterator[Times], end: int) -> Iterator[Times]:
    """Cut ascending *times* off at *end* (ns)."""
    for chunk in times:
        if len(chunk) and chunk[-1] >= end:
            yield chunk[: int(np.searchsorted(chunk, end, side="left"))]
            return
        yield chunk
