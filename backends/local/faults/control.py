"""Faults of the control plane: autoscaler_crash, autoscaler_pause, second_autoscaler, monitor_silent, monitor_stuck."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from ....core.fault_family import Targets
from ....core.model import NONE, FaultSpec
from ...autoscaler.halts import DECIDED, LAUNCHED
from ..process import Line, RoleProcess
from ..roles import Lasting
from .family import FlightFamily
from .parts import Parts


class ControlFaults(FlightFamily):
    """Implements Family: the autoscaler's process is killed and kept away, or stopped; another one is started beside it; the command ``monitors`` to servers.

    To be struck in the middle of a turn it is told to wait there for our word (``halt``, ``halted``, ``go_on``): it is stopped or killed while it does.
    """

    types = frozenset(
        {"autoscaler_crash", "autoscaler_pause", "second_autoscaler", "monitor_silent", "monitor_stuck"}
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._troubles = parts.troubles
        self._crashes = 0
        self._armed: list[str] = []
        self._catching: dict[str, RoleProcess] = {}
        self._halts: dict[RoleProcess, int] = {}
        self._hanging: dict[str, RoleProcess] = {}
        self._others: dict[str, Lasting] = {}
        self._working: set[asyncio.Future[None]] = set()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "autoscaler_crash":
            if fault.word("during"):
                self._armed.append(fault.name)
                self._parts.standing.put("autoscaler", LAUNCHED, _halt(LAUNCHED, True))
            else:
                self._crash(1)
            return
        if fault.type == "autoscaler_pause":
            if fault.word("caught") == "deciding":
                self._catch(fault.name)
            else:
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
            self._return(fault.name)
            return
        if fault.type == "autoscaler_pause":
            self._let_go(fault.name)
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

    def halted(self, process: RoleProcess, at: str, halt: int) -> None:
        """The autoscaler's *process* waits for our word at a point of its turn."""
        self._halts[process] = halt
        if at == LAUNCHED and self._armed:
            died, self._armed = len(self._armed), []
            self._parts.standing.lift("autoscaler", LAUNCHED, _halt(LAUNCHED, False))
            self._crash(died)
            return
        caught = [name for name, one in self._catching.items() if one is process and at == DECIDED]
        for name in caught:
            self._stop(name)
        if not caught:
            self._release(process)

    def _crash(self, times: int) -> None:
        self._crashes += times
        if self._parts.scaler is not None:
            self._parts.scaler.strike(NONE)

    def _return(self, name: str) -> None:
        """It comes back, unless it never died of what waited for a launch."""
        if name in self._armed:
            self._armed.remove(name)
            if not self._armed:
                self._parts.standing.lift("autoscaler", LAUNCHED, _halt(LAUNCHED, False))
            return
        self._crashes -= 1
        if self._parts.scaler is not None and not self._crashes:
            self._parts.scaler.recall()

    def _catch(self, name: str) -> None:
        """It is to hang in the middle of its next turn; a process that comes in its place is not."""
        scaler = self._parts.scaler
        if scaler is not None and scaler.process.returncode is None:
            self._catching[name] = scaler.process
            scaler.process.send(_halt(DECIDED, True))

    def _let_go(self, name: str) -> None:
        process = self._catching.pop(name, None)
        if process is not None and process not in self._catching.values():
            process.send(_halt(DECIDED, False))

    def _release(self, process: RoleProcess) -> None:
        if process in self._halts:
            process.send({"command": "go_on", "halt": self._halts.pop(process)})

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
            self._release(process)
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


def _halt(at: str, on: bool) -> Line:
    return {"command": "halt", "at": at, "on": on}


async def _started(role: Lasting) -> None:
    await role.start()
