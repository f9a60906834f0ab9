"""What the rules look at: a run's evidence, and what several of them need of it, computed once and only if one asks.

``Service`` is each stretch of time for which a worker had a request: service time, without any wait in a queue. ``Load`` is how much of the fleet's capacity the planned
requests needed, second by second: what the autoscaler should have known, from arrivals and measured demand, not from what a policy saw.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ....core.lifecycle import State
from ....core.model import SECOND
from ....core.outcomes import GOOD, NAMES
from ...decision_log import Row
from ...evidence import TAKING, Evidence
from ...facts import Facts, gather
from ...run import RunError
from ...tables import codes

MOST_BINS = 90
"""Into so many bins at most, of whole seconds, a run is cut to look for changes."""

TROUBLE = 0.01
"""The share of requests that fail where there is trouble."""

SMOOTH = 5
"""Seconds over which the load is averaged: by chance a single second has more than its share."""


@dataclass(frozen=True)
class Service:
    """Served attempts that a worker had: on which *server*, for which *endpoint* (by number), from when, for how long on CPU (with the wait for a core) and in io and calls (ns)."""

    server: Any
    endpoint: Any
    begun: Any
    cpu: Any
    wait: Any

    @cached_property
    def whole(self) -> Any:
        """How long the worker had it."""
        return self.cpu + self.wait


@dataclass(frozen=True, slots=True)
class Load:
    """Per second of the run: *needed* servers for the planned requests (averaged over SMOOTH seconds), *attempted* for all attempts, servers *serving*. *by*: ``cores`` or ``workers``,
    whichever is needed more; *each*: requests a second that one server can serve.
    """

    needed: Any
    attempted: Any
    serving: Any
    by: str
    each: float

    def utilisation(self) -> Any:
        """Needed over serving; 0 where nobody serves and nothing is needed."""
        return np.where(
            self.serving > 0,
            self.needed / np.maximum(self.serving, 1),
            np.where(self.needed > 0, np.inf, 0.0),
        )


class Scene:
    """A run as the rules see it."""

    def __init__(self, evidence: Evidence, facts: Facts | None = None) -> None:
        self.evidence = evidence
        self.fleet = facts.fleet if facts else evidence.fleet
        self._facts = facts

    @cached_property
    def facts(self) -> Facts:
        """Its figures."""
        return self._facts or gather(self.evidence)

    @cached_property
    def end(self) -> int:
        """When it ended (ns)."""
        return self.evidence.end

    @cached_property
    def width(self) -> int:
        """Length of a bin (ns)."""
        return -(-self.evidence.seconds // MOST_BINS) * SECOND

    @cached_property
    def bins(self) -> int:
        """Number of bins."""
        return -(-self.evidence.seconds * SECOND // self.width)

    def bin_of(self, time: Any) -> Any:
        """The bins of moments."""
        return np.clip(time // self.width, 0, self.bins - 1)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """From when to when bins [first, last) go."""
        return first * self.width, min(last * self.width, self.end)

    def attempt(self, name: str) -> Any:
        """A column of the attempts (outcomes as numbers), kept if several rules need it."""
        if name == "outcome" and name not in self._columns:
            table = self.evidence.run.table("attempts", ("outcome",))
            self._columns[name] = codes(table, "outcome", NAMES)
        if name not in self._columns:
            self._columns[name] = self.evidence.attempts(name)
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return {"start_ns": self.evidence.starts}

    @cached_property
    def owner(self) -> Any:
        """For each attempt, the row of its request."""
        number, wanted = self.evidence.requests["request"], self.attempt("request")
        if len(number) and int(number[-1]) == len(number) - 1:
            return wanted
        return np.searchsorted(number, wanted).clip(max=max(len(number) - 1, 0))

    @cached_property
    def service(self) -> Service:
        """Service times, of servers that are known by number."""
        started, done, served = (self.attempt(name) for name in ("started_ns", "cpu_done_ns", "served_ns"))
        server = self.attempt("server")
        rows = np.flatnonzero((started >= 0) & (done >= started) & (served >= done) & (server > 0))
        endpoint = self.evidence.requests["endpoint"][self.owner[rows]]
        return Service(server[rows], endpoint, started[rows], (done - started)[rows], (served - done)[rows])

    @cached_property
    def serving(self) -> Any:
        """How many servers serve in each second."""
        metrics, seconds = self.evidence.metrics, self.evidence.seconds
        rows = self.evidence.in_states(TAKING)
        place = np.clip(metrics["time_ns"][rows] // SECOND - 1, 0, seconds - 1)
        return np.bincount(place, minlength=seconds)

    @cached_property
    def load(self) -> Load | None:
        """None if nothing was served."""
        service, evidence = self.service, self.evidence
        if not len(service.server):
            return None
        kinds = max(len(self.fleet.endpoints), 1)
        many = np.bincount(service.endpoint, minlength=kinds)
        cpu = np.bincount(service.endpoint, service.cpu, kinds) / np.maximum(many, 1) / SECOND
        wait = np.bincount(service.endpoint, service.wait, kinds) / np.maximum(many, 1) / SECOND
        cpu = cpu * self._alone(float(service.cpu.sum()) / SECOND)
        app, second = self.fleet.app, evidence.requests["time_ns"] // SECOND
        kind = evidence.requests["endpoint"]
        cores, workers = cpu / app.cores, (cpu + wait) / app.workers
        by = "cores" if float(cores[kind].sum()) >= float(workers[kind].sum()) else "workers"
        each = cores if by == "cores" else workers
        seconds = evidence.seconds
        planned = np.bincount(np.clip(second, 0, seconds - 1), each[kind], seconds)[:seconds]
        when = np.clip(self.attempt("start_ns") // SECOND, 0, seconds - 1)
        attempted = np.bincount(when, each[kind[self.owner]], seconds)[:seconds]
        mean = float(each[kind].mean())
        return Load(smooth(planned), smooth(attempted), self.serving, by, 1 / mean if mean > 0 else np.inf)

    def _alone(self, had: float) -> float:
        """The share of the *had* seconds on CPU that was CPU time and not the wait for a core."""
        metrics = self.evidence.metrics
        used = float(metrics["cpu_ns"][metrics["server"] > 0].sum()) / SECOND
        return min(used / had, 1.0) if used > 0 and had > 0 else 1.0

    @cached_property
    def trouble(self) -> bool:
        """Whether at least 1% of the requests failed, or a latency objective is violated."""
        outcome = self.evidence.requests["outcome"][self.evidence.readers]
        failed = float((~np.isin(outcome, list(GOOD))).mean()) if len(outcome) else 0.0
        objectives = [slo for slo in self.evidence.summary["slo"] if slo["indicator"].startswith("latency")]
        return failed >= TROUBLE or any(not slo["held"] for slo in objectives)

    @cached_property
    def turns(self) -> list[Row]:
        """The turns of the autoscaler at which something was decided; empty without a record."""
        try:
            return [row for row in self.evidence.run.decisions.to_pylist() if row["serving"] >= 0]
        except RunError:
            return []

    @cached_property
    def idle_states(self) -> Any:
        """Which rows of the metrics are of servers that serve as all others do: no canaries."""
        return self.evidence.in_states((State.SERVING,))


def smooth(values: Any) -> Any:
    """The mean over the SMOOTH values around each, fewer at the ends."""
    kernel = np.ones(min(SMOOTH, max(len(values), 1)))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def stretches(flags: Any, least: int, apart: int = 0) -> list[tuple[int, int]]:
    """Runs [first, last) of consecutive true values, those that are at most *apart* from each other as one, at least *least* long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]])))
    found: list[tuple[int, int]] = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if found and first - found[-1][1] <= apart:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return [one for one in found if one[1] - one[0] >= least]
