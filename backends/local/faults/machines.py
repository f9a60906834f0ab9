"""Faults of machines: memory_pressure, disk_full, descriptor_limit, clock_skew, clock_jump. (A hog is among what slows servers down: see ``servers``.)"""

import asyncio
from collections.abc import Callable

from ....core.fault_family import Clocks, Combining, Targets
from ....core.faults import SERVERS
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts


class MachineFaults(Combining, FlightFamily):
    """Implements Family: the commands ``press`` and ``disk`` to servers, ``descriptors`` to the proxy, ``clock`` to servers and autoscaler; a registry of our own is told to refuse what writes."""

    types = frozenset({"memory_pressure", "disk_full", "descriptor_limit", "clock_skew", "clock_jump"})
    momentary = frozenset({"clock_jump"})

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        self._clocks = Clocks(self._active)
        self._telling: set[asyncio.Future[None]] = set()

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        standing, in_force = self._parts.standing, self._active.of
        match fault.type:
            case "memory_pressure":
                for target in targets:
                    size = sum(int(one.number("size")) for one in in_force(fault.type, target))
                    tell = standing.put if size else standing.lift
                    tell(target, "press", {"command": "press", "bytes": size})
            case "disk_full" if fault.role in SERVERS:
                for target in targets:
                    full = bool(in_force(fault.type, target))
                    tell = standing.put if full else standing.lift
                    tell(target, "disk", {"command": "disk", "full": full})
            case "disk_full":
                full, server = bool(in_force(fault.type, "registry")), self._parts.redis
                assert server is not None, "a registry of the user's was to refuse what writes"
                self._in_thread(lambda: server.refuse_writes(full))
            case "descriptor_limit":
                limits = [int(one.number("limit")) for one in in_force(fault.type, "proxy")]
                tell = standing.put if limits else standing.lift
                tell("proxy", "descriptors", {"command": "descriptors", "limit": min(limits, default=-1)})
            case _:
                for target in targets:
                    if fault.type == "clock_jump":
                        self._clocks.jump(target, int(fault.number("by")))
                    by = self._clocks.ahead(target)
                    tell = standing.put if by else standing.lift
                    tell(target, "clock", {"command": "clock", "by": by})

    def _in_thread(self, call: Callable[[], None]) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(call))
        self._telling.add(work)
        work.add_done_callback(self._telling.discard)
