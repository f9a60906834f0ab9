"""How a role reaches the registry now: what faults do to its way there, as core.troubles has it for the rehearsal.

Whoever asks is refused, waits for an answer that does not come, or gets it later. Exchanges that follow each other at once are one: a turn, a beat or a refresh is late
once, as in the rehearsal, however many commands it takes.
"""

import threading
import time

from ..core.model import SECOND
from ..core.ports import RegistryError
from ..core.troubles import REGISTRY_TIMEOUT, Troubles

AT_ONCE = SECOND // 20
"""An exchange that begins so soon (ns) after this thread's last one belongs to it."""

GIVES_UP = 0.9 * REGISTRY_TIMEOUT / SECOND
"""Seconds that who gets no answer waits: a little less than the timeout, so that what is done each second is not done every other second."""

Whom = int | str


class Reach:
    """The way of *who*, by *troubles* (its own unless given: a role's, which the conductor tells of by commands)."""

    def __init__(self, who: Whom, troubles: Troubles | None = None) -> None:
        self._who = who
        self._troubles = troubles or Troubles()
        self._local = threading.local()
        self._ended = threading.Event()
        self.replica = ""
        """URL of the replica that is to be read instead of the registry; empty: none."""

    def obey(self, command: object) -> bool:
        """Whether *command* is about the way to the registry: ``registry`` (down, latency in ns), ``cut`` (cut), ``stale`` (url of a replica, or nothing)."""
        match command:
            case {"command": "registry", "down": bool(down), "latency": int(latency)}:
                self._troubles.registry_down, self._troubles.registry_latency = int(down), latency
            case {"command": "cut", "cut": bool(cut)}:
                self._troubles.cut[self._who] = int(cut)
            case {"command": "stale", "url": str(url)}:
                self.replica = url
            case _:
                return False
        return True

    def exchange(self) -> None:
        """Before each exchange; it takes as long as the trouble makes it. Raises RegistryError."""
        now = time.monotonic_ns()
        follows = now - getattr(self._local, "last", -SECOND) < AT_ONCE
        try:
            self._troubles.reach_registry(self._who)
        except RegistryError:
            if not self._troubles.registry_down:
                self._ended.wait(GIVES_UP)
            raise
        if not follows and self._troubles.registry_latency > 0:
            self._ended.wait(self._troubles.registry_latency / SECOND)
        self._local.last = time.monotonic_ns()

    def end(self) -> None:
        """Nobody waits any more: the role ends."""
        self._ended.set()
