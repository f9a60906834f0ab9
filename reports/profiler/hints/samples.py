"""Samples in the registry, as the autoscaler saw them: clocks that differ, monitors that fall silent."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ....core.model import SECOND
from ...run import RunError
from ...tables import numbers
from ...wording import duration, listed, moment, plural
from .hint import Figure, Hint
from .scene import Scene, stretches

SKEW = 3 * SECOND // 2
"""A difference of clocks that is told (ns): more than an interval of monitors and the registry's ways together."""

TURNS = 5
"""Turns one after another."""


def clock_is_off(scene: Scene) -> Iterator[Hint]:
    """In at least five turns of the autoscaler one after another a server's samples, new ones each time, were 1.5 s older or newer than the median of its peers', or came from the future."""
    seen = _seen(scene)
    if seen is None:
        return
    # Of a server that is dead the last sample grows old: only new ones tell of a clock.
    time, number, sampled = (column[_fresh(*seen)] for column in seen)
    if not len(time):
        return
    age = time - sampled
    turns, place = np.unique(time, return_inverse=True)
    order = np.lexsort((age, place))
    starts = np.searchsorted(place[order], np.arange(len(turns)))
    counts = np.diff(np.append(starts, len(place)))
    typical = age[order][starts + counts // 2]
    found = []
    for server in np.unique(number).tolist():
        own = np.flatnonzero(number == server)
        peers = counts[place[own]] >= 3
        # With three at least, the median is that of those whose clocks are right.
        apart = age[own] - np.where(peers, typical[place[own]], 0)
        ahead, behind = apart <= -SKEW, peers & (apart >= SKEW)
        for flags in (ahead, behind):
            for first, last in stretches(flags, TURNS, apart=2):
                found.append(
                    (server, own[first], own[last - 1], float(np.median(apart[first:last])), last - first)
                )
    if not found:
        return
    server, first, last, by, many = max(found, key=lambda one: (abs(one[3]), -one[0]))
    others = sorted({one[0] for one in found} - {server})
    also = f" (also that of {listed([f'server {one}' for one in others])})" if others else ""
    yield Hint(
        "clock_is_off", "warning", "server", str(server), int(time[first]), int(time[last]),
        f"The clock of server {server} is {duration(abs(by))} {'behind' if by > 0 else 'ahead'}{also}: from {moment(int(time[first]))} to {moment(int(time[last]))}, in "
        f"{plural(int(many), 'turn')}, its samples were so much {'older' if by > 0 else 'newer'} than they should be, and ages, which policies go by, are wrong by that.",
        (Figure("ahead", -by, "ns"), Figure("turns", float(many), "turn"), Figure("servers", len(others) + 1, "server")),
    )  # fmt: skip


def samples_are_old(scene: Scene) -> Iterator[Hint]:
    """For at least five turns of the autoscaler one after another a serving server had no sample newer than the greatest age that counts, though it got requests."""
    scaler, seen = scene.fleet.autoscaler, _seen(scene)
    if scaler is None or seen is None:
        return
    time, number, sampled = seen
    found = []
    for server in np.unique(number).tolist():
        own = np.flatnonzero(number == server)
        stale = (sampled[own] >= 0) & (time[own] - sampled[own] > scaler.max_sample_age)
        # A clock that is behind makes new samples look old.
        stale &= np.diff(sampled[own], prepend=sampled[own][:1]) <= 0
        for first, last in stretches(stale, TURNS):
            begun, ended = int(sampled[own[first]]), int(time[own[last - 1]])
            if _serves(scene, server, int(time[own[first]]), ended):
                found.append((ended - begun, server, begun, ended))
    if not found:
        return
    longest, server, begun, ended = max(found, key=lambda one: (one[0], -one[1]))
    many = len({one[1] for one in found})
    yield Hint(
        "samples_are_old", "warning", "registry" if many > 1 else "server", "" if many > 1 else str(server), begun, ended,
        f"{plural(many, 'server')} served and wrote no sample, server {server} for {duration(longest)} from {moment(begun)} on: the policy goes by what it does not see.",
        (Figure("without a sample", longest, "ns"), Figure("servers", many, "server"), Figure("greatest age that counts", scaler.max_sample_age, "ns")),
    )  # fmt: skip


def _serves(scene: Scene, server: int, begun: int, ended: int) -> bool:
    metrics = scene.evidence.metrics
    rows = (
        scene.idle_states
        & (metrics["server"] == server)
        & (metrics["time_ns"] > begun)
        & (metrics["time_ns"] <= ended)
    )
    return bool(metrics["requests"][rows].sum() > 0)


def _fresh(time: Any, number: Any, sampled: Any) -> Any:
    """Which rows show a sample that the turn before had not."""
    order = np.lexsort((time, number))
    new = np.diff(sampled[order], prepend=-1) != 0
    new[1:] &= number[order][1:] == number[order][:-1]
    found = np.zeros(len(time), dtype=bool)
    found[order] = new & (sampled[order] >= 0)
    return found


def _seen(scene: Scene) -> tuple[Any, Any, Any] | None:
    """Of each serving server of ours at each turn: the turn, its number, the time of its last sample (ns, -1: none)."""
    try:
        table = scene.evidence.run.observations
    except RunError:
        return None
    time, number, sampled = (numbers(table, name) for name in ("time_ns", "number", "sampled_ns"))
    ours = number > 0
    return time[ours], number[ours], sampled[ours]
