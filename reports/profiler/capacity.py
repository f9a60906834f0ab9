"""What was asked of a fleet and what it could do, second by second: would it have coped with this demand if all its servers had been there and well?

Demand is that of the planned requests, by what the scenario says they cost; retries are no demand, for they are consequences. Times are ns.
"""

from functools import cached_property
from typing import Any

import numpy as np

from ...core.model import NONE, SECOND, EndpointSpec, FleetSpec
from ..evidence import TAKING, Evidence

WINDOW = 3
"""Demand is averaged over so many seconds, up to a second or from it on, whichever is more: a queue carries a fleet over less."""


class Capacity:
    """Of a run. Arrays have an entry for each second."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._fleet: FleetSpec = evidence.fleet
        self.seconds = evidence.seconds + 1

    def _by_second(self, weight: Any) -> Any:
        requests = self._evidence.requests
        place = (requests["time_ns"] // SECOND).clip(0, self.seconds - 1)
        each = np.bincount(place, weights=weight[requests["endpoint"]], minlength=self.seconds)
        # Before and after each second: demand that lasts counts from its first second to its last.
        sums = np.concatenate([[0.0], np.cumsum(each)])
        second = np.arange(self.seconds)
        smooth = np.zeros(self.seconds)
        for low, high in ((second - WINDOW + 1, second + 1), (second, second + WINDOW)):
            low, high = low.clip(0), high.clip(max=self.seconds)
            smooth = np.maximum(smooth, (sums[high] - sums[low]) / (high - low))
        return smooth

    def _held(self, endpoint: EndpointSpec) -> float:
        """ns that a request holds a worker."""
        calls = sum(self._call(number) for number in endpoint.calls)
        io = endpoint.io.mean if endpoint.io else 0.0
        return endpoint.cpu.mean + self._fleet.app.cpu_overhead + io + calls

    def _call(self, number: int) -> float:
        spec = self._fleet.dependencies[number]
        return spec.round_trip + spec.service.mean * (1 - (spec.cache.hit_share if spec.cache else 0.0))

    @cached_property
    def asked(self) -> Any:
        """Servers that the demand keeps busy altogether: of workers or of cores, whichever is more."""
        app, endpoints = self._fleet.app, self._fleet.endpoints
        held = np.array([self._held(one) for one in endpoints] or [0.0])
        cpu = np.array([one.cpu.mean for one in endpoints] or [0.0])
        return np.maximum(
            self._by_second(held) / app.workers, self._by_second(cpu) / max(app.cores, 1)
        ) / SECOND  # fmt: skip

    @cached_property
    def held_by_calls(self) -> float:
        """What calls take of the time that requests hold their workers, per unit of the rest."""
        return self._calls_per_rest(cached=True)

    @cached_property
    def held_by_calls_uncached(self) -> float:
        """How much more that is when no cache answers."""
        return self._calls_per_rest(cached=False) - self._calls_per_rest(cached=True)

    def _calls_per_rest(self, cached: bool) -> float:
        counts = np.bincount(self._evidence.requests["endpoint"], minlength=len(self._fleet.endpoints) or 1)
        calls = whole = 0.0
        for count, endpoint in zip(counts.tolist(), self._fleet.endpoints, strict=False):
            whole += count * self._held(endpoint)
            for number in endpoint.calls:
                spec = self._fleet.dependencies[number]
                calls += count * (self._call(number) if cached else spec.round_trip + spec.service.mean)
        return calls / whole if whole else 0.0

    @cached_property
    def asked_of_dependencies(self) -> Any:
        """The busiest dependency's utilisation."""
        most = np.zeros(self.seconds)
        for number, spec in enumerate(self._fleet.dependencies):
            calls = np.array([one.calls.count(number) for one in self._fleet.endpoints], dtype=float)
            missed = 1 - (spec.cache.hit_share if spec.cache else 0.0)
            if spec.concurrency > 0:
                most = np.maximum(most, self._by_second(calls * missed * spec.service.mean) / spec.concurrency / SECOND)  # fmt: skip
        return most

    @cached_property
    def asked_of_proxy(self) -> Any:
        """The utilisation of the proxy's event loop."""
        each = np.full(len(self._fleet.endpoints) or 1, float(self._fleet.proxy.cpu_per_request))
        return self._by_second(each) / SECOND

    @cached_property
    def _taking(self) -> tuple[Any, Any, Any]:
        """(second, server, requests) of the metrics' rows of servers that should get requests."""
        metrics = self._evidence.metrics
        rows = np.flatnonzero(np.isin(metrics["state"], TAKING) & (metrics["server"] > 0))
        # The row at 5 s is about the second from 4 s on.
        second = (metrics["time_ns"][rows] // SECOND - 1).clip(0, self.seconds - 1)
        return second, metrics["server"][rows], metrics["requests"][rows] + metrics["in_flight"][rows]

    @cached_property
    def listed(self) -> Any:
        """Servers that should get requests."""
        second, _, _ = self._taking
        return self._held_on(np.bincount(second, minlength=self.seconds).astype(float))

    @cached_property
    def present(self) -> Any:
        """Servers that got some."""
        second, _, asked = self._taking
        return self._held_on(np.bincount(second, weights=asked > 0, minlength=self.seconds))

    def _held_on(self, counts: Any) -> Any:
        """The last second has no row of its own if the run ended in it."""
        last = int(self._evidence.metrics["time_ns"].max()) // SECOND if len(self._evidence.metrics["time_ns"]) else 0  # fmt: skip
        counts[last:] = counts[max(last - 1, 0)]
        return counts

    @cached_property
    def idle(self) -> list[tuple[int, int, int]]:
        """(server, from, to) of servers that should get requests and got none for a second or more, while others, or the proxy, did."""
        second, server, asked = self._taking
        offered = self._by_second(np.ones(len(self._fleet.endpoints) or 1))
        lonely = (asked == 0) & (offered[second] >= 10 * np.maximum(self.listed[second], 1))
        found: list[tuple[int, int, int]] = []
        for number in np.unique(server[lonely]).tolist():
            seconds = np.unique(second[lonely & (server == number)])
            breaks = np.flatnonzero(np.diff(seconds) > 1) + 1
            for run in np.split(seconds, breaks):
                found.append((number, int(run[0]) * SECOND, (int(run[-1]) + 1) * SECOND))
        return found

    @property
    def boot(self) -> int:
        """ns from a decision to launch to a server that serves, as the scenario tells."""
        return self._fleet.pending + int(self._fleet.app.boot_time.mean)

    @property
    def maximum(self) -> int:
        """Servers that the autoscaler may have (NONE: no bound, or no autoscaler)."""
        return self._fleet.autoscaler.maximum if self._fleet.autoscaler else NONE


def greatest(values: Any, start: int, end: int) -> float:
    """The greatest of *values* (by second) in [start, end] ns."""
    low = min(max(start // SECOND, 0), len(values) - 1)
    high = min(max(end // SECOND, low), len(values) - 1)
    return float(values[low : high + 1].max())
