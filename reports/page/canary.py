"""Canaries against the servers that served at the same time, over all seconds in which there were any."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.outcomes import GOOD, NAMES, Outcome
from ...core.slo import percentile
from ..evidence import Evidence
from ..tables import codes, numbers

SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Side:
    """One side: how many *servers*, *attempts* that ended at them, how many *failed*, and nearest-rank percentiles (SHARES; ns) of the time at the server of those answered as planned."""

    servers: int
    attempts: int
    failed: int
    percentiles: tuple[int, ...]


def sides(evidence: Evidence) -> tuple[Side, Side] | None:
    """Canaries and baseline; None if no server ever was a canary."""
    canary = _phases(evidence, "canary")
    if not canary:
        return None
    table = evidence.run.table("attempts", ("end_ns", "arrived_ns", "served_ns", "server", "outcome"))
    end, server = numbers(table, "end_ns"), numbers(table, "server")
    spans = _union([(start, stop) for _, start, stop in canary])
    during = np.zeros(len(end), dtype=bool)
    for start, stop in spans:
        during |= (end >= start) & (end < stop)
    rows = {
        "end": end[during], "server": server[during], "outcome": codes(table, "outcome", NAMES)[during],
        "took": (numbers(table, "served_ns") - numbers(table, "arrived_ns"))[during],
    }  # fmt: skip
    return _side(canary, rows), _side(_phases(evidence, "serving"), rows)


def _phases(evidence: Evidence, name: str) -> list[tuple[int, int, int]]:
    return [
        (life.server, start, stop) for life in evidence.lives for phase, start, stop in life.phases if phase == name
    ]  # fmt: skip


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def _side(phases: list[tuple[int, int, int]], rows: dict[str, Any]) -> Side:
    chosen = np.zeros(len(rows["end"]), dtype=bool)
    for number, start, stop in phases:
        chosen |= (rows["server"] == number) & (rows["end"] >= start) & (rows["end"] < stop)
    outcome, took = rows["outcome"][chosen], rows["took"][chosen]
    answered = np.sort(took[(outcome == Outcome.OK) & (took >= 0)])
    values = tuple(percentile(answered, share) for share in SHARES) if len(answered) else ()
    failed = int((~np.isin(outcome, [*GOOD, Outcome.UNFINISHED])).sum())
    there = len(np.unique(rows["server"][chosen]))
    return Side(there, len(outcome), failed, values)
