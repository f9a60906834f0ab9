"""The traces of one recorded run: whatever is asked for is rebuilt from its files then and there."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...core.model import FleetSpec
from ...core.probed import Probed
from ...core.trace.ids import Ids, randomness, scope_of, trace_key
from ..evidence import last_moment
from ..lifelines import lifelines
from ..run import Run
from .control import Control
from .logs import Lines, read_logs, with_logs
from .otlp import EPOCH, Origin
from .probed import registry_traces, with_probe
from .rebuilding import Rebuilder
from .rows import Columns, Rows
from .sampling import Facts, Sample, choose
from .spans import Trace
from .turns import turns_of

REHEARSAL, FLIGHT = "rehearsal", "flight"


class Traces:
    """Of *run*, whose fleet was told to be *fleet*, in *world* (see above), made by this *version*."""

    def __init__(self, run: Run, fleet: FleetSpec, world: str, version: str) -> None:
        self.run = run
        self.fleet = fleet
        self.world = world
        first = run.events[0] if run.events else {}
        fingerprint = str(first.get("scenario_hash", ""))
        zero = int(run.summary.get("generator", {}).get("zero_unix_ns", EPOCH))
        self.origin = Origin(fleet.name, fingerprint, fleet.seed, world, version, zero)
        scope = scope_of(fingerprint, world, 0 if zero == EPOCH else zero)
        self._ids = Ids(fleet.seed, scope)
        self.rows = Rows(run, [s.name for s in fleet.sources], [e.path for e in fleet.endpoints])
        self._offset = zero - EPOCH
        self._rebuilder = Rebuilder(fleet, self._ids, Versions(run.events))

    @cached_property
    def end(self) -> int:
        """When the run, or what is recorded of it, ended (ns)."""
        return last_moment(self.run) if self.run.partial else int(self.run.summary["end_ns"])

    @cached_property
    def control(self) -> tuple[Trace, ...]:
        """What is no request: faults, deploys, turns of the autoscaler, instances."""
        lives = lifelines(self.run.events, self.end)
        return tuple(Control(self._ids, self.run.events, lives, turns_of(self.run), self.end).traces())

    @cached_property
    def logs(self) -> Lines:
        """Lines of logs, by the trace that they belong to: only of a flight."""
        return read_logs(self.run.directory if self.world == FLIGHT else None, self._offset)

    def requests(self, wanted: Any, sample: Sample | None = None) -> Iterator[Trace]:
        """Those of the requests of these numbers (sorted), in order; with weights if they are a *sample*."""
        for block in self.rows.blocks(np.asarray(wanted, dtype=np.int64)):
            numbers = block.requests["request"].tolist()
            for row, rebuilt in self._rebuilder.traces(block):
                trace = with_logs(rebuilt, self.logs)
                if sample is None:
                    yield trace
                    continue
                kept, weight, threshold = sample.of(numbers[row])
                yield Trace(trace.spans, kept, weight, threshold)

    def request(self, number: int) -> Trace | None:
        """That of one request, by its number."""
        return next(self.requests([number]), None)

    def probed(self, number: int, probed: Probed) -> tuple[Trace, tuple[Trace, ...]]:
        """The trace of a request with what a probe saw of it; and the registry's reads and writes around it."""
        trace = self.request(number)
        assert trace is not None, f"request {number} was probed and is not recorded"
        told = probed.requests[number]
        lists = probed.table_read(told.choices[0].time) if told.choices else None
        window = (trace.root.start, trace.root.end)
        return with_probe(trace, told, lists), tuple(registry_traces(self._ids, probed, window))

    def named(self, trace: str) -> int:
        """The number of the request whose trace's id begins with these hex digits; -1: there is none. The first one of several."""
        for part in self.rows.requests("request", "source", "index"):
            keys = self._rebuilder.keys(part).tolist()
            for number, key in zip(part["request"].tolist(), keys, strict=True):
                if trace_key(*key).trace.startswith(trace):
                    return int(number)
        return -1

    def sample(self, share: float | None, slowest: float, window: tuple[int, int] | None = None) -> Sample:
        """A sample of all requests, or of those in flight in *window* (see sampling.choose)."""
        return choose(self._facts(window), share, slowest)

    def _facts(self, window: tuple[int, int] | None) -> Iterator[Facts]:
        for part in self.rows.requests("request", "source", "index", "time_ns", "latency_ns", "outcome"):
            chosen = within(part, window)
            low = self._rebuilder.keys(chosen)[:, 1]
            yield Facts(chosen["request"], chosen["latency_ns"], chosen["outcome"], randomness(low))


def within(part: Columns, window: tuple[int, int] | None) -> Columns:
    """The requests of *part* that were in flight at some time of *window* (from, to; ns)."""
    if window is None:
        return part
    start, end = window
    chosen = (part["time_ns"] <= end) & (part["time_ns"] + part["latency_ns"] >= start)
    return {name: column[chosen] for name, column in part.items()}


class Versions:
    """The version that each server had at a time, by the event log."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self._known: dict[int, tuple[list[int], list[str]]] = {}
        for event in events:
            if event["event"] in ("launched", "updated") and "version" in event:
                times, names = self._known.setdefault(event["server"], ([], []))
                times.append(int(event["t"]))
                names.append(str(event["version"]))

    def __call__(self, server: int, time: int) -> str:
        """The version of *server* at *time* (ns); empty: there are none."""
        times, names = self._known.get(server, ([], []))
        place = bisect_right(times, time) - 1
        return names[place] if place >= 0 else ""


def overlapping(traces: Sequence[Trace], window: tuple[int, int]) -> Iterator[Trace]:
    """Those that are under way at some time of *window*."""
    start, end = window
    return (trace for trace in traces if trace.root.start <= end and trace.root.end >= start)
