"""What two runs have in common and how far they lie apart: figures with intervals, decisions, fleet size, and whether it is within tolerance.

Both runs are looked at in one window of time: from the start to where both still had arrivals planned, or have data. It is cut into batches
of time (core.jackknife), the same for both, so that what both runs owe to the course of the traffic cancels in the difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.confidence import Interval
from ..core.jackknife import Percentiles, batch_count, batch_of, jackknife, ratio_without
from ..core.model import SECOND
from ..core.outcomes import NAMES, Outcome
from ..core.tolerance import (
    DEFAULTS,
    NO_DATA,
    NO_TOLERANCE,
    OUTSIDE,
    WITHIN,
    Tolerance,
    Tolerances,
    tolerance_of,
)
from .deploy_pairs import DeployPair, pair_deploys
from .evidence import TAKING, Evidence
from .lifelines import lifelines
from .pairing import Pairing, decisions, pair_decisions
from .planned_pairs import Paired, pair_requests
from .run import RunError
from .tables import numbers

SHARES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))

Without = tuple[float, Sequence[float]]
"""A figure of one run: from all of it, and without each batch."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both runs (*first*, *second*; None: no data), the second's *difference* from the first, and its tolerance.

    *unit*: 1/s, ns, 1 (a share), servers, h or s. *relative*: the difference as a share of the first.
    """

    name: str
    unit: str
    first: float | None
    second: float | None
    difference: Interval | None
    relative: Interval | None
    tolerance: Tolerance | None

    @property
    def verdict(self) -> str:
        """Whether the difference that was measured is within the tolerance."""
        if self.first is None and self.second is None:
            return NO_DATA
        if self.tolerance is None:
            return NO_TOLERANCE
        if self.first is None or self.second is None:
            return OUTSIDE
        return WITHIN if self.tolerance.covers(self.first, self.second) else OUTSIDE

    @property
    def sure(self) -> bool:
        """Whether the whole interval of the difference says what the verdict says."""
        judged = self.relative if self.tolerance and self.tolerance.relative else self.difference
        if judged is None or self.tolerance is None:
            return False
        inside = abs(judged.low) <= self.tolerance.limit and abs(judged.high) <= self.tolerance.limit
        outside = judged.low > self.tolerance.limit or judged.high < -self.tolerance.limit
        return inside if self.verdict == WITHIN else outside


@dataclass(frozen=True, slots=True)
class Sizes:
    """Serving servers in each second of the window that both runs sampled (*seconds*: which, by their end)."""

    seconds: Any
    first: Any
    second: Any

    @property
    def mean_apart(self) -> float:
        """The mean over time of how far the sizes lie apart, whichever is larger."""
        return float(np.abs(self.second - self.first).mean()) if len(self.seconds) else 0.0

    @property
    def furthest(self) -> tuple[int, int]:
        """The greatest distance of the sizes (second minus first), and the first second at whose end it was there."""
        if not len(self.seconds):
            return 0, 0
        place = int(np.abs(self.second - self.first).argmax())
        return int(self.second[place] - self.first[place]), int(self.seconds[place])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside one another; *window*: what was compared, from the start on (ns); *notes*: what to know of it, in sentences."""

    runs: tuple[str, str]
    seeds: tuple[int, int]
    scenarios: tuple[str, str]
    window: int
    batches: int
    figures: tuple[Figure, ...]
    decisions: Pairing
    ticks: float | None
    sizes: Sizes
    paired: Paired | None
    notes: tuple[str, ...]
    deploys: tuple[DeployPair, ...] = ()

    @property
    def deploys_verdict(self) -> str:
        """Whether the deploys that both runs had ended alike."""
        if not self.deploys:
            return NO_DATA
        return WITHIN if all(pair.agrees for pair in self.deploys) else OUTSIDE

    @property
    def decisions_verdict(self) -> str:
        """Whether the sequences of decisions are within tolerance (*ticks*; None: none)."""
        if self.ticks is None:
            return NO_TOLERANCE
        return WITHIN if self.decisions.within(self.ticks) else OUTSIDE

    @property
    def within(self) -> bool:
        """Whether everything that has a tolerance is within it."""
        verdicts = (figure.verdict for figure in self.figures)
        return OUTSIDE not in (self.decisions_verdict, self.deploys_verdict, *verdicts)

    def figure(self, name: str) -> Figure:
        """The figure called *name*. Raises KeyError."""
        return {figure.name: figure for figure in self.figures}[name]


