"""Where the time of requests went, from the moments that attempts record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.outcomes import Outcome
from ..core.trace import schema
from .evidence import Evidence

STATIONS = (
    "earlier attempts and backoff",
    "to the proxy, with the wait for a connection",
    "proxy",
    "on the way to a server, with the proxy's retries",
    "queue of the server",
    "CPU, with the wait for a core",
    "io and dependencies",
    "the answer's way",
)
"""What the latency of a request consists of, in order."""

EARLIER, CONNECTION, PROXY, UPSTREAM, QUEUE, CPU, WAITS, ANSWER = (
    schema.EARLIER, schema.CONNECTION, schema.IN_PROXY, schema.UPSTREAM, schema.QUEUE, schema.CPU, schema.WAITS, schema.ANSWER,
)  # fmt: skip

_MOMENTS = ("proxy_ns", "routed_ns", "arrived_ns", "started_ns", "cpu_done_ns", "served_ns")


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Mean ns at each of STATIONS of *count* requests, and their median latency; when each was planned, and arrived at its server
    (-1: never), and the number of its endpoint.
    """

    count: int
    median: int
    means: tuple[float, ...]
    planned: Any
    arrived: Any
    endpoint: Any

    @property
    def total(self) -> float:
        """Mean latency (ns)."""
        return sum(self.means)

    def share(self, station: int) -> float:
        """The share (0 to 1) of the time that was spent at a station."""
        return self.means[station] / self.total if self.total > 0 else 0.0

    @property
    def most(self) -> int:
        """The station that took most."""
        return int(np.argmax(self.means))


def slowest(evidence: Evidence, share: float = 0.01) -> Breakdown | None:
    """Of the slowest *share* of all requests with an outcome of clients that read, failed ones included."""
    return _part(evidence, 1 - share, 1.0)


def middling(evidence: Evidence, share: float = 0.01) -> Breakdown | None:
    """Of the *share* of requests around the median, to compare with."""
    return _part(evidence, 0.5 - share / 2, 0.5 + share / 2)


def _part(evidence: Evidence, low: float, high: float) -> Breakdown | None:
    requests = evidence.requests
    able = np.flatnonzero(evidence.readers & (requests["outcome"] != Outcome.UNREAD))
    if not len(able):
        return None
    # Ties by number, so that the choice depends on nothing else.
    order = able[np.argsort(requests["latency_ns"][able], kind="stable")]
    first = min(int(low * len(order)), len(order) - 1)
    chosen = np.sort(order[first : max(int(np.ceil(high * len(order))), first + 1)])
    times, arrived = breakdown(evidence, chosen)
    means = tuple(float(value) for value in times.mean(axis=1))
    median = int(np.median(requests["latency_ns"][chosen]))
    return Breakdown(
        len(chosen), median, means, requests["time_ns"][chosen], arrived, requests["endpoint"][chosen]
    )


def breakdown(evidence: Evidence, rows: Any) -> tuple[Any, Any]:
    """ns at each of STATIONS (rows of the array) of the requests in *rows*, which sum up to the latency; and when each arrived at its server.

    A moment that an attempt never reached counts as its end: the time is that of the station where it was last.
    """
    requests = evidence.requests
    wanted, last = requests["request"][rows], requests["attempts"][rows]
    number = evidence.attempts("request")
    candidates = np.flatnonzero(np.isin(number, wanted))
    place = np.searchsorted(wanted, number[candidates])
    final = evidence.attempts("attempt")[candidates] == last[place]
    chosen, place = candidates[final], place[final]
    start, latency = requests["time_ns"][rows], requests["latency_ns"][rows]
    moments = np.empty((len(STATIONS) + 1, len(rows)), dtype=np.int64)
    moments[:] = start + latency
    moments[0] = start
    moments[1, place] = evidence.starts[chosen]
    for row, name in enumerate(_MOMENTS, 2):
        moments[row, place] = evidence.attempts(name)[chosen]
    arrived = np.full(len(rows), -1, dtype=np.int64)
    arrived[place] = evidence.attempts("arrived_ns")[chosen]
    fill(moments)
    return np.diff(moments, axis=0), arrived


def fill(moments: Any) -> None:
    """From the end backwards: what was never reached, or reached after the end, becomes the moment after it."""
    for row in range(len(moments) - 2, 0, -1):
        missing = moments[row] < 0
        moments[row][missing] = moments[row + 1][missing]
        np.minimum(moments[row], moments[row + 1], out=moments[row])
        np.maximum(moments[row], moments[0], out=moments[row])


@dataclass(frozen=True, slots=True)
class Wait:
    """Of an endpoint that calls dependencies: when its served requests were planned and how long io and calls took (ns)."""

    path: str
    calls: tuple[str, ...]
    with_io: bool
    time: Any
    waited: Any


def dependency_waits(evidence: Evidence) -> Sequence[Wait]:
    """By endpoint that calls dependencies and was served. The time holds the endpoint's own io too: calls are not recorded singly."""
    calling = [n for n, endpoint in enumerate(evidence.fleet.endpoints) if endpoint.calls]
    if not calling:
        return []
    served, done = evidence.attempts("served_ns"), evidence.attempts("cpu_done_ns")
    reached = np.flatnonzero((served >= 0) & (done >= 0))
    place = np.searchsorted(evidence.requests["request"], evidence.attempts("request")[reached])
    place = place.clip(max=max(len(evidence.requests["request"]) - 1, 0))
    endpoint, time = evidence.requests["endpoint"][place], evidence.requests["time_ns"][place]
    waited = (served - done)[reached]
    found = []
    for number in calling:
        spec, chosen = evidence.fleet.endpoints[number], endpoint == number
        if chosen.any():
            names = tuple(evidence.fleet.dependencies[call].name for call in spec.calls)
            found.append(Wait(spec.path, names, spec.io is not None, time[chosen], waited[chosen]))
    return found
