"""Invariants: what must hold of every run, whatever its objectives say. Pure functions over a run's events and columns.

Some are promises of the engine itself (``ENGINE``), which nothing that a scenario can say should break; the others are demands on a fleet, with a
bound, that a scenario makes under ``invariants:``. Each gives a verdict with the moment since when it is broken, and a *ratio* that
says how near it was: 0 far away, 1 and above broken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from .faults import FAULTS
from .lifecycle import ALIVE
from .model import NONE, SECOND, FleetSpec, InvariantSpec
from .slo import Verdict, judge

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """A run as it is judged: its events (mappings with ``t`` and ``event``), its columns by name (core.columns, codes as numbers), its end in ns."""

    fleet: FleetSpec
    events: Sequence[Event]
    requests: Any
    attempts: Any
    metrics: Any
    end: int

    def happened(self, *names: str) -> list[Event]:
        """The events called so, in order."""
        return [event for event in self.events if event["event"] in names]


@dataclass(frozen=True, slots=True)
class InvariantVerdict:
    """Whether it held; *value* as in its unit (None: there was nothing to measure, or never), *since* when it was broken (ns, -1), in words (*what*)."""

    spec: InvariantSpec
    held: bool
    ratio: float
    value: float | None = None
    since: int = NONE
    what: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of invariant: *unit* of its bound (``flag``: it has none, ``delay`` in ns, ``times``), and what it says of a run."""

    unit: str
    meaning: str
    judge: Callable[[InvariantSpec, Trace], InvariantVerdict]


def nearness(verdict: Verdict) -> float:
    """How near an objective is to its violation: 0 far away, below 1 held, 1 and above violated. Continuous where its indicator is."""
    value, slo = verdict.value, verdict.slo
    if value is None:
        return 0.0
    if slo.below:
        ratio = value / slo.bound if slo.bound > 0 else 1.0
    else:
        ratio = slo.bound / value if value > 0 else 100.0
    return min(ratio, 0.999) if verdict.held else max(ratio, 1.0)


