"""What the monitors of an app server show, as faults would have it: nothing, or the same again and again."""

from .observation import Observation


class Monitors:
    """Commands come from the loop's thread, observations from the monitors'."""

    def __init__(self) -> None:
        self.silent = False
        self._stuck = False
        self._last: Observation | None = None

    def obey(self, command: object) -> bool:
        """Whether *command* is about them: ``monitors`` (silent, stuck)."""
        match command:
            case {"command": "monitors", "silent": bool(silent), "stuck": bool(stuck)}:
                self.silent, self._stuck = silent, stuck
                return True
        return False

    def shown(self, seen: Observation) -> Observation:
        """What they say that they see when they see *seen*: if they are stuck, what they saw last before."""
        if not self._stuck or self._last is None:
            self._last = seen
        return self._last
