"""When requests come: arrival times of open sources, as pure functions of seed and position.

The k-th arrival of a Poisson source comes when the integral of its rate (core.rates) reaches the sum of k unit exponentials; of a
constant source when it reaches k - 1/2. The exponentials are summed as integers, so that the sum does not
depend on where a block ends.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..core.distributions import STEP_UNIT, exponential_steps
from ..core.draws import ARRIVAL, OFFSET, RATE, below, draw, uniform
from ..core.model import SECOND
from ..core.rates import SEGMENT, Profile, Times, expected_requests, profile_of, times_at
from .schema_stage import Stage
from .schema_wire import WireTraffic


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
    return profile_of(segments)


def recorded_profile(requests: npt.NDArray[np.float64], scale: float, start: int) -> Profile:
    """The profile of requests per second as recorded."""
    profile = np.zeros(len(requests), SEGMENT)
    profile["start"] = start + np.arange(len(requests), dtype=np.int64) * SECOND
    profile["length"] = 1.0
    profile["first"] = profile["last"] = requests * scale
    profile["before"][1:] = np.cumsum(profile["first"])[:-1]
    return profile


def poisson_times(profile: Profile, stream: int, chunk: int) -> Iterator[Times]:
    """Arrival times in chunks of up to *chunk*, ascending."""
    expected = expected_requests(profile)
    chunk = min(chunk, _enough(expected))
    reached, latest, index = 0, 0, 0
    while True:
        indices = np.arange(index, index + chunk, dtype=np.int64)
        sums = np.cumsum(exponential_steps(stream, indices, 0, ARRIVAL)) + reached
        positions = sums / STEP_UNIT
        inside = int(np.searchsorted(positions, expected, side="left"))
        if inside:
            times = times_at(profile, positions[:inside], latest)
            yield times
            latest = int(times[-1])
        if inside < chunk:
            return
        reached, index = int(sums[-1]), index + chunk


def _enough(expected: float) -> int:
    """So many draws are nearly always enough for a source of so many requests."""
    return int(expected + 4 * math.sqrt(expected)) + 16


def constant_times(profile: Profile, chunk: int) -> Iterator[Times]:
    """Evenly spaced arrival times (in terms of the rate), in chunks."""
    expected = expected_requests(profile)
    whole = max(0, math.ceil(expected - 0.5))
    for index in range(0, whole, chunk):
        positions = np.arange(index, min(index + chunk, whole), dtype=np.float64) + 0.5
        yield times_at(profile, positions, 0)


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


def wire_times(
    wire: WireTraffic, arrivals: str, start: int, end: int, stream: int, chunk: int
) -> Iterator[Times]:
    """When the connections of *wire* begin, from *start* to *end* (ns)."""
    if wire.at is not None:
        times = np.array(sorted(wire.at), np.int64) + start
        return take_until(iter([times]), end)
    profile = staged_profile(wire.stages or [], start, stream)
    return take_until(
        poisson_times(profile, stream, chunk) if arrivals == "poisson" else constant_times(profile, chunk),
        end,
    )


def every(times: Iterator[Times], first: int, step: int) -> Iterator[Times]:
    """Of *times* those that are numbered *first*, *first* + *step*, ..."""
    seen = 0
    for chunk in times:
        yield chunk[(first - seen) % step :: step]
        seen += len(chunk)


def take_until(times: Iterator[Times], end: int) -> Iterator[Times]:
    """Cut ascending *times* off at *end* (ns)."""
    for chunk in times:
        if len(chunk) and chunk[-1] >= end:
            yield chunk[: int(np.searchsorted(chunk, end, side="left"))]
            return
        yield chunk
