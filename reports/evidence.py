"""What a report is made from: a run's columns and events, read once, and how finely to look at them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..core.columns import METRICS
from ..core.lifecycle import State
from ..core.model import SECOND, FleetSpec, SloSpec
from ..core.outcomes import NAMES
from .drawing import MOST_POINTS
from .lifelines import Lifeline, lifelines, paid_ns
from .run import Run
from .summary import summarise
from .tables import STATES, codes, numbers

ALIVE = (State.SERVING, State.CANARY, State.STANDBY, State.DRAINING)
TAKING = (State.SERVING, State.CANARY)

KEPT = 2**29
"""Bytes of columns of attempts that are kept for whoever asks next."""


@dataclass(frozen=True)
class Evidence:
    """A run and the fleet that it was told to be. Times are ns. A partial run's summary covers what was recorded of it."""

    run: Run
    fleet: FleetSpec

    @classmethod
    def of(cls, run: Run, fleet: FleetSpec) -> "Evidence":
        """The evidence of *run*; a partial one gets a summary and objectives that end where it does."""
        if not run.partial:
            return cls(run, fleet)
        end = last_moment(run)
        fleet = replace(fleet, slos=tuple(_cut(slo, end) for slo in fleet.slos))
        # What was to come within a time that is not recorded has neither come nor failed to.
        expects = tuple(one for one in fleet.expects if one.start + one.within <= end)
        # Nor does what must hold of a whole run say anything of a part.
        fleet = replace(fleet, expects=expects, invariants=())
        fingerprint = str(run.events[0].get("scenario_hash", "")) if run.events else ""
        paid = paid_ns(lifelines(run.events, end))
        summary = summarise(fleet, run.table, "", end, paid, fingerprint, run.events)
        return cls(replace(run, summary=summary), fleet)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The run's summary."""
        return self.run.summary

    @cached_property
    def end(self) -> int:
        """When the run, or what is recorded of it, ended."""
        return int(self.summary["end_ns"])

    @cached_property
    def seconds(self) -> int:
        """Its length, rounded up to whole seconds; at least one."""
        return max(-(-self.end // SECOND), 1)

    @cached_property
    def width(self) -> int:
        """Seconds that a point of a curve stands for."""
        return -(-self.seconds // MOST_POINTS)

    @cached_property
    def bins(self) -> int:
        """Points of a curve."""
        return -(-self.seconds // self.width)

    @cached_property
    def requests(self) -> dict[str, Any]:
        """Columns of the requests; source, endpoint and outcome as numbers."""
        plain = ("request", "time_ns", "latency_ns", "attempts", "server", "status")
        table = self.run.table("requests", (*plain, "source", "endpoint", "outcome"))
        found = {name: numbers(table, name) for name in plain}
        found["source"] = codes(table, "source", [source.name for source in self.fleet.sources])
        found["endpoint"] = codes(table, "endpoint", [endpoint.path for endpoint in self.fleet.endpoints])
        found["outcome"] = codes(table, "outcome", NAMES)
        return found

    @cached_property
    def readers(self) -> Any:
        """Which requests are what users send: whose clients read their answers, and no exact bytes."""
        chosen = [n for n, source in enumerate(self.fleet.sources) if source.ordinary]
        return np.isin(self.requests["source"], chosen)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Columns of the metrics; state as a number."""
        table = self.run.metrics
        found = {name: numbers(table, name) for name, _ in METRICS if name != "state"}
        found["state"] = codes(table, "state", STATES)
        return found

    def attempts(self, name: str) -> Any:
        """One plain column of the attempts, not to be written to. They are many: beyond KEPT bytes of them a column is read anew each time."""
        if name in self._kept:
            return self._kept[name]
        column = numbers(self.run.table("attempts", (name,)), name)
        column.flags.writeable = False
        if column.nbytes + sum(kept.nbytes for kept in self._kept.values()) <= KEPT:
            self._kept[name] = column
        return column

    @cached_property
    def _kept(self) -> dict[str, Any]:
        return {}

    @cached_property
    def starts(self) -> Any:
        """When each attempt began."""
        return self.attempts("start_ns")

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The event log."""
        return self.run.events

    def happened(self, *names: str) -> list[dict[str, Any]]:
        """The events of these names, in order."""
        return [event for event in self.events if event["event"] in names]

    @cached_property
    def lives(self) -> list[Lifeline]:
        """The lives of all instances, by number."""
        return lifelines(self.events, self.end)

    def in_states(self, states: Sequence[State]) -> Any:
        """Which rows of the metrics are of servers in *states*."""
        return np.isin(self.metrics["state"], states) & (self.metrics["server"] > 0)


def _cut(slo: SloSpec, end: int) -> SloSpec:
    return replace(slo, start=min(slo.start, end), end=min(slo.end, end))


def last_moment(run: Run) -> int:
    """The last thing recorded of a run that was cut off."""
    times = [int(event["t"]) for event in run.events[-1:]]
    for name in ("requests", "metrics"):
        column = numbers(run.table(name, ("time_ns",)), "time_ns")
        times += [int(column.max())] if len(column) else []
    return max(times, default=0)
