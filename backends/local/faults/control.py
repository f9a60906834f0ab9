"""Faults of the control plane: autoscaler_crash, autoscaler_pause, second_autoscaler, monitor_silent, monitor_stuck."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from ....core.fault_family import Targets
from ....core.model import NONE, FaultSpec
from ..process import RoleProcess
from ..roles import Lasting
from .family import FlightFamily
from .parts import Parts


class ControlFaults(FlightFamily):
    """Implements Family: the autoscaler's process is killed and kept away, or stopped; another one is started beside it; the command ``monitors`` to servers."""

    types = frozenset(
        {"autoscaler_crash", "autoscaler_pause", "second_autoscaler", "monitor_silent", "monitor_stuck"}
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._troubles = parts.troubles
        self._crashes = 0
        self._hanging: dict[str, RoleProcess] = {}
        self._others: dict[str, Lasting] = {}
        self._working: set[asyncio.Future[None]] = set()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            self._crashes += 1
            if self._parts.scaler is not None:
                self._parts.scaler.strike(NONE)
            return
        if fault.type == "autoscaler_pause":
            self._stop(fault.name)
            return
        if fault.type == "second_autoscaler":
            self._add(fault)
            return
        counter = self._troubles.silent if fault.type == "monitor_silent" else self._troubles.stuck
        counter.update(targets)
        self._tell(targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            self._crashes -= 1
            if self._parts.scaler is not None and not self._crashes:
                self._parts.scaler.recall()
            return
        if fault.type == "autoscaler_pause":
            self._go_on(fault.name)
            return
        if fault.type == "second_autoscaler":
            other = self._others.pop(fault.name)
            if other.process.pid:
                other.process.signal(signal.SIGKILL)
            self._spawn(other.end())
            return
        counter = self._troubles.silent if fault.type == "monitor_silent" else self._troubles.stuck
        counter.subtract(targets)
        self._tell(targets)

    def _stop(self, name: str) -> None:
        scaler = self._parts.scaler
        if scaler is None or scaler.process.returncode is not None:
            return
        self._hanging[name] = scaler.process
        self._parts.guardian.hold(scaler.process.pid)
        scaler.process.signal(signal.SIGSTOP)

    def _go_on(self, name: str) -> None:
        # A process that has come in its place never hung.
        process = self._hanging.pop(name, None)
        if process is not None and process not in self._hanging.values():
            process.signal(signal.SIGCONT)
            self._parts.guardian.release(process.pid)

    def _add(self, fault: FaultSpec) -> None:
        spec = self._parts.fleet.autoscaler
        assert spec is not None, "an autoscaler beside one that is not there"
        apart = f"{fault.name}:" if fault.word("lease") == "none" else ""
        offset = int(fault.number("offset")) or spec.interval // 2
        other = self._others[fault.name] = self._parts.second(f"second {fault.name}", apart, offset)
        self._spawn(_started(other))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _tell(self, targets: Targets) -> None:
        standing = self._parts.standing
        for target in targets:
            silent, stuck = bool(self._troubles.silent[target]), bool(self._troubles.stuck[target])
            tell = standing.put if silent or stuck else standing.lift
            tell(target, "monitors", {"command": "monitors", "silent": silent, "stuck": stuck})


async def _started(role: Lasting) -> None:
    await role.start()
