"""The same planned request in both runs: what became of it here and there. Common random numbers make such pairs.

Two runs of one seed plan the same requests as long as their scenarios have the same traffic: draws are keyed by source and index. Their
difference request by request is free of the chance that both share (Law, "Simulation modeling and analysis", chapter on variance reduction).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.confidence import Interval
from ..core.draws import REQUEST_LIMIT
from ..core.jackknife import batch_of, jackknife, ratio_without
from ..core.outcomes import NAMES, Outcome
from .evidence import Evidence
from .tables import numbers

MOST_CHANGES = 5


@dataclass(frozen=True, slots=True)
class Paired:
    """Requests of the same plan: how many are in both runs (*count*), how many were answered in both, what their latencies differ by (ns,
    second minus first: *latency*, its mean with its interval, and *typical*, its median); *changed*: how many have another outcome, and the
    most frequent of such *changes* as (outcome in the first, in the second, how many)."""

    count: int
    answered: int
    latency: Interval | None
    typical: float | None
    changed: int
    changes: tuple[tuple[str, str, int], ...]


def pair_requests(first: Evidence, second: Evidence, window: int, batches: int) -> Paired | None:
    """The pairs planned within *window* (ns from the start); None if the runs do not have the same planned requests.

    They have them if the seed is the same and every open request that both know was planned for the same time and endpoint. Closed clients
    send when they come free: their requests are paired by client and turn.
    """
    if first.fleet.seed != second.fleet.seed:
        return None
    left, right = _columns(first, window), _columns(second, window)
    names = [source.name for source in first.fleet.sources]
    here = _renumbered(left["source"], names, names)
    there = _renumbered(right["source"], [source.name for source in second.fleet.sources], names)
    _, i, j = np.intersect1d(
        here * REQUEST_LIMIT + left["index"],
        np.where(there < 0, -1, there * REQUEST_LIMIT + right["index"]),
        assume_unique=not (there < 0).any(),
        return_indices=True,
    )
    if not len(i) or not _same_plan(
        first, second, {n: c[i] for n, c in left.items()}, {n: c[j] for n, c in right.items()}
    ):
        return None
    was, became = left["outcome"][i], right["outcome"][j]
    answered = (was == Outcome.OK) & (became == Outcome.OK) & first.readers[left["row"][i]]
    later = (right["latency_ns"][j] - left["latency_ns"][i])[answered]
    batch = batch_of(left["time_ns"][i][answered], window, batches)
    latency = None
    if len(later):
        sums = np.bincount(batch, weights=later, minlength=batches)
        latency = jackknife(*ratio_without(sums, np.bincount(batch, minlength=batches)))
    kinds, counts = np.unique(was.astype(np.int64) * len(NAMES) + became, return_counts=True)
    changes = [
        (NAMES[kind // len(NAMES)], NAMES[kind % len(NAMES)], int(count))
        for kind, count in zip(kinds.tolist(), counts, strict=True)
        if kind // len(NAMES) != kind % len(NAMES)
    ]
    changes.sort(key=lambda change: -change[2])
    return Paired(
        len(i), len(later), latency, float(np.median(later)) if len(later) else None,
        sum(change[2] for change in changes), tuple(changes[:MOST_CHANGES]),
    )  # fmt: skip


def _columns(evidence: Evidence, window: int) -> dict[str, Any]:
    """Columns of the requests within the window; *row*: which they are of all."""
    requests = evidence.requests
    chosen = (requests["time_ns"] >= 0) & (requests["time_ns"] < window)
    index = numbers(evidence.run.table("requests", ("index",)), "index")
    names = ("source", "endpoint", "time_ns", "latency_ns", "outcome")
    found = {name: requests[name][chosen] for name in names}
    return {**found, "index": index[chosen], "row": np.flatnonzero(chosen)}


def _renumbered(codes: Any, words: list[str], known: list[str]) -> Any:
    """*codes* of *words* as positions in *known*; -1: not there."""
    places = np.array([known.index(word) if word in known else -1 for word in words] or [-1], dtype=np.int64)
    return np.where(codes < 0, -1, places[codes])


def _same_plan(first: Evidence, second: Evidence, left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether paired rows of open sources have the same times and endpoints."""
    open_sources = [n for n, source in enumerate(first.fleet.sources) if source.concurrency < 0]
    planned = np.isin(left["source"], open_sources)
    paths = [endpoint.path for endpoint in first.fleet.endpoints]
    endpoint = _renumbered(right["endpoint"], [one.path for one in second.fleet.endpoints], paths)
    same = (left["time_ns"] == right["time_ns"]) & (left["endpoint"] == endpoint)
    return bool(same[planned].all())
