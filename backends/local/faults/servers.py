"""Faults of processes: kill, pause, slow, memory_leak, error; and cpu_hog."""

import signal
from collections import Counter
from math import prod

from ....core.fault_family import MOST_SLOWNESS, Active, Targets, slowness, worst_error
from ....core.model import SECOND, FaultSpec
from ..process import RoleProcess
from .family import FlightFamily
from .parts import Parts

LASTING = frozenset({"slow", "error", "cpu_hog"})
"""What the command ``disturb`` says of a server."""


class ServerFaults(FlightFamily):
    """Implements Family: signals to processes, and the commands ``disturb`` and ``hog`` (to the proxy ``slow``).

    The cores of a flown server are a model of the scenario's, not of this machine: so is what else holds them.
    """

    types = frozenset({"kill", "pause", "slow", "memory_leak", "error", "cpu_hog"})

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._active = Active()
        self._hanging: dict[tuple[str, int], RoleProcess] = {}
        self._stops: Counter[RoleProcess] = Counter()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "kill":
            self._kill(fault, targets)
            return
        self._active.add(fault, targets)
        if fault.type in LASTING:
            self._apply(targets)
        if fault.type == "pause":
            for number in _numbers(targets):
                self._stop(fault.name, number)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._active.remove(fault)
        if fault.type in LASTING:
            self._apply(targets)
        if fault.type == "pause":
            for number in _numbers(targets):
                self._go_on(fault.name, number)

    def leak(self, fault: FaultSpec, targets: Targets, length: int) -> None:
        """The memory of *length* ns is lost."""
        size = int(fault.number("rate") * length / SECOND)
        for number in _numbers(targets):
            self._parts.standing.say(number, {"command": "leak", "bytes": size})

    def _stop(self, name: str, number: int) -> None:
        process = self._parts.instances.by_number[number].process
        if process is None or process.returncode is not None:
            return
        self._hanging[name, number] = process
        self._stops[process] += 1
        self._parts.guardian.hold(process.pid)
        process.signal(signal.SIGSTOP)

    def _go_on(self, name: str, number: int) -> None:
        # A process that has come in its place never hung.
        process = self._hanging.pop((name, number), None)
        if process is None:
            return
        self._stops[process] -= 1
        if not self._stops[process]:
            process.signal(signal.SIGCONT)
            self._parts.guardian.release(process.pid)

    def _kill(self, fault: FaultSpec, targets: Targets) -> None:
        if targets == ["proxy"]:
            if self._parts.proxy.is_up:
                self._parts.strike_proxy(fault.name, self._parts.fleet.proxy.restart_after)
            return
        for number in _numbers(targets):
            process = self._parts.instances.by_number[number].process
            if process is not None:
                process.signal(signal.SIGKILL)

    def _apply(self, targets: Targets) -> None:
        standing = self._parts.standing
        for target in targets:
            active = self._active.on(target)
            left = prod((1.0 - one.number("share") for one in active if one.type == "cpu_hog"), start=1.0)
            factor = min(slowness(one for one in active if one.type == "slow") / left, MOST_SLOWNESS)
            share, status = worst_error(active)
            tell = standing.put if factor != 1.0 or share > 0.0 else standing.lift
            if target == "proxy":
                tell("proxy", "slow", {"command": "slow", "factor": factor})
            else:
                hold = standing.put if left < 1.0 else standing.lift
                hold(target, "hog", {"command": "hog", "share": 1.0 - left})
                tell(target, "disturb", {"command": "disturb", "factor": factor, "share": share, "status": status})  # fmt: skip


def _numbers(targets: Targets) -> list[int]:
    return [target for target in targets if isinstance(target, int)]
