"""Faults of processes: kill, pause, slow, memory_leak, error."""

from ...core.fault_family import Active, Slowness, Targets, worst_error
from ...core.lifecycle import State
from ...core.model import SECOND, FaultSpec
from ..control import ControlPlane


class ServerFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self._plane = control.plane
        self._active = Active()
        self.slowness = Slowness(self._apply)
        """Of servers and proxy, by all causes."""
        self._hanging: dict[tuple[str, int], int] = {}

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "kill":
            self._kill(fault, targets)
            return
        self._active.add(fault, targets)
        self._apply_all(targets)
        if fault.type == "pause":
            for number in _numbers(targets):
                self._plane.pause(number)
                self._control.troubles.paused[number] += 1
                self._hanging[fault.name, number] = self._life(number)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        self._active.remove(fault)
        self._apply_all(targets)
        if fault.type == "pause":
            for number in _numbers(targets):
                # A process that has come in its place never hung.
                if self._hanging.pop((fault.name, number)) == self._life(number):
                    self._plane.resume(number)
                    self._control.troubles.paused[number] -= 1

    def _life(self, number: int) -> int:
        return self._control.instances.by_number[number].life

    def leak(self, fault: FaultSpec, targets: Targets, length: int) -> None:
        """The memory of *length* ns is lost."""
        for number in _numbers(targets):
            self._plane.leak(number, int(fault.number("rate") * length / SECOND))

    def _kill(self, fault: FaultSpec, targets: Targets) -> None:
        if targets == ["proxy"]:
            self._plane.kill_proxy(fault.name)
            return
        for number in _numbers(targets):
            instance = self._control.instances.by_number[number]
            lost = self._plane.stop(number)
            instance.become(State.FAILED)
            self._control.emit("killed", {"server": number, "lost": lost})

    def _apply_all(self, targets: Targets) -> None:
        for target in targets:
            self._apply(target)

    def _apply(self, target: int | str) -> None:
        """Slowness multiplies; of several that make errors the worst counts."""
        active = self._active.on(target)
        factor = self.slowness.of(target, (one for one in active if one.type == "slow"))
        if target == "proxy":
            self._plane.disturb_proxy(factor)
            return
        share, status = worst_error(active)
        self._plane.disturb_server(int(target), factor, share, status)


def _numbers(targets: Targets) -> list[int]:
    return [target for target in targets if isinstance(target, int)]