def judge_invariant(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """The verdict on *spec*."""
    return INVARIANTS[spec.name].judge(spec, trace)


def _flag(spec: InvariantSpec, broken: Sequence[tuple[int, str]], near: float = 0.0) -> InvariantVerdict:
    """The verdict on one without a bound; *broken*: when and how."""
    if not broken:
        return InvariantVerdict(spec, True, min(near, 0.99), 0.0)
    since, what = min(broken)
    return InvariantVerdict(spec, False, 1.0, float(len(broken)), since, what)


# Promises of the engine.


def _conservation(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """Each planned request has one row and one outcome, and as many attempts as it says."""
    number, outcome = trace.requests["request"], trace.requests["outcome"]
    broken = []
    if (count := int((np.diff(np.sort(number)) == 0).sum())) > 0:
        broken.append((trace.end, f"{count} requests are recorded more than once"))
    if (pending := int((outcome == 0).sum())) > 0:
        broken.append((trace.end, f"{pending} requests have no outcome"))
    told, made = int(trace.requests["attempts"].sum()), len(trace.attempts["request"])
    if told != made:
        broken.append((trace.end, f"the requests tell of {told} attempts, {made} are recorded"))
    early = trace.requests["latency_ns"] < 0
    if bool(early.any()):
        broken.append((int(trace.requests["time_ns"][early].min()), "a request ended before it began"))
    return _flag(spec, broken)


def sizes(trace: Trace) -> list[tuple[int, int]]:
    """(time, servers that serve, are about to, or boot) after each change; what is drained, dead or gone does not count. Deploys count for themselves."""
    present: set[int] = set()
    found: list[tuple[int, int]] = []
    for event in trace.events:
        name, server = event["event"], event.get("server")
        if name == "launched" and event.get("role") == "serving":
            present.add(int(server or 0))
        elif name in _LEAVES:
            present.discard(int(server or 0))
        elif name == "promoted":
            present.add(int(server or 0))
        else:
            continue
        found.append((int(event["t"]), len(present)))
    return found


_LEAVES: Final = frozenset({"draining", "terminated", "killed", "out_of_memory", "crashed", "boot_failed"})


def _capacity(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """The fleet never grows beyond its maximum. (A deploy's new instances stand beside the old ones: with deploys nothing is said.)"""
    scaler = trace.fleet.autoscaler
    if scaler is None or scaler.maximum < 0 or trace.fleet.deploys:
        return InvariantVerdict(spec, True, 0.0, 0.0)
    most = max(scaler.maximum, trace.fleet.app.initial)
    seen = sizes(trace)
    broken = [(time, f"{size} servers of at most {most}") for time, size in seen if size > most]
    return _flag(spec, broken, max((size for _, size in seen), default=0) / (most + 1))


def _one_autoscaler(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """Never two decisions in one turn of the autoscaler."""
    scaler = trace.fleet.autoscaler
    if scaler is None:
        return InvariantVerdict(spec, True, 0.0, 0.0)
    acted = [event["t"] // scaler.interval for event in trace.happened("decision") if event.get("actions")]
    twice = [turn * scaler.interval for turn, after in pairwise(acted) if turn == after]
    return _flag(spec, [(time, "two autoscalers acted in one turn") for time in twice])


def _load_returns(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """At the end nothing counts as in flight at a server but tries whose answer nobody recorded."""
    time, server = trace.metrics["time_ns"], trace.metrics["server"]
    if not len(time):
        return InvariantVerdict(spec, True, 0.0, 0.0)
    last = (time == time.max()) & (server > 0) & np.isin(trace.metrics["state"], sorted(ALIVE))
    counted = int(trace.metrics["in_flight"][last].sum())
    tries = int(trace.attempts["tries"].sum()) - int((trace.attempts["served_ns"] >= 0).sum())
    what = f"{counted} requests count as in flight at the end, of at most {tries}"
    return _flag(spec, [(int(time.max()), what)] if counted > tries else [])


# Demands on a fleet.


def _lasting(spec: InvariantSpec, longest: int, since: int, what: str) -> InvariantVerdict:
    """The verdict on something that may last for the bound at most."""
    held = longest <= spec.bound
    ratio = min(longest / max(spec.bound, 1), 100.0)
    return InvariantVerdict(spec, held, min(ratio, 0.99) if held else max(ratio, 1.0), float(longest),
                            NONE if held else since + spec.bound, "" if held else what)  # fmt: skip


_DEAD: Final = {
    "boot_failed": "whose boot failed",
    "killed": "that was killed",
    "crashed": "that crashed",
    "out_of_memory": "that ran out of memory",
    "draining": "that was drained",
    "orphan_found": "that is in nobody's books",
}
_ALIVE: Final = frozenset({"ready", "registered", "updating", "restarted", "terminated"})


def _no_orphans(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """No instance is paid for longer than the bound once it is of no more use, or in nobody's books."""
    idle: dict[int, tuple[int, str]] = {}
    worst = (0, 0, "")
    for event in [
        *trace.events,
        *({"t": trace.end, "event": "terminated", "server": n} for n in _numbers(trace)),
    ]:
        name, server = event["event"], event.get("server")
        if not isinstance(server, int):
            continue
        if name in _DEAD:
            idle.setdefault(server, (int(event["t"]), name))
        elif name in _ALIVE and server in idle:
            since, why = idle.pop(server)
            worst = max(
                worst, (int(event["t"]) - since, since, f"server {server}, {_DEAD[why]}, is still paid for")
            )
    return _lasting(spec, *worst)


def _numbers(trace: Trace) -> list[int]:
    servers = {event["server"] for event in trace.events if isinstance(event.get("server"), int)}
    return sorted(servers)


def _no_traffic_after_end(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """No request is sent to a server that is gone, or to a version that was rolled back, for longer than the bound after that."""
    routed, server = trace.attempts["routed_ns"], trace.attempts["server"]
    worst = (0, 0, "")
    for number, since, until, what in _ends(trace):
        late = routed[(server == number) & (routed > since) & (routed < until)]
        if len(late):
            worst = max(worst, (int(late.max()) - since, since, what))
    return _lasting(spec, *worst)


def _ends(trace: Trace) -> list[tuple[int, int, int, str]]:
    """(server, from, to, what): when no request should have gone to a server any more."""
    forever = trace.end + 1
    found = []
    runs: dict[int, str] = {}
    under_way: dict[str, str] = {}
    back: list[tuple[int, str]] = []
    changes: dict[int, list[tuple[int, str]]] = {}
    for event in trace.events:
        name, time, server = event["event"], int(event["t"]), event.get("server")
        if name == "terminated":
            found.append(
                (int(event["server"]), time, forever, f"server {server} gets requests after its end")
            )
        elif name == "deploy_started":
            under_way[event["deploy"]] = str(event["version"])
        elif name == "deploy_rolled_back" and event["deploy"] in under_way:
            back.append((time, under_way[event["deploy"]]))
        if name in ("launched", "updated", "terminated") and isinstance(server, int):
            runs[server] = str(event.get("version", "")) if name != "terminated" else ""
            changes.setdefault(server, []).append((time, runs[server]))
    for time, version in back:
        for server, history in sorted(changes.items()):
            then = [v for t, v in history if t <= time]
            if then and then[-1] == version:
                until = min((t for t, _ in history if t > time), default=forever)
                found.append(
                    (
                        server,
                        time,
                        until,
                        f"server {server} of version {version} gets requests after the rollback",
                    )
                )
    return found


def trigger_over(trace: Trace) -> int:
    """When the last fault and the last peak of planned requests were over (ns), -1: there was none, or it lasts to the end.

    A peak is a second with half as many requests again as the median second, and more than chance makes (four standard deviations of a Poisson count).
    """
    fleet = trace.fleet
    ends = [
        fault.until if fault.until >= 0 else fault.at for fault in fleet.faults if fault.at < fleet.duration
    ]
    endless = any(f.until < 0 and FAULTS[f.type].lasts for f in fleet.faults if f.at < fleet.duration)
    seconds = -(-fleet.duration // SECOND)
    planned = np.bincount(np.minimum(trace.requests["time_ns"] // SECOND, seconds - 1), minlength=seconds)
    usual = float(np.median(planned)) if len(planned) else 0.0
    peaks = np.flatnonzero(planned > 1.5 * usual + 4 * usual**0.5)
    if len(peaks) and usual > 0:
        ends.append((int(peaks[-1]) + 1) * SECOND)
    over = max(ends, default=NONE)
    return NONE if endless or over >= fleet.duration else over


def _recovers_within(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """So long after the last fault or peak is over every objective holds, over the rest of the run."""
    over = trigger_over(trace)
    if over < 0 or over + spec.bound >= trace.fleet.duration:
        return InvariantVerdict(spec, True, 0.0, 0.0)
    broken, ratio = [], 0.0
    for slo in trace.fleet.slos:
        start = max(slo.start, over + spec.bound)
        if start >= slo.end:
            continue
        rest = replace(slo, start=start)
        verdict = judge(
            rest, *(trace.requests[name] for name in ("time_ns", "source", "latency_ns", "outcome"))
        )
        ratio = max(ratio, nearness(verdict))
        if not verdict.held:
            broken.append(slo.name)
    if not broken:
        return InvariantVerdict(spec, True, min(ratio, 0.99), 0.0)
    what = f"{', '.join(broken)} violated over the rest of the run, though the trigger was over"
    return InvariantVerdict(spec, False, max(ratio, 1.0), None, over + spec.bound, what)


def _most_reversals(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """The autoscaler changes between growing and shrinking the fleet so many times at most."""
    turns = [
        (int(event["t"]), event["desired"] > event["actual"])
        for event in trace.happened("decision")
        if event.get("actions") and event.get("desired") != event.get("actual")
    ]
    changes = [time for (_, one), (time, two) in pairwise(turns) if one != two]
    count = len(changes)
    if count <= spec.bound:
        return InvariantVerdict(spec, True, min(count / (spec.bound + 1), 0.99), float(count))
    what = f"the autoscaler turned round {count} times"
    return InvariantVerdict(spec, False, count / (spec.bound + 1), float(count), changes[spec.bound], what)


def _shrinks_within(spec: InvariantSpec, trace: Trace) -> InvariantVerdict:
    """So long after the last fault or peak is over the fleet is no larger than it was at the start."""
    over = trigger_over(trace)
    if over < 0 or over + spec.bound >= trace.fleet.duration:
        return InvariantVerdict(spec, True, 0.0, 0.0)
    first, changes = trace.fleet.app.initial, sizes(trace)
    size, since, large = first, NONE, False
    for time, now in changes:
        if time > trace.fleet.duration:
            break
        if now <= first:
            large = False
        elif not large:
            large, since = True, time
        size = now
    if not large:
        return InvariantVerdict(
            spec, True, min((max((n for _, n in changes), default=first) - first) / 10, 0.9), 0.0
        )
    what = f"still {size} servers, {first} at the start"
    return _lasting(spec, max(trace.fleet.duration - max(over, since), 0), max(over, since), what)


INVARIANTS: Final[dict[str, Kind]] = {
    "conservation": Kind("flag", "every request that was planned has exactly one row, one outcome, and the attempts that it tells of", _conservation),
    "capacity": Kind("flag", "the fleet never has more servers than `fleet.app.max` (or than at the start), counting those that boot", _capacity),
    "one_autoscaler": Kind("flag", "never do two autoscalers act in one turn", _one_autoscaler),
    "load_returns": Kind("flag", "at the end nothing is counted as in flight at a server that no request accounts for", _load_returns),
    "no_orphans": Kind("delay", "no instance is paid for longer than this after its boot failed, its process died, it was drained, or it was found in nobody's books", _no_orphans),
    "no_traffic_after_end": Kind("delay", "no request goes to a server longer than this after its termination, or to a version longer than this after its rollback", _no_traffic_after_end),
    "recovers_within": Kind("delay", "so long after the last fault or peak of requests is over every objective holds, over the rest of the run", _recovers_within),
    "most_reversals": Kind("times", "so many times at most the autoscaler changes between growing and shrinking the fleet", _most_reversals),
    "shrinks_within": Kind("delay", "so long after the last fault or peak of requests is over the fleet is no larger than at the start", _shrinks_within),
}  # fmt: skip

ENGINE: Final = tuple(name for name, kind in INVARIANTS.items() if kind.unit == "flag")
"""Promises of the engine: a search looks for their breach without being asked."""
