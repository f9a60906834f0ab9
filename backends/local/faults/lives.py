"""Faults of servers that end, or should have: crash_loop, zombie, spot_interruption."""

import asyncio
import signal

from ....core.fault_family import Combining, Targets
from ....core.lifecycle import READY, State
from ....core.model import SECOND, FaultSpec
from ..instances import Instance
from .family import FlightFamily
from .parts import Parts


class LifeFaults(Combining, FlightFamily):
    """Implements Family: the commands ``crash_loop`` and ``unlisted`` to servers; an instance that the cloud wants back is ended by SIGKILL."""

    types = frozenset({"crash_loop", "zombie", "spot_interruption"})
    momentary = frozenset({"spot_interruption"})

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts
        self._leaving: set[int] = set()
        self._notices: set[asyncio.Task[None]] = set()

    def _apply(self, fault: FaultSpec, targets: Targets) -> None:
        if fault.type != "spot_interruption":
            self._tell(fault.type, targets)
            return
        for target in targets:
            task = asyncio.ensure_future(self._interrupt(fault, self._instance(target)))
            self._notices.add(task)
            task.add_done_callback(self._notices.discard)

    def stop(self) -> None:
        """What is under way is called off: whoever has not been ended by its notice is not."""
        for task in self._notices:
            task.cancel()

    def _instance(self, target: int | str) -> Instance:
        return self._parts.instances.by_number[int(target)]

    def _tell(self, kind: str, targets: Targets) -> None:
        for target in targets:
            active = self._active.of(kind, target)
            if kind == "zombie":
                self._unlist(target, bool(active) or target in self._leaving)
                continue
            tell = self._parts.standing.put if active else self._parts.standing.lift
            lives, restart = (int(active[-1].number(name)) if active else 0 for name in ("lives", "restart"))
            tell(target, kind, {"command": kind, "on": bool(active), "lives": lives, "restart": restart})

    def _unlist(self, target: int | str, out: bool) -> None:
        tell = self._parts.standing.put if out else self._parts.standing.lift
        tell(target, "unlisted", {"command": "unlisted", "out": out})

    async def _interrupt(self, fault: FaultSpec, instance: Instance) -> None:
        """The cloud takes an instance back, after its notice."""
        parts, notice = self._parts, int(fault.number("notice"))
        parts.emit("spot_notice", {"server": instance.number, "until": parts.instances.now() + notice})
        if fault.word("handler") == "drain":
            self._leaving.add(instance.number)
            self._unlist(instance.number, True)
            if instance.state in READY:
                parts.instances.drained(instance.number)
                parts.emit("draining", {"server": instance.number})
        await asyncio.sleep(notice / SECOND)
        if instance.state == State.GONE:
            return
        parts.reasons[instance.provider_id] = "spot interruption"
        parts.cloud.reclaim(instance.provider_id)
        if instance.process is not None:
            instance.process.signal(signal.SIGKILL)
