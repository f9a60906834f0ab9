"""Faults of machines: memory_pressure, disk_full, descriptor_limit, clock_skew, clock_jump. (A hog is among what slows servers down: see ``servers``.)"""

import asyncio
from collections import Counter
from collections.abc import Callable

from ....core.fault_family import Active, Targets
from ....core.faults import SERVERS
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts


class MachineFaults(FlightFamily):
    """Implements Family: the commands ``press`` and ``disk`` to servers, ``descriptors`` to the proxy, ``clock`` to servers and autoscaler; a registry of our own is told to refuse what writes."""

    types = frozenset({"memory_pressure", "disk_full", "descriptor_limit", "clock_skew", "clock_jump"})

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._active = Active()
        self._full = 0
        self._clocks: Counter[int | str] = Counter()
        self._telling: set[asyncio.Future[None]] = set()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "clock_jump":
            self._turn_clocks(targets, int(fault.number("by")))
            return
        self._active.add(fault, targets)
        self._apply(fault, targets, 1)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._active.remove(fault)
        self._apply(fault, targets, -1)

    def _apply(self, fault: FaultSpec, targets: Targets, sign: int) -> None:
        standing = self._parts.standing
        match fault.type:
            case "memory_pressure":
                for target in targets:
                    size = sum(int(one.number("size")) for one in self._of(fault.type, target))
                    tell = standing.put if size else standing.lift
                    tell(target, "press", {"command": "press", "bytes": size})
            case "disk_full" if fault.role in SERVERS:
                for target in targets:
                    full = bool(self._of(fault.type, target))
                    tell = standing.put if full else standing.lift
                    tell(target, "disk", {"command": "disk", "full": full})
            case "disk_full":
                self._full += sign
                full, server = bool(self._full), self._parts.redis
                assert server is not None, "a registry of the user's was to refuse what writes"
                self._in_thread(lambda: server.refuse_writes(full))
            case "descriptor_limit":
                limits = [int(one.number("limit")) for one in self._of(fault.type, "proxy")]
                tell = standing.put if limits else standing.lift
                tell("proxy", "descriptors", {"command": "descriptors", "limit": min(limits, default=-1)})
            case _:
                self._turn_clocks(targets, sign * int(fault.number("by")))

    def _of(self, kind: str, target: int | str) -> list[FaultSpec]:
        return [one for one in self._active.on(target) if one.type == kind]

    def _turn_clocks(self, targets: Targets, by: int) -> None:
        standing = self._parts.standing
        for target in targets:
            self._clocks[target] += by
            tell = standing.put if self._clocks[target] else standing.lift
            tell(target, "clock", {"command": "clock", "by": self._clocks[target]})

    def _in_thread(self, call: Callable[[], None]) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(call))
        self._telling.add(work)
        work.add_done_callback(self._telling.discard)
