"""The machine's cores: everything that computes has its own, or all share those of one host (core.host)."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import host as rules
from ..core.order import Kind, major_key
from .timeline import Timeline

Event = tuple[int, int, int, int, Callable[..., None], tuple[Any, ...]]
"""What the end of a burst is: kind, entity, request, lane, handler and its arguments."""


class Host:
    """Computes bursts of CPU time; the end of each is an event. *cores* -1: every burst has a core of its own."""

    def __init__(self, cores: int, timeline: Timeline) -> None:
        self.shared = cores >= 0
        self.timeline = timeline
        self._host = rules.idle_host(cores)
        self._bursts = rules.empty_bursts(16)
        self._events: dict[int, tuple[Event, Callable[[], None] | None]] = {}
        self._made = 0

    def clock(self) -> int:
        """CPU time (ns) that a burst which is under way all the time has had by now."""
        if not self.shared:
            return self.timeline.now()
        rules.bring_up(self._host, self.timeline.now())
        return int(self._host["attained"][0])

    def compute(self, demand: int, event: Event, then: Callable[[], None] | None = None) -> None:
        """*event* happens after *demand* ns of CPU time, which somebody else's bursts may make longer; so does *then*, just before.

        *then* is for shared cores only."""
        if not self.shared or demand == 0:
            self._happen(demand, event)
            return
        self.clock()
        if int(self._host["bursts"][0]) == len(self._bursts):
            self._bursts = np.concatenate((self._bursts, rules.empty_bursts(len(self._bursts))))
        self._made += 1
        self._events[self._made] = (event, then)
        rules.join(self._host, self._bursts, demand, major_key(event[0], event[1]), 0, self._made)
        self._set_alarm()

    def withdraw(self, kind: int, entity: int) -> list[tuple[Event, int]]:
        """The bursts that end in such an event stop being computed: the event of each, and the CPU time that it still asks for (ns)."""
        if not self.shared:
            return []
        self.clock()
        major, found = major_key(kind, entity), []
        while (place := rules.find(self._host, self._bursts, major)) >= 0:
            asked = rules.left(self._host, self._bursts, place)
            event, _ = self._take(place)
            found.append((event, asked))
        self._set_alarm()
        return found

    def _take(self, place: int) -> tuple[Event, Callable[[], None] | None]:
        own = int(self._bursts["ref"][place])
        rules.leave(self._host, self._bursts, place)
        return self._events.pop(own)

    def _set_alarm(self) -> None:
        time = rules.next_alarm(self._host, self._bursts)
        if time >= 0:
            alarm = int(self._host["alarm"][0])
            self.timeline.at(time, Kind.HOST_DONE, 0, alarm, 0, self._look, alarm)

    def _look(self, alarm: int) -> None:
        """An alarm: what has had its CPU time is done now."""
        if not rules.rings(self._host, alarm):
            return
        self.clock()
        done = []
        while rules.is_done(self._host, self._bursts):
            done.append(self._take(0))
        for event, then in done:
            self._happen(0, event)
            if then is not None:
                then()
        self._set_alarm()

    def _happen(self, delay: int, event: Event) -> None:
        kind, entity, request, lane, handler, args = event
        self.timeline.at(self.timeline.now() + delay, kind, entity, request, lane, handler, *args)


class EventLoop:
    """One thread, the proxy's: it computes one burst after another, in the order in which they came."""

    def __init__(self, host: Host, timeline: Timeline) -> None:
        self.host = host
        self.timeline = timeline
        self._free = 0
        self._waiting: deque[tuple[int, Event]] = deque()

    def compute(self, demand: int, event: Event) -> None:
        """*event* happens when this burst of *demand* ns, and all before it, have been computed."""
        if self.host.shared:
            self._waiting.append((demand, event))
            if len(self._waiting) == 1:
                self._turn()
            return
        now = self.timeline.now()
        self._free = max(now, self._free) + demand
        self.host.compute(self._free - now, event)

    def _turn(self) -> None:
        """Turn to the burst that came first; those that take no time are over at once."""
        while self._waiting:
            demand, event = self._waiting[0]
            if demand > 0:
                self.host.compute(demand, event, self._done)
                return
            self._waiting.popleft()
            self.host.compute(0, event)

    def _done(self) -> None:
        self._waiting.popleft()
        self._turn()

    def end(self) -> None:
        """The process is gone, and what it had to compute."""
        self._free = 0
        if self._waiting:
            _, (kind, entity, *_) = self._waiting[0]
            self.host.withdraw(kind, entity)
            self._waiting.clear()