class _Side:
    """One run, within the window."""

    def __init__(self, evidence: Evidence, window: int, batches: int) -> None:
        self.evidence, self.window, self.batches = evidence, window, batches
        requests = evidence.requests
        chosen = (requests["time_ns"] >= 0) & (requests["time_ns"] < window)
        self.batch = batch_of(requests["time_ns"][chosen], window, batches)
        self.outcome = requests["outcome"][chosen]
        self.latency = requests["latency_ns"][chosen]
        self.answered = (self.outcome == Outcome.OK) & evidence.readers[chosen]
        self.all = self._count(np.ones(len(self.outcome), dtype=bool))
        self._percentiles = Percentiles(self.latency[self.answered], self.batch[self.answered], batches)

    def _count(self, chosen: Any) -> Any:
        return np.bincount(self.batch[chosen], minlength=self.batches)

    def rate(self, answered: bool) -> Without:
        """Requests a second, planned or answered."""
        seconds = np.full(self.batches, self.window / self.batches / SECOND)
        return ratio_without(self._count(self.answered) if answered else self.all, seconds)

    def percentile(self, share: float) -> Without:
        """Of the latency of what was answered (ns)."""
        return self._percentiles.at(share)

    def share(self, outcome: int) -> Without:
        """The share of all requests that had *outcome*."""
        return ratio_without(self._count(self.outcome == outcome), self.all)

    def instance_hours(self) -> Without:
        """Of the instances paid for."""
        events = [event for event in self.evidence.events if int(event["t"]) <= self.window]
        edges = np.linspace(0, self.window, self.batches + 1)
        hours = np.zeros(self.batches)
        for life in lifelines(events, self.window):
            for _, start, stop in life.phases:
                hours += (np.minimum(stop, edges[1:]) - np.maximum(start, edges[:-1])).clip(0)
        hours /= 3600 * SECOND
        # Without a batch the rest stands for the whole.
        scale = self.batches / max(self.batches - 1, 1)
        return float(hours.sum()), [float(hours.sum() - one) * scale for one in hours]

    def sizes(self) -> tuple[Any, Any]:
        """Seconds that were sampled, by their end, and the serving servers (canaries too) in each."""
        metrics = self.evidence.metrics
        second = (metrics["time_ns"] + SECOND // 2) // SECOND
        known = np.unique(second)
        taking = self.evidence.in_states(TAKING)
        # A server counts once a second, however often it was sampled.
        each = np.unique(second[taking] * 2**32 + metrics["server"][taking])
        size = np.bincount(np.searchsorted(known, each // 2**32), minlength=len(known))
        inside = (known >= 1) & (known * SECOND <= self.window)
        return known[inside], size[inside]


def compare_evidence(
    first: Evidence,
    second: Evidence,
    tolerances: Tolerances = DEFAULTS,
    names: tuple[str, str] = ("A", "B"),
    notes: Sequence[str] = (),
) -> Comparison:
    """Lay *second* beside *first*, which the tolerances are relative to. Raises RunError if the two have no time in common."""
    window, told = _window(first, second, names)
    batches = batch_count(window // SECOND)
    sides = (_Side(first, window, batches), _Side(second, window, batches))
    sizes = _sizes(*sides)
    tick = max((e.fleet.autoscaler.interval for e in (first, second) if e.fleet.autoscaler), default=SECOND)
    ticks = tolerances.get("decisions")
    deploys = pair_deploys(first, second)
    return Comparison(
        runs=names,
        seeds=(first.fleet.seed, second.fleet.seed),
        scenarios=(first.fleet.name, second.fleet.name),
        window=window,
        batches=batches,
        figures=(*_figures(*sides, sizes, tolerances), *_deploy_figures(deploys, tolerances)),
        decisions=pair_decisions(decisions(first.events, window), decisions(second.events, window), tick),
        ticks=None if ticks is None else ticks.limit,
        sizes=sizes,
        paired=pair_requests(first, second, window, batches),
        notes=(*notes, *told),
        deploys=deploys,
    )


def _window(first: Evidence, second: Evidence, names: tuple[str, str]) -> tuple[int, list[str]]:
    """From the start to where both have data, in whole seconds where a run was cut off; and what is to be said of it."""
    ends, notes = [], []
    for evidence in (first, second):
        ends.append(evidence.fleet.duration)
        if evidence.run.partial:
            ends[-1] = min(ends[-1], _recorded(evidence) // SECOND * SECOND)
    window = min(ends)
    if window <= 0:
        raise RunError(f"{names[0]} and {names[1]}: expected runs with some time in common, got none")
    whole = max(first.fleet.duration, second.fleet.duration)
    for evidence, name, end in zip((first, second), names, ends, strict=True):
        if evidence.run.partial:
            notes.append(f"{name} was cut off: it has data of the first {end / SECOND:,g} s")
    if window < whole:
        notes.append(f"compared are the first {window / SECOND:,g} s of {whole / SECOND:,g} s")
    return window, notes


def _recorded(evidence: Evidence) -> int:
    """Up to when a run that was cut off has both requests and samples (ns)."""
    times = [numbers(evidence.run.table(name, ("time_ns",)), "time_ns") for name in ("requests", "metrics")]
    return min(int(time.max()) if len(time) else 0 for time in times)


def _figures(first: _Side, second: _Side, sizes: Sizes, tolerances: Tolerances) -> list[Figure]:
    found = [
        _figure("offered", "1/s", first.rate(answered=False), second.rate(answered=False), tolerances),
        _figure("throughput", "1/s", first.rate(answered=True), second.rate(answered=True), tolerances),
    ]
    for name, share in SHARES:
        found.append(_figure(name, "ns", first.percentile(share), second.percentile(share), tolerances))
    present = sorted({*np.unique(first.outcome).tolist(), *np.unique(second.outcome).tolist()})
    for outcome in present:
        pair = first.share(outcome), second.share(outcome)
        found.append(_figure(NAMES[outcome], "1", *pair, tolerances))
    batch = batch_of((sizes.seconds - 1) * SECOND, first.window, first.batches)
    seconds = np.bincount(batch, minlength=first.batches)
    here, there = (
        ratio_without(np.bincount(batch, weights=size, minlength=first.batches), seconds)
        for size in (sizes.first, sizes.second)
    )
    found.append(_figure("fleet_size", "servers", here, there, tolerances))
    found.append(_figure("instance_hours", "h", first.instance_hours(), second.instance_hours(), tolerances))
    return found


def _deploy_figures(deploys: Sequence[DeployPair], tolerances: Tolerances) -> list[Figure]:
    """How long each took, until its way back began, and that."""
    found = []
    for pair in deploys:
        first, second = pair.first, pair.second
        for name, here, there in (
            (f"deploy {pair.name}", first.took, second.took),
            (f"{pair.name} noticed", first.noticed, second.noticed),
            (f"{pair.name} way back", first.back, second.back),
        ):
            if here is None and there is None:
                continue
            values = [None if value is None else value / SECOND for value in (here, there)]
            apart = None
            if values[0] is not None and values[1] is not None:
                # It happened once: nothing is known of its spread.
                apart = Interval(values[1] - values[0], math.inf)
            found.append(Figure(name, "s", values[0], values[1], apart, None, tolerances.get("deploys")))
    return found


def _figure(name: str, unit: str, first: Without, second: Without, tolerances: Tolerances) -> Figure:
    values = [None if math.isnan(value) else value for value in (first[0], second[0])]
    difference = relative = None
    if values[0] is not None and values[1] is not None:
        apart = [two - one for one, two in zip(first[1], second[1], strict=True)]
        difference = jackknife(values[1] - values[0], apart)
        if values[0]:
            parts = [two / one - 1 if one else math.nan for one, two in zip(first[1], second[1], strict=True)]
            relative = jackknife(values[1] / values[0] - 1, parts)
    return Figure(name, unit, values[0], values[1], difference, relative, tolerance_of(name, tolerances))


def _sizes(first: _Side, second: _Side) -> Sizes:
    (left, one), (right, two) = first.sizes(), second.sizes()
    both, here, there = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return Sizes(both, one[here], two[there])
