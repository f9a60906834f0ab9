"""Turns of the autoscaler that saw another fleet than there was, and turns that could not do what was wanted. Times are ns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.lifecycle import State
from ...core.model import SECOND
from ..evidence import TAKING, Evidence
from ..tables import numbers
from .absences import MISLEADERS, latest, misleads
from .origins import Origin
from .suspects import Suspect

OFF = 0.25
"""A view is wrong if the requests that it saw are off by more than this share, or its number of servers by one."""


def wrong_views(evidence: Evidence, found: Sequence[Suspect]) -> dict[int, Origin]:
    """By time of the turn, the fault that gave it a wrong view; turns whose view was right, or that nothing misled, are not in it."""
    liars = [one for one in found if one.type in MISLEADERS and misleads(one)]
    if not liars:
        return {}
    views: dict[int, Origin] = {}
    for time, servers, requests in _seen(evidence):
        liar = latest(liars, MISLEADERS, time - 10 * SECOND, time)
        if liar is None:
            continue
        real_servers, real_requests = _real(evidence, time)
        off = abs(requests - real_requests) > OFF * max(real_requests, 1.0) if requests >= 0 else True
        if off or (servers >= 0 and servers != real_servers):
            views[time] = liar.origin
    return views


def _seen(evidence: Evidence) -> Iterator[tuple[int, int, float]]:
    """(time, servers, requests a second) as each turn saw them; -1: not known."""
    try:
        turns = evidence.run.table("decisions", ("time_ns", "serving"))
        rows = evidence.run.table("observations", ("time_ns", "state", "requests"))
    except FileNotFoundError:
        return
    times = numbers(turns, "time_ns")
    serving = numbers(turns, "serving")
    at = numbers(rows, "time_ns")
    asked = np.nan_to_num(numbers(rows, "requests").astype(float), nan=0.0)
    first, last = np.searchsorted(at, times, "left"), np.searchsorted(at, times, "right")
    total = np.concatenate([[0.0], np.cumsum(asked)])
    for time, number, low, high in zip(times.tolist(), serving.tolist(), first.tolist(), last.tolist(), strict=True):  # fmt: skip
        yield time, number, float(total[high] - total[low]) if number >= 0 else -1.0


def _real(evidence: Evidence, time: int) -> tuple[int, float]:
    """(servers that took requests, their requests a second) in the second up to *time*."""
    metrics = evidence.metrics
    second = time // SECOND * SECOND
    low, high = np.searchsorted(metrics["time_ns"], (second, second + 1))
    state, server = metrics["state"][low:high], metrics["server"][low:high]
    taking = np.isin(state, TAKING) & (server > 0)
    alive = np.isin(state, (*TAKING, State.DRAINING)) & (server > 0)
    return int(taking.sum()), float(metrics["requests"][low:high][alive].sum())


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn: what it wanted, how many there were or came up, and what kept it from deciding (empty: nothing)."""

    time: int
    size: int
    wanted: int
    maximum: int
    failure: str
    blind: bool


def turns(evidence: Evidence) -> list[Turn]:
    """All turns of a run's autoscaler that it recorded, in order."""
    names = ("time_ns", "serving", "booting", "proposal", "desired", "maximum", "reason", "blind")
    try:
        table = evidence.run.table("decisions", names)
    except FileNotFoundError:
        return []
    rows: list[dict[str, Any]] = table.to_pylist()
    return [
        Turn(
            row["time_ns"], row["serving"] + row["booting"], max(row["proposal"], row["desired"]), row["maximum"],
            row["reason"] if row["desired"] < 0 else "", bool(row["blind"]),
        )
        for row in rows
    ]  # fmt: skip
