"""Figures of a run that hints are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.lifecycle import State
from ..core.model import NONE, POOL, SECOND, FleetSpec
from ..core.outcomes import GOOD, NAMES, Outcome
from .evidence import TAKING, Evidence
from .lifelines import Lifeline
from .stations import Breakdown, slowest

SYN_RETRY = SECOND
"""A client whose SYN is dropped tries again after this (ns)."""


TIMED_OUT = 0.001
"""A share of the requests: a single one with a heavy tail is nobody's trouble."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest *value* in any second or bin, and when (ns) that ended."""

    value: float = 0.0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Death:
    """A server that died: when, until when it was terminated (-1: never), and how many requests failed on it after its death."""

    server: int
    died: int
    gone: int
    failed: int


@dataclass(frozen=True)
class Facts:
    """See :func:`gather`. Times are ns, shares 0 to 1. *errors* are requests of clients that read, by outcome."""

    fleet: FleetSpec
    planned: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    slow: Breakdown | None = None
    too_slow: bool = True
    """False if there are latency objectives, all of them held, and fewer than TIMED_OUT of the requests timed out."""
    busy: float | None = None
    """Share of the serving servers' workers that were busy when the slowest requests arrived at theirs, on average."""
    cores: float | None = None
    """Share of the serving servers' cores that were used in the seconds in which the slowest requests were planned."""
    begun: int = 0
    sent: int = 0
    tries: int = 0
    """Upstream tries of all attempts."""
    storm: Peak = Peak()
    """Attempts per request planned, in the bin with most of them."""
    rush: Peak = Peak()
    """Requests a second, in the bin with most of them."""
    bin: int = SECOND
    lives: tuple[Lifeline, ...] = ()
    drains: Mapping[int, int] = field(default_factory=dict)
    """When each server was drained."""
    lost: tuple[tuple[int, int, str, int], ...] = ()
    """Servers ended by the autoscaler with requests in flight: (ns, server, reason, requests)."""
    late_syns: int = 0
    """Attempts that waited for a connection for at least SYN_RETRY."""
    accept_queue: Peak = Peak()
    descriptors: Peak = Peak()
    proxy_memory: Peak = Peak()
    proxy_busy: Peak = Peak()
    """Share of its one event loop."""
    proxy_down: tuple[tuple[int, int], ...] = ()
    """(down, up again or -1)."""
    capped: tuple[int, ...] = ()
    """When the autoscaler wanted more servers than its maximum."""
    deaths: tuple[Death, ...] = ()
    unserved: tuple[int, int, int] = (0, -1, -1)
    """Seconds sampled without any serving server: how many, the first and the last."""
    out_of_memory: tuple[tuple[int, int], ...] = ()
    """(ns, server)."""
    registry_away: tuple[int, ...] = ()
    generator: Mapping[str, float] = field(default_factory=dict)
    """How late a flight's load generator was (ns, and a share); empty for a rehearsal."""

    @property
    def backlog_full(self) -> bool:
        """Whether the accept queue was as long as the backlog in some second."""
        return 0 <= self.fleet.proxy.backlog <= self.accept_queue.value

    def pooled(self) -> int:
        """The greatest pool of connections of any source, or NONE."""
        pools = [s.client.connections for s in self.fleet.sources if s.client.mode == POOL]
        return max(pools, default=NONE)


def proxy_loop(evidence: Evidence) -> Any:
    """Per row of the metrics the share of the event loop that was used, if the row is the proxy's.

    A flight measures the proxy's CPU time; in a rehearsal each request costs the same.
    """
    metrics = evidence.metrics
    modelled = metrics["requests"] * evidence.fleet.proxy.cpu_per_request
    return np.where(metrics["cpu_ns"] > 0, metrics["cpu_ns"], modelled) / SECOND


