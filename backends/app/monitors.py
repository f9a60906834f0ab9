"""What the monitors of an app server show, as faults would have it: nothing, or the same again and again, by a wrong clock, beside what else computes there."""

from ...core.model import SECOND
from ...core.troubles import Hogs
from .observation import Observation


class Monitors:
    """Commands come from the loop's thread, observations from the monitors'."""

    def __init__(self) -> None:
        self.silent = False
        self._ahead = 0
        self._hogs = Hogs()
        self._share = 0.0
        self._held = 0.0
        self._stuck = False
        self._last: Observation | None = None

    def obey(self, command: object) -> bool:
        """Whether *command* is about them: ``monitors`` (silent, stuck), ``clock`` (by, in ns), ``hog`` (share of the cores)."""
        match command:
            case {"command": "monitors", "silent": bool(silent), "stuck": bool(stuck)}:
                self.silent, self._stuck = silent, stuck
                return True
            case {"command": "clock", "by": int(by)}:
                self._ahead = by
                return True
            case {"command": "hog", "share": float() | int() as share}:
                self._share = float(share)
                return True
        return False

    def clock(self, time: int) -> int:
        """What the machine's clock shows at *time* (ns)."""
        return time + self._ahead

    def cpu(self, used: int, cores: int, now: int) -> int:
        """CPU time (ns) that is seen of the last second, in which the server's own work was under way for *used*."""
        if self._share != self._held:
            # Held since some time in this second; which one does not matter to who looks once a second.
            self._held = self._share
            self._hogs.hold(0, self._held, now - SECOND)
        return self._hogs.seen(0, used, cores, now)

    def shown(self, seen: Observation) -> Observation:
        """What they say that they see when they see *seen*: if they are stuck, what they saw last before."""
        if not self._stuck or self._last is None:
            self._last = seen
        return self._last
