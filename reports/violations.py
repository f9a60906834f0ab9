"""When an objective was violated: its indicator in consecutive bins of time, and what came before each stretch that broke the bound."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.model import SECOND, SloSpec
from ..core.outcomes import GOOD, Outcome
from ..core.slo import Verdict, judge, measure
from .evidence import Evidence
from .wording import servers

WIDTHS = tuple(seconds * SECOND for seconds in (1, 10, 60, 600, 3600, 86400))
MOST_BINS = 180

HARD = (
    "fault",
    "killed",
    "out_of_memory",
    "proxy_down",
    "registry_unreachable",
    "launch_refused",
    "boot_failed",
)
"""Events that break something; of several at one time the first of these counts."""

SOFT = ("fault_over", "ejected", "unhealthy", "breaker_opened", "draining", "terminated")
"""Events by which the fleet reacts, or a fault ends; they are told if they came after the last hard one."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch [start, stop) ns of bins that violate; the worst value in it; *onset*: when half of the first bin's offenders had ended."""

    start: int
    stop: int
    worst: float
    onset: int


@dataclass(frozen=True, slots=True)
class Finding:
    """An objective, its verdict over the whole run, the bins' width (ns) and number, and the stretches of those that violate."""

    verdict: Verdict
    width: int
    bins: int
    windows: tuple[Window, ...]

    @property
    def slo(self) -> SloSpec:
        """The objective."""
        return self.verdict.slo

    @property
    def violating(self) -> int:
        """Number of bins that violate."""
        return sum(-(-(window.stop - window.start) // self.width) for window in self.windows)


def findings(evidence: Evidence) -> list[Finding]:
    """All objectives, in the scenario's order."""
    time, source, latency, outcome = (
        evidence.requests[name] for name in ("time_ns", "source", "latency_ns", "outcome")
    )
    found = []
    for slo in evidence.fleet.slos:
        width = bin_width(slo.end - slo.start)
        bins = -(-(slo.end - slo.start) // width)
        found.append(
            Finding(
                judge(slo, time, source, latency, outcome),
                width,
                bins,
                tuple(windows(slo, time, source, latency, outcome, width)),
            )
        )
    return found


def bin_width(length: int) -> int:
    """1 s, 10 s, 1 min, 10 min, 1 h or a day: the smallest that gives at most MOST_BINS bins."""
    return next((width for width in WIDTHS if length <= MOST_BINS * width), WIDTHS[-1])


def windows(slo: SloSpec, time: Any, source: Any, latency: Any, outcome: Any, width: int) -> Iterator[Window]:
    """The stretches of consecutive bins of *width* ns, from the objective's start on, in each of which it would be violated.

    A bin without anything to measure violates nothing, as in the verdict.
    """
    chosen = np.flatnonzero((time >= slo.start) & (time < slo.end) & np.isin(source, slo.sources))
    index = (time[chosen] - slo.start) // width
    chosen = chosen[np.argsort(index, kind="stable")]
    bins = -(-(slo.end - slo.start) // width)
    places = np.searchsorted(np.sort(index), np.arange(bins + 1))
    open_: list[tuple[int, float, Any]] = []
    for number in range(bins + 1):
        rows = chosen[places[number] : places[number + 1]] if number < bins else None
        value = None if rows is None else _value(slo, latency[rows], outcome[rows], number, width)
        if value is not None and not Verdict(slo, value).held:
            open_.append((number, value, rows))
        elif open_:
            yield _window(slo, open_, time, latency, outcome, width)
            open_ = []


def _value(slo: SloSpec, latency: Any, outcome: Any, number: int, width: int) -> float | None:
    start = slo.start + number * width
    return measure(slo.indicator, latency, outcome, (min(start + width, slo.end) - start) / SECOND)


def _window(
    slo: SloSpec, bins: Sequence[tuple[int, float, Any]], time: Any, latency: Any, outcome: Any, width: int
) -> Window:
    first, _, rows = bins[0]
    start = slo.start + first * width
    stop = min(slo.start + (bins[-1][0] + 1) * width, slo.end)
    values = [value for _, value, _ in bins]
    bad = rows[_offenders(slo, latency[rows], outcome[rows])]
    onset = int(np.median(time[bad] + latency[bad])) if len(bad) else start
    return Window(start, stop, max(values) if slo.below else min(values), onset)


def _offenders(slo: SloSpec, latency: Any, outcome: Any) -> Any:
    """Which requests of a bin that violates made it do so."""
    if slo.indicator.startswith("latency"):
        beyond = latency >= slo.bound if slo.below else latency <= slo.bound
        return (outcome == Outcome.OK) & beyond
    return ~np.isin(outcome, list(GOOD))


def preceding(events: Sequence[Mapping[str, Any]], time: int) -> list[Mapping[str, Any]]:
    """The last hard event up to *time* (ns), and the last soft one after it; either may be missing."""
    before = [event for event in events if event["t"] <= time]
    hard = [event for event in before if event["event"] in HARD]
    found = []
    if hard:
        last = hard[-1]["t"]
        found.append(min((e for e in hard if e["t"] == last), key=lambda e: HARD.index(e["event"])))
    soft = [e for e in before if e["event"] in SOFT and (not found or e["t"] >= found[0]["t"])]
    return [*found, *soft[-1:]]


def fault_spans(events: Iterable[Mapping[str, Any]], end: int) -> list[tuple[str, int, int]]:
    """(name, from, to) of the faults that last, in ns; one that nobody ended lasts to *end*, one without ``until`` is a moment."""
    spans: list[tuple[str, int, int]] = []
    open_: dict[str, tuple[int, int]] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event["event"] == "fault" and isinstance(event.get("until"), int):
            until = event["until"] if event["until"] >= 0 else end
            open_[name] = (event["t"], min(until, end))
        elif event["event"] == "fault_over" and name in open_:
            spans.append((name, open_.pop(name)[0], event["t"]))
    spans += [(name, start, until) for name, (start, until) in open_.items()]
    return sorted(spans, key=lambda span: (span[1], span[0]))


def described(event: Mapping[str, Any]) -> str:
    """An event in words."""
    name, server = event["event"], event.get("server")
    if name == "fault":
        targets = event.get("targets") or []
        numbers = [target for target in targets if isinstance(target, int)]
        hit = servers(numbers) if numbers else ", ".join(str(target) for target in targets)
        return f"fault {event.get('name')} ({event.get('type')}{', ' + hit if hit else ''})"
    words = {
        "fault_over": f"the end of fault {event.get('name')}",
        "killed": f"server {server} was killed",
        "out_of_memory": f"server {server} ran out of memory",
        "proxy_down": f"the proxy went down ({event.get('cause')})",
        "registry_unreachable": "the registry became unreachable",
        "launch_refused": f"the cloud refused a launch ({event.get('code')})",
        "boot_failed": f"server {server} failed to boot",
        "ejected": f"server {server} was ejected",
        "unhealthy": f"server {server} was found unhealthy",
        "breaker_opened": "the circuit breaker opened",
        "draining": f"server {server} was drained",
        "terminated": f"server {server} was terminated ({event.get('reason')})",
    }
    return words.get(name, str(name).replace("_", " "))
