"""What the rules of origins work on: one run's failures, its suspects, absences and capacity, and what has been concluded so far. Times are ns."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...core.model import SECOND
from ..evidence import Evidence
from ..stations import ANSWER, CONNECTION, PROXY, UPSTREAM, WAITS
from .absences import Absence, Chronicle
from .capacity import Capacity
from .failed import Failed, failed
from .origins import Origin
from .suspects import Suspect, suspects
from .views import wrong_views

NOTHING = -1
BEFORE = 0.5
"""A fault is not blamed for failures that came at this share of their later rate before it began."""


class Case:
    """See above. *origin_of*, *rule_of* and *told_of* are places in *origins*, *rules* and *told* (the evidence in words), for each failure; NOTHING: not concluded yet."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.fleet = evidence.fleet
        self.failed: Failed = failed(evidence)
        self.suspects: list[Suspect] = suspects(evidence.fleet, evidence.events, evidence.end)
        views = wrong_views(evidence, self.suspects)
        self.chronicle = Chronicle(evidence.fleet, evidence.events, self.suspects, views)
        self.absences: list[Absence] = list(self.chronicle.absences)
        self.capacity = Capacity(evidence)
        self.origins: list[Origin] = []
        self.rules: list[tuple[str, str]] = []
        self.origin_of = np.full(len(self.failed), NOTHING, dtype=np.int64)
        self.rule_of = np.full(len(self.failed), NOTHING, dtype=np.int64)
        self._origins: dict[Origin, int] = {}
        self._rules: dict[tuple[str, str], int] = {}
        self.told: list[str] = []
        self.told_of = np.full(len(self.failed), NOTHING, dtype=np.int64)
        self._told: dict[str, int] = {}
        self._before: dict[tuple[str, int], bool] = {}

    @property
    def open(self) -> Any:
        """Which failures have no origin yet."""
        return self.origin_of == NOTHING

    def judge(self, judged: Sequence[Absence]) -> None:
        """Take these absences, which follow from what is concluded so far, beside those that the log tells."""
        self.absences = sorted([*self.chronicle.absences, *judged], key=lambda one: (one.start, one.server))

    def claim(self, rows: Any, origin: Origin, rule: str, confidence: str, told: str) -> None:
        """These failures (places, or a mask) go back to *origin*, unless that is settled already."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        rows = rows[self.origin_of[rows] == NOTHING]
        if not len(rows):
            return
        place, number = _place(self.origins, self._origins, origin), _place(self.rules, self._rules, (rule, confidence))  # fmt: skip
        self.origin_of[rows], self.rule_of[rows] = place, number
        self.told_of[rows] = _place(self.told, self._told, told)

    def came_before(self, one: Suspect, row: int) -> bool:
        """Whether failures as that of *row* (same outcome, same station) came before *one* began about as often as since."""
        kind = int(self.kinds[row])
        key = (one.name, kind)
        if key not in self._before:
            times = self.times_of(kind)
            length = max(one.length, 5 * SECOND)
            window = min(one.start, length)
            if window < SECOND:
                self._before[key] = False
            else:
                low, at, high = np.searchsorted(times, (one.start - window, one.start, one.start + length))
                self._before[key] = (at - low) / window >= BEFORE * max(high - at, 1) / length
        return self._before[key]

    @cached_property
    def kinds(self) -> Any:
        """A number for outcome and station of each failure."""
        return self.failed.outcome.astype(np.int64) * 16 + self.failed.station

    def times_of(self, kind: int) -> Any:
        """When attempts failed in this way, in order; of those that are not settled as another's."""
        chosen = (self.kinds == kind) & self.open
        return np.sort(self.failed.end[chosen])

    # Since when a failure's station had no moment of rest.

    def busy_since(self, rows: Any) -> Any:
        """For each of these failures, the last moment before it at which its station let somebody through without a wait."""
        station, found = self.failed.station[rows], np.zeros(len(rows), dtype=np.int64)
        at = self.failed.since[rows]
        for number in np.unique(station).tolist():
            chosen = station == number
            if number in (CONNECTION, PROXY, UPSTREAM, ANSWER, WAITS):
                found[chosen] = _before(self._calm(number), at[chosen])
            else:
                servers = self.failed.server[rows]
                for server in np.unique(servers[chosen]).tolist():
                    here = chosen & (servers == server)
                    found[here] = _before(self._rest(server), at[here])
        return found

    def held_since(self) -> Any:
        """For each failure, the last moment before it came to the station that took most of its time at which that station let somebody through without a wait."""
        found = self.failed.longest_since.copy()
        for number in _ENDS:
            chosen = self.failed.longest == number
            if chosen.any():
                found[chosen] = _before(self._calm(number), found[chosen])
        return found

    @cached_property
    def _passed(self) -> tuple[Any, Any]:
        """(server, arrival) of attempts that found a free worker, by server and time."""
        arrived, started = self.evidence.attempts("arrived_ns"), self.evidence.attempts("started_ns")
        # A flight's measured waits are never quite nothing.
        free = np.flatnonzero((started >= 0) & (arrived >= 0) & (started - arrived <= SECOND // 1000))
        server, arrived = self.evidence.attempts("server")[free], arrived[free]
        order = np.lexsort((arrived, server))
        return server[order], arrived[order]

    def _rest(self, server: int) -> Any:
        servers, arrived = self._passed
        if server <= 0:
            return np.sort(arrived)
        low, high = np.searchsorted(servers, (server, server + 1))
        return arrived[low:high]

    def _calm(self, station: int) -> Any:
        """When attempts came to *station* that left it as soon as most do."""
        if station not in self._calms:
            self._calms[station] = self._calm_at(station)
        return self._calms[station]

    @cached_property
    def _calms(self) -> dict[int, Any]:
        return {}

    def _calm_at(self, station: int) -> Any:
        enter, leave = _ENDS[station]
        came, left = self.evidence.attempts(enter), self.evidence.attempts(leave)
        there = (came >= 0) & (left >= came)
        if not there.any():
            return np.zeros(0, dtype=np.int64)
        took = left[there] - came[there]
        usual = np.percentile(took, 25)
        return np.sort(came[there][took <= 1.5 * usual + SECOND // 1000])


_ENDS = {
    CONNECTION: ("start_ns", "proxy_ns"),
    PROXY: ("proxy_ns", "routed_ns"),
    UPSTREAM: ("routed_ns", "arrived_ns"),
    WAITS: ("cpu_done_ns", "served_ns"),
    ANSWER: ("served_ns", "answered_ns"),
}


def _before(times: Any, at: Any) -> Any:
    place = np.searchsorted(times, at, "left") - 1
    return np.where(place >= 0, times[place.clip(0)], 0) if len(times) else np.zeros(len(at), dtype=np.int64)


def _place(known: list[Any], places: dict[Any, int], one: Any) -> int:
    """The place of *one* among what is *known*; it is added if it is new."""
    if one not in places:
        places[one] = len(known)
        known.append(one)
    return places[one]


def last_of(found: Sequence[Suspect]) -> Suspect | None:
    """The latest to begin."""
    return max(found, key=lambda one: (one.start, one.place), default=None)
