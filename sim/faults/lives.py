"""Faults of servers that end, or should have: crash_loop, zombie, spot_interruption."""

from contextlib import suppress

from ...core.fault_family import Targets
from ...core.lifecycle import ALIVE, READY, State
from ...core.model import FaultSpec
from ...core.order import Kind
from ...core.ports import RegistryError
from ..control import LATER, ControlPlane, Process
from ..instances import Instance

LIVES = frozenset({"crash_loop", "zombie", "spot_interruption"})
_AGAIN, _NOTICE = 5 * LATER, 6 * LATER
"""Entities of what is due with boots: a supervisor's next step, and the end of a notice."""


class LifeFaults:
    """Implements Family."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self._looping: set[str] = set()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        instances = self._instances(targets)
        if fault.type == "crash_loop":
            self._looping.add(fault.name)
        for instance in instances:
            if fault.type == "crash_loop":
                self._control.timeline.env.process(self._loop(fault, instance))
            elif fault.type == "zombie":
                self._control.troubles.unlisted[instance.number] += 1
                # Whoever took it out of the lists could; if nobody can write just now it stays there.
                with suppress(RegistryError):
                    self._control.registry.deregister(instance.address)
            else:
                self._control.timeline.env.process(self._interrupt(fault, instance))

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if fault.type == "crash_loop":
            self._looping.discard(fault.name)
            return
        for instance in self._instances(targets):
            number = instance.number
            self._control.troubles.unlisted[number] -= 1
            if instance.is_in(*READY) and self._control.troubles.joins(number):
                self._control.register(instance)

    def _instances(self, targets: Targets) -> list[Instance]:
        return [self._control.instances.by_number[int(target)] for target in targets]

    def _loop(self, fault: FaultSpec, instance: Instance) -> Process:
        """The supervisor of a process that dies again and again; a deploy that exchanges it ends that."""
        control, number = self._control, instance.number
        timeline, life = control.timeline, instance.life
        while fault.name in self._looping and instance.is_in(*ALIVE) and instance.life == life:
            lost = control.plane.stop(number)
            turn = instance.restarting()
            control.emit("restarting", {"server": number, "lost": lost})
            yield timeline.until(timeline.now() + int(fault.number("restart")), Kind.READY, _AGAIN + number)
            yield from control.until_writable(number, Kind.READY, _AGAIN + number)
            if not instance.is_in(*ALIVE) or instance.restarts != turn:
                return
            control.reboot(instance)
            yield timeline.until(timeline.now() + int(fault.number("lives")), Kind.READY, _AGAIN + number)

    def _interrupt(self, fault: FaultSpec, instance: Instance) -> Process:
        """The cloud takes an instance back, after its notice."""
        control, number = self._control, instance.number
        end = control.timeline.now() + int(fault.number("notice"))
        control.emit("spot_notice", {"server": number, "until": end})
        if fault.word("handler") == "drain":
            control.troubles.unlisted[number] += 1
            with suppress(RegistryError):
                control.registry.deregister(instance.address)
                if instance.is_in(*READY):
                    instance.become(State.DRAINING)
                    control.emit("draining", {"server": number})
        yield control.timeline.until(end, Kind.READY, _NOTICE + number)
        if not instance.is_in(State.GONE):
            control.reclaim(number, "spot interruption")