def gather(evidence: Evidence) -> Facts:
    """The figures of a run."""
    requests, metrics = evidence.requests, evidence.metrics
    outcome = requests["outcome"][evidence.readers]
    wrong = {n: int((outcome == n).sum()) for n in np.unique(outcome).tolist() if n not in GOOD}
    slow = slowest(evidence)
    width = max(evidence.seconds // 60, 1) * SECOND
    proxy = metrics["server"] == 0
    rush, storm = _rates(evidence, width)
    downs = evidence.happened("proxy_down", "proxy_up")
    return Facts(
        fleet=evidence.fleet,
        planned=int(evidence.readers.sum()),
        errors={NAMES[n]: count for n, count in wrong.items()},
        slow=slow,
        too_slow=_too_slow(evidence),
        busy=_busy(evidence, slow) if slow else None,
        cores=_cores(evidence, slow) if slow else None,
        begun=len(requests["request"]),
        sent=len(evidence.starts),
        tries=int(evidence.attempts("tries").sum()),
        rush=rush,
        storm=storm,
        bin=width,
        lives=tuple(evidence.lives),
        drains={event["server"]: event["t"] for event in evidence.happened("draining")},
        lost=tuple(
            (event["t"], event["server"], str(event["reason"]), event["lost"])
            for event in evidence.happened("terminated")
            if event["lost"] > 0
        ),
        late_syns=_late_syns(evidence),
        accept_queue=_peak(evidence, metrics["queued"], proxy),
        descriptors=_peak(evidence, metrics["descriptors"], proxy),
        proxy_memory=_peak(evidence, metrics["memory"], proxy),
        proxy_busy=_peak(evidence, proxy_loop(evidence), proxy),
        proxy_down=tuple(
            (event["t"], next((e["t"] for e in downs[place:] if e["event"] == "proxy_up"), -1))
            for place, event in enumerate(downs)
            if event["event"] == "proxy_down"
        ),
        capped=tuple(e["t"] for e in evidence.happened("decision") if e["reason"] == "at maximum"),
        deaths=tuple(_deaths(evidence)),
        unserved=_unserved(evidence),
        out_of_memory=tuple((e["t"], e["server"]) for e in evidence.happened("out_of_memory")),
        registry_away=tuple(e["t"] for e in evidence.happened("registry_unreachable")),
        generator=evidence.summary.get("generator", {}),
    )


def _too_slow(evidence: Evidence) -> bool:
    objectives = [slo for slo in evidence.summary["slo"] if slo["indicator"].startswith("latency")]
    late = np.isin(evidence.requests["outcome"], [Outcome.CLIENT_TIMEOUT, Outcome.UPSTREAM_TIMEOUT])
    timed_out = len(late) > 0 and float(late.mean()) >= TIMED_OUT
    return not objectives or not all(slo["held"] for slo in objectives) or timed_out


def _peak(evidence: Evidence, values: Any, rows: Any) -> Peak:
    if not rows.any():
        return Peak()
    place = np.flatnonzero(rows)[int(np.argmax(values[rows]))]
    return Peak(float(values[place]), int(evidence.metrics["time_ns"][place]))


def _rates(evidence: Evidence, width: int) -> tuple[Peak, Peak]:
    """The bin of *width* ns with most requests planned (as a rate), and the one with most attempts per request."""
    time, starts = evidence.requests["time_ns"], evidence.starts
    bins = -(-evidence.seconds * SECOND // width)
    planned = np.bincount((time // width).clip(0, bins - 1), minlength=bins)
    sent = np.bincount((starts // width).clip(0, bins - 1), minlength=bins)
    # Where hardly anything was planned, a ratio says nothing.
    able = planned >= max(planned.mean() / 4, 1)
    ratio = np.where(able, sent / np.maximum(planned, 1), 0.0)
    most, worst = int(np.argmax(planned)), int(np.argmax(ratio))
    rush = Peak(float(planned[most] / width * SECOND), (most + 1) * width)
    return rush, Peak(float(ratio[worst]), (worst + 1) * width)


def _busy(evidence: Evidence, slow: Breakdown) -> float | None:
    """Of all requests that a worker had and of all servers that served at those very moments, not only once a second."""
    arrived = slow.arrived[slow.arrived >= 0]
    started, served = evidence.attempts("started_ns"), evidence.attempts("served_ns")
    taken = started >= 0
    left = np.where(served >= 0, served, evidence.attempts("end_ns"))
    working = _at(arrived, started[taken], left[taken])
    spans = [span[1:] for life in evidence.lives for span in life.phases if span[0] in ("serving", "canary")]
    serving = _at(arrived, *np.array(spans, dtype=np.int64).reshape(-1, 2).T)
    able = serving > 0
    if not able.any():
        return None
    # Those that drain work too, and serve no more.
    return min(float((working[able] / (serving[able] * evidence.fleet.app.workers)).mean()), 1.0)


def _at(moments: Any, starts: Any, stops: Any) -> Any:
    """How many of the spans cover each of *moments*; they begin just after their start."""
    begun = np.searchsorted(np.sort(starts), moments)
    return begun - np.searchsorted(np.sort(stops), moments)


def _cores(evidence: Evidence, slow: Breakdown) -> float | None:
    """The second n of a request is sampled at its end."""
    metrics = evidence.metrics
    seconds = np.unique(slow.planned // SECOND) + 1
    rows = evidence.in_states(TAKING) & np.isin(metrics["time_ns"] // SECOND, seconds)
    if not rows.any():
        return None
    return float(metrics["cpu_ns"][rows].mean() / SECOND / evidence.fleet.app.cores)


def _late_syns(evidence: Evidence) -> int:
    reached, ended = evidence.attempts("proxy_ns"), evidence.attempts("end_ns")
    return int((np.where(reached >= 0, reached, ended) - evidence.starts >= SYN_RETRY).sum())


def _deaths(evidence: Evidence) -> list[Death]:
    requests = evidence.requests
    wrong = ~np.isin(requests["outcome"], [*GOOD, Outcome.UNFINISHED])
    ended, server = requests["time_ns"][wrong] + requests["latency_ns"][wrong], requests["server"][wrong]
    found = []
    for life in evidence.lives:
        for died, how in life.deaths:
            if how != "boot failed":
                failed = int(((server == life.server) & (ended > died)).sum())
                found.append(Death(life.server, died, life.gone, failed))
    return found


def _unserved(evidence: Evidence) -> tuple[int, int, int]:
    metrics = evidence.metrics
    moments = np.unique(metrics["time_ns"])
    serving = np.isin(metrics["state"], (State.SERVING, State.CANARY)) & (metrics["server"] > 0)
    empty = np.setdiff1d(moments, metrics["time_ns"][serving])
    return (len(empty), int(empty[0]), int(empty[-1])) if len(empty) else (0, -1, -1)
