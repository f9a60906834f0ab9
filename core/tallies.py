"""What became of the tries that the proxy sent to servers of each role: how many ended, how many failed, how long they took.

Theory of operation
-------------------
The proxy counts a try where it ends: by an answer, by a failure (an answer of status 500 or more, or none), or because the client no longer waits for
it, which counts as a failure after so long: a server that is too slow must not look well because nobody waited for it. It counts for the role of the
server that had it. Counters only grow; a proxy that starts anew begins at 0. Whoever wants a window takes the difference of two readings.

Latencies go into buckets that double every PER_OCTAVE of them, as in Tene's HdrHistogram: each octave from FLOOR on is divided evenly, so that a
bucket is at most an eighth of its beginning wide and integers suffice. Below FLOOR (0.1 ms) there is one bucket, from 105 s on another.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .decision import decision

FLOOR = 100_000
"""Where the second bucket begins (ns)."""
PER_OCTAVE = 8
OCTAVES = 20
BUCKETS = 2 + PER_OCTAVE * OCTAVES

_ROLES = 2
_COUNTERS = 2
_WIDTH = _COUNTERS + BUCKETS

Counters = npt.NDArray[np.int64]
"""Per role (table.SERVING, then table.CANARY): tries that ended, failures, and the buckets."""


class Tally(NamedTuple):
    """Of one role: tries that ended, those of them that failed, and how many took how long (by bucket)."""

    answers: int = 0
    failures: int = 0
    latency: tuple[int, ...] = (0,) * BUCKETS

    def since(self, earlier: "Tally") -> "Tally":
        """What was added since *earlier*; if the proxy began anew in between, what it has counted since then."""
        if self.answers < earlier.answers:
            return self
        latency = tuple(now - then for now, then in zip(self.latency, earlier.latency, strict=True))
        return Tally(self.answers - earlier.answers, self.failures - earlier.failures, latency)

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        latency = tuple(one + two for one, two in zip(self.latency, other.latency, strict=True))
        return Tally(self.answers + other.answers, self.failures + other.failures, latency)


class Tallies(NamedTuple):
    """Of both roles, counted up to *time* (ns since the scenario's start)."""

    time: int
    serving: Tally = Tally()
    canary: Tally = Tally()


def no_counters() -> Counters:
    """Counters at 0."""
    return np.zeros(_ROLES * _WIDTH, np.int64)


@decision
def bucket_of(latency: int) -> int:
    """The bucket of a *latency* (ns)."""
    if latency < FLOOR:
        return 0
    octave = 0
    start = FLOOR
    while latency >= 2 * start:
        start *= 2
        octave += 1
        if octave == OCTAVES:
            return BUCKETS - 1
    return 1 + octave * PER_OCTAVE + (latency - start) * PER_OCTAVE // start


def bucket_start(bucket: int) -> int:
    """The shortest latency (ns) in *bucket*; that of the next one is where it ends."""
    if bucket == 0:
        return 0
    octave, part = divmod(bucket - 1, PER_OCTAVE)
    start = FLOOR << octave
    return start + start * part // PER_OCTAVE


@decision
def count_try(counters: Any, role: int, latency: int, failed: bool) -> None:
    """A try at a server of *role* has ended after *latency* ns."""
    first = role * _WIDTH
    counters[first] += 1
    if failed:
        counters[first + 1] += 1
    counters[first + _COUNTERS + bucket_of(latency)] += 1


_STARTS = [bucket_start(bucket) for bucket in range(BUCKETS)]


def count_one_try(counters: Any, role: int, latency: int, failed: bool) -> None:
    """The same as :func:`count_try`, for who calls it singly and uncompiled: by bisection, which takes the interpreter half the time or less."""
    first = role * _WIDTH
    counters[first] += 1
    if failed:
        counters[first + 1] += 1
    counters[first + _COUNTERS - 1 + bisect_right(_STARTS, latency)] += 1


def tallies_of(time: int, counters: Any) -> Tallies:
    """What is in *counters* (or a list of the same numbers) at *time*."""
    numbers = [int(number) for number in counters]
    roles = (numbers[:_WIDTH], numbers[_WIDTH:])
    return Tallies(time, *(Tally(own[0], own[1], tuple(own[_COUNTERS:])) for own in roles))
