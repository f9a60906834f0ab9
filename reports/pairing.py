"""The scaling decisions of two runs, paired: by kind, in order, as close in time as can be."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..core.model import SECOND

KINDS = {"launched": "launch", "promoted": "promote", "draining": "drain", "terminated": "terminate"}
"""Events that carry out a decision of the autoscaler."""

REACH_TICKS, REACH = 10, 30 * SECOND
"""Decisions further apart than so many ticks, and than this time (ns), are not the same decision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A launch, promotion, drain or termination (*kind*), its time (ns), the instance by number, and a reason if one is known."""

    kind: str
    time: int
    server: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same decision in both runs; *ticks*: how much later the second took it, in whole ticks, rounded."""

    first: Decision
    second: Decision
    ticks: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """All decisions of two runs: *pairs*, those that only the first took (*missing*) or only the second (*surplus*).

    *tick* is the autoscaler's interval (ns); *reordered*: pairs that come in another order in the second run than in the first.
    """

    tick: int
    pairs: tuple[Pair, ...]
    missing: tuple[Decision, ...]
    surplus: tuple[Decision, ...]

    @property
    def furthest(self) -> int:
        """The greatest distance of a pair, in ticks."""
        return max((abs(pair.ticks) for pair in self.pairs), default=0)

    @property
    def reordered(self) -> int:
        """Pairs that some decision overtook: earlier than it in the first run, later in the second."""
        count, latest, pending = 0, -1, -1
        at = -1
        for pair in sorted(self.pairs, key=lambda pair: (pair.first.time, pair.second.time)):
            if pair.first.time != at:
                latest, at = max(latest, pending), pair.first.time
            count += pair.second.time < latest
            pending = max(pending, pair.second.time)
        return count

    def within(self, ticks: float) -> bool:
        """Whether it is the same sequence, give or take so many *ticks*."""
        return not self.missing and not self.surplus and self.furthest <= ticks


def decisions(events: Iterable[Mapping[str, Any]], until: int) -> list[Decision]:
    """The scaling decisions up to *until* (ns). The fleet that is there at the start was not decided on."""
    found = []
    for event in events:
        kind, time = KINDS.get(event["event"]), int(event["t"])
        if kind is None or time > until or (kind == "launch" and time <= 0):
            continue
        found.append(Decision(kind, time, int(event.get("server", 0)), str(event.get("reason", ""))))
    return found


def pair_decisions(first: Sequence[Decision], second: Sequence[Decision], tick: int) -> Pairing:
    """Pair the decisions of two runs; *tick* is the autoscaler's interval (ns).

    Within a kind, pairs keep their order, as many decisions as possible that are within reach of one another are paired, and of all such pairings
    the one with the least distance in time is taken (as in the alignment of sequences; Needleman and Wunsch 1970). Nothing is gained by
    looking at servers' numbers: which instance a policy ends is not what it decided.
    """
    reach = max(REACH_TICKS * tick, REACH)
    pairs, missing, surplus = [], [], []
    for kind in KINDS.values():
        left = sorted((one for one in first if one.kind == kind), key=lambda one: one.time)
        right = sorted((one for one in second if one.kind == kind), key=lambda one: one.time)
        found = _aligned([one.time for one in left], [one.time for one in right], reach)
        pairs += [Pair(left[i], right[j], round((right[j].time - left[i].time) / tick)) for i, j in found]
        taken_left, taken_right = {i for i, _ in found}, {j for _, j in found}
        missing += [one for i, one in enumerate(left) if i not in taken_left]
        surplus += [one for j, one in enumerate(right) if j not in taken_right]
    return Pairing(
        tick,
        tuple(sorted(pairs, key=lambda pair: (pair.first.time, pair.second.time))),
        tuple(sorted(missing, key=lambda one: one.time)),
        tuple(sorted(surplus, key=lambda one: one.time)),
    )


def _aligned(left: Sequence[int], right: Sequence[int], reach: int) -> list[tuple[int, int]]:
    """Positions that belong together, both sequences ascending. What is further apart than *reach* from all else is aligned by itself."""
    found: list[tuple[int, int]] = []
    # In ten-thousandths of the reach, so that the worth of many pairs stays a small integer.
    grain = max(reach // 10_000, 1)
    moments = sorted({*left, *right})
    starts = [0, *(n for n in range(1, len(moments)) if moments[n] - moments[n - 1] > reach), len(moments)]
    for begin, end in pairwise(starts):
        if begin == end:
            continue
        low, high = moments[begin], moments[end - 1]
        i, j = bisect_left(left, low), bisect_left(right, low)
        lefts, rights = left[i : bisect_right(left, high)], right[j : bisect_right(right, high)]
        aligned = _align(np.array(lefts) // grain, np.array(rights) // grain, reach // grain)
        found += [(i + a, j + b) for a, b in aligned]
    return found


def _align(left: Any, right: Any, reach: int) -> list[tuple[int, int]]:
    """The order-keeping pairing of most worth. A pair is worth more the closer it is, and no pair is worth less than nothing."""
    rows, columns = len(left), len(right)
    best = np.zeros(columns + 1, dtype=np.int64)
    came = np.zeros((rows, columns), dtype=np.int8)
    # Any pair outweighs all distances together, so that no decision stays alone that has a partner within reach.
    each = reach * (min(rows, columns) + 1)
    for row in range(rows):
        apart = np.abs(right - left[row])
        paired = np.where(apart <= reach, best[:-1] + each - apart, -1)
        alone = best[1:]
        taken = np.maximum(paired, alone)
        after = np.maximum.accumulate(taken)
        came[row] = np.where(taken < after, 2, np.where(paired >= alone, 1, 0))
        best = np.concatenate((best[:1], after))
    found, row, column = [], rows - 1, columns - 1
    while row >= 0 and column >= 0:
        step = int(came[row, column])
        if step == 1:
            found.append((row, column))
        row -= step != 2
        column -= step != 0
    return found[::-1]
