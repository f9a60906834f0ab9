"""How long each fault was felt, and by how many: recovery time and blast radius, by the objectives. Times are ns.

Theory of operation
-------------------
An objective *holds from t* if its indicator, over the requests planned in the WINDOW after t, is within its bound. A fault violates an objective that held over the WINDOW before
it began and does not hold from some second between its beginning and WINDOW after its end. The fleet has recovered at the first whole second after the fault's end from which
everything that it violated holds; the recovery time is from the end to there. Seconds outside of an objective's own time say nothing.

The blast radius is counted from the beginning to the recovery (at least to WINDOW after the end): the requests planned then that failed or were late, less as many as the share
of them in the seconds before (as many, BEFORE at most) lets expect. A server or endpoint was hit if its own count is beyond what is expected of it, or of all, by more than chance has it (one, and four
standard deviations).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...core.faults import FAULTS
from ...core.model import SECOND, SloSpec
from ...core.outcomes import GOOD, Outcome
from ...core.slo import percentile_of
from ..evidence import Evidence
from ..violations import fault_spans

WINDOW = 10
"""Seconds for which what was violated has to hold again."""

BEFORE = 60
"""Seconds before a fault that it is measured against, at most."""

MOST = 200
"""So many faults of a run are judged, the first ones."""

ERRORS = SloSpec("errors", "error_rate", True, 0.01, 0, 2**62, (), "error_rate below 1%")
"""What stands for objectives in a scenario that states none about failures."""


@dataclass(frozen=True, slots=True)
class Blast:
    """From *start* to *stop*: the *requests* planned; of them *failed* and *late* (answered beyond the bound of a latency objective), and as many as the time before lets expect. *servers*
    and *endpoints* that were hit, of how many that had requests."""

    start: int
    stop: int
    requests: int
    failed: int
    failed_expected: float
    late: int
    late_expected: float
    servers: tuple[int, ...]
    servers_there: int
    endpoints: tuple[str, ...]
    endpoints_there: int

    @property
    def share(self) -> float:
        """Of all requests in that time those that failed or were late because of it (0 to 1)."""
        more = max(self.failed - self.failed_expected, 0.0) + max(self.late - self.late_expected, 0.0)
        return min(more / self.requests, 1.0) if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """A fault in force from *start* to *end*. *violated*: names of the objectives that it violated; *before*: of those that did not hold when it began, of which nothing can be told.
    *recovered*: when all of *violated* held again, -1: not in this run. *others*: faults in force between *start* and then, to which it may be owed as well."""

    name: str
    type: str
    start: int
    end: int
    violated: tuple[str, ...]
    before: tuple[str, ...]
    recovered: int
    others: tuple[str, ...]
    blast: Blast

    @property
    def took(self) -> int | None:
        """The recovery time (ns); None: it violated nothing, or nothing held again."""
        return self.recovered - self.end if self.violated and self.recovered >= 0 else None


def recoveries(evidence: Evidence) -> tuple[Recovery, ...]:
    """Those of all faults of a run, by the time they began."""
    seconds = _Seconds(evidence)
    lasting = {(name, start): stop for name, start, stop in fault_spans(evidence.events, evidence.end)}
    struck = [
        (
            str(event.get("name", "")),
            str(event.get("type", "")),
            int(event["t"]),
            _over(event, lasting, evidence.end),
        )
        for event in evidence.happened("fault")
    ][:MOST]
    found = []
    for name, type_, start, end in struck:
        violated, before = seconds.violated(start, end)
        recovered = seconds.recovered(violated, end) if violated else -1
        until = recovered if recovered >= 0 else evidence.end if violated else end
        others = tuple(
            other for other, _, a, b in struck if (other, a) != (name, start) and a <= until and b >= start
        )
        stop = min(max(until, end + WINDOW * SECOND), evidence.end)
        found.append(
            Recovery(name, type_, start, end, tuple(seconds.objectives[n].name for n in violated),
                     tuple(seconds.objectives[n].name for n in before), recovered, others, seconds.blast(start, stop))
        )  # fmt: skip
    return tuple(found)


_COLUMNS = ("time_ns", "latency_ns", "outcome", "source", "server", "endpoint")


def _in_time(evidence: Evidence) -> dict[str, Any]:
    """Columns of the requests of clients that read, by the time for which they were planned; not copied where they are so."""
    rows = {name: evidence.requests[name] for name in _COLUMNS}
    if not evidence.readers.all():
        rows = {name: column[evidence.readers] for name, column in rows.items()}
    time = rows["time_ns"]
    if bool((time[1:] >= time[:-1]).all()):
        return rows
    order = np.argsort(time, kind="stable")
    return {name: column[order] for name, column in rows.items()}


def _over(event: Mapping[str, Any], lasting: Mapping[tuple[str, int], int], end: int) -> int:
    """When a fault was over: with its event, or, of a type that lasts, at the end of the run (*end*) if none was told."""
    time, type_ = int(event["t"]), str(event.get("type", ""))
    known = lasting.get((str(event.get("name", "")), time))
    if known is not None:
        return known
    return end if type_ in FAULTS and FAULTS[type_].lasts else time


class _Seconds:
    """Requests of clients that read, counted by the second for which they were planned, and sums up to each second."""

    def __init__(self, evidence: Evidence) -> None:
        self._rows = _in_time(evidence)
        self._paths = [endpoint.path for endpoint in evidence.fleet.endpoints]
        self.seconds = evidence.seconds
        told = tuple(one for one in evidence.fleet.slos)
        about_errors = any(one.indicator in ("error_rate", "availability") for one in told)
        self.objectives = told if about_errors else (*told, ERRORS)
        self._sums: dict[int, tuple[Any, Any]] = {}
        bounds = [one.bound for one in told if one.below and percentile_of(one.indicator) is not None]
        outcome = self._rows["outcome"]
        self._failed = ~np.isin(outcome, list(GOOD))
        tight = min(bounds, default=np.inf)
        self._late = (outcome == Outcome.OK) & (self._rows["latency_ns"] >= tight)

    @cached_property
    def _second(self) -> Any:
        return np.minimum(self._rows["time_ns"] // SECOND, self.seconds - 1)

    def _held(self, number: int) -> Any:
        """By second: whether the objective holds from there. A second from which nothing can be told counts as held."""
        if number not in self._sums:
            self._sums[number] = self._judged(self.objectives[number])
        return self._sums[number][0]

    def _judged(self, slo: SloSpec) -> tuple[Any, Any]:
        outcome, latency = self._rows["outcome"], self._rows["latency_ns"]
        chosen = np.isin(self._rows["source"], slo.sources) if slo.sources else np.ones(len(outcome), bool)
        chosen &= (self._rows["time_ns"] >= slo.start) & (self._rows["time_ns"] < slo.end)
        answered = chosen & (outcome == Outcome.OK)
        share = percentile_of(slo.indicator)
        whole = self._windows(chosen)
        if slo.indicator in ("error_rate", "availability"):
            wrong = self._windows(chosen & self._failed) / np.maximum(whole, 1)
            value, some = (wrong if slo.indicator == "error_rate" else 1 - wrong), whole > 0
        elif slo.indicator == "throughput":
            value, some = self._windows(answered) / WINDOW, whole > 0
        elif share is not None:
            # The percentile by nearest rank is below the bound if so many values are.
            many = self._windows(answered)
            inside = latency < slo.bound if slo.below else latency <= slo.bound
            enough = self._windows(answered & inside) >= np.maximum(np.ceil(share * many - 1e-9), 1)
            return (enough == slo.below) | (many == 0), many
        else:
            many = self._windows(answered)
            if slo.indicator == "latency_mean":
                value = self._windows(answered, latency / 1e6) * 1e6 / np.maximum(many, 1)
            else:
                over = self._windows(answered & (latency >= slo.bound))
                return ((over == 0) == slo.below) | (many == 0), many
            some = many > 0
        return ((value < slo.bound) if slo.below else (value > slo.bound)) | ~some, whole

    def _windows(self, chosen: Any, weights: Any = None) -> Any:
        """By second: how many of *chosen* (or their weights) are in the WINDOW from there; a window is cut where the run ends."""
        weight = None if weights is None else weights[chosen]
        each = np.bincount(self._second[chosen], weights=weight, minlength=self.seconds)
        total = np.concatenate([[0], np.cumsum(each)])
        ends = np.minimum(np.arange(self.seconds) + WINDOW, self.seconds)
        return total[ends] - total[:-1]

    def violated(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """Objectives (by place) that a fault in force then violated, and those that did not hold before it."""
        first = min(start // SECOND, self.seconds - 1)
        last = min(end // SECOND + WINDOW, self.seconds - 1)
        violated, before = [], []
        for number in range(len(self.objectives)):
            held = self._held(number)
            if first >= WINDOW and not held[first - WINDOW]:
                before.append(number)
            elif not held[first : last + 1].all():
                violated.append(number)
        return violated, before

    def recovered(self, violated: Sequence[int], end: int) -> int:
        """The first whole second from *end* on from which all of these hold (ns), *end* itself if they do from there; -1: never."""
        held = np.logical_and.reduce([self._held(number) for number in violated])
        first = min(-(-end // SECOND), self.seconds - 1)
        # What is violated only after the end of the fault has not recovered before that.
        broken = np.flatnonzero(~held[first : first + WINDOW + 1])
        begin = first + (int(broken[0]) if len(broken) else 0)
        again = np.flatnonzero(held[begin:])
        # A window that the end of the run cuts short proves nothing.
        places = again[begin + again + WINDOW <= self.seconds]
        if not len(places):
            return -1
        return max(end, int(begin + places[0]) * SECOND)

    def blast(self, start: int, stop: int) -> Blast:
        """The blast radius from *start* to *stop*."""
        time = self._rows["time_ns"]
        length = min(stop - start, BEFORE * SECOND, start)
        base, here, there = np.searchsorted(time, [start - length, start, stop])
        before, after = slice(base, here), slice(here, there)
        many, much = there - here, here - base
        scale = many / much if much else 0.0
        servers, servers_there = self._hit("server", before, after)
        endpoints, endpoints_there = self._hit("endpoint", before, after)
        return Blast(
            start, stop, int(many), int(self._failed[after].sum()), float(self._failed[before].sum() * scale),
            int(self._late[after].sum()), float(self._late[before].sum() * scale), tuple(n for n in servers if n > 0),
            servers_there, tuple(self._paths[n] for n in endpoints), endpoints_there,
        )  # fmt: skip

    def _hit(self, name: str, before: slice, after: slice) -> tuple[list[int], int]:
        """Which of them have more failed or late requests than is expected of them, and how many had requests."""
        wrong = self._failed | self._late
        column = self._rows[name]
        size = int(column.max(initial=0)) + 1
        many, then = (np.bincount(column[rows], minlength=size) for rows in (after, before))
        found, usual = (np.bincount(column[rows][wrong[rows]], minlength=size) for rows in (after, before))
        shared = usual.sum() / max(then.sum(), 1)
        expected = many * np.where(then > 0, usual / np.maximum(then, 1), shared)
        expected = np.maximum(expected, many * shared)
        hit = (found > 0) & (found >= expected + 1 + 4 * np.sqrt(expected))
        there = np.flatnonzero(many[1:] if name == "server" else many)
        return np.flatnonzero(hit).tolist(), len(there)
