"""Commands of faults to live roles: those that hold are told again to whatever process takes a role's place."""

from collections import defaultdict
from collections.abc import Iterable

from ..process import Line, RoleProcess

Whom = int | str
"""An app server by number, every process of a role by the role's name (``app``, ``proxy``, ``autoscaler``, ``second``, ``load``, ``dependencies``)."""


class Standing:
    """Knows the processes of a flight from the moment at which they start."""

    def __init__(self) -> None:
        self._commands: dict[str, dict[str, Line]] = defaultdict(dict)
        self._processes: dict[str, list[RoleProcess]] = defaultdict(list)

    def greet(self, process: RoleProcess) -> None:
        """A process has been started: it is told all that holds for it, before anything else."""
        for name in _names(process):
            self._processes[name] = [one for one in self._processes[name] if one.returncode is None]
            self._processes[name].append(process)
            for command in self._commands[name].values():
                process.send(command)

    def put(self, whom: Whom, topic: str, command: Line) -> None:
        """From now on *command* holds for *whom*, in place of what was said on this *topic* before."""
        self._commands[_name(whom)][topic] = command
        self.say(whom, command)

    def lift(self, whom: Whom, topic: str, command: Line) -> None:
        """Nothing holds on this *topic* any more; *command* says so to those who were told."""
        self._commands[_name(whom)].pop(topic, None)
        self.say(whom, command)

    def say(self, whom: Whom, command: Line) -> None:
        """Send *command* once, to those that are there now."""
        for process in self._processes[_name(whom)]:
            process.send(command)


def _name(whom: Whom) -> str:
    return f"app-{whom}" if isinstance(whom, int) else whom


def _names(process: RoleProcess) -> Iterable[str]:
    """What a process is called by: its role, and an app server by its number too. An autoscaler beside the fleet's own is not the one that faults of the autoscaler are about."""
    if process.role == "autoscaler" and process.label != process.role:
        return ("second",)
    return dict.fromkeys((process.role, process.label if process.role == "app" else process.role))
