"""Remedies against low memory in the rehearsal: nothing is run, and what the scenario says of it happens to the model."""

from typing import TYPE_CHECKING

from ..core.lifecycle import ALIVE
from ..core.model import SECOND
from ..core.order import Kind
from ..core.remedy import Free, RemedySpec, RemedyWatch, Restart
from .instances import Instance

if TYPE_CHECKING:
    from .control import ControlPlane, Process

_END = 1 << 25
_BACK = 1 << 26
"""Above every instance number, and what else is due with the monitors: the entities of what happens to a server's remedy."""


class Remedies:
    """One for all servers. A server that dies, or is ended, takes its remedy with it."""

    def __init__(self, spec: RemedySpec, control: "ControlPlane") -> None:
        self._spec = spec
        self._control = control
        self._watches: dict[int, RemedyWatch] = {}

    def look(self, instance: Instance, memory: int) -> None:
        """The monitor of an instance that is up has seen *memory* bytes. One that hangs, or is silent, judges nothing."""
        control, number = self._control, instance.number
        if control.troubles.paused.get(number) or control.troubles.silent.get(number):
            return
        watch = self._watches.setdefault(number, RemedyWatch(self._spec))
        if watch.due(control.timeline.now(), memory / control.fleet.app.memory.total):
            control.emit("remedy_started", {"server": number, "memory": memory})
            control.timeline.env.process(self._run(instance, watch))

    def _run(self, instance: Instance, watch: RemedyWatch) -> "Process":
        control, number = self._control, instance.number
        timeline = control.timeline
        yield timeline.until(timeline.now() + self._spec.takes, Kind.MONITOR, _END + number)
        while control.troubles.paused.get(number):
            # What hangs does not hear of its end.
            yield timeline.until(timeline.now() + SECOND, Kind.MONITOR, _END + number)
        if not instance.is_in(*ALIVE):
            return
        watch.ended(timeline.now(), True)
        control.emit("remedy_ended", {"server": number, "status": 0, "timed_out": False})
        match self._spec.effect:
            case Free(share):
                control.plane.free(number, share)
            case Restart(away):
                yield from self._restart(instance, away)

    def _restart(self, instance: Instance, away: int) -> "Process":
        control, number = self._control, instance.number
        lost = control.plane.stop(number)
        turn = instance.restarting()
        control.emit("restarting", {"server": number, "lost": lost})
        yield control.timeline.until(control.timeline.now() + away, Kind.MONITOR, _BACK + number)
        yield from control.until_writable(number, Kind.MONITOR, _BACK + number)
        if instance.is_in(*ALIVE) and instance.restarts == turn:
            control.reboot(instance)
