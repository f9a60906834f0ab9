"""Points within a turn at which the autoscaler waits for the conductor's word, if it was told to: so that what strikes its process there strikes it just there.

The conductor stops or kills the process while it waits, or lets it go on. A role whose conductor is gone goes on, and ends.
"""

import threading

from ..live.role import Command, RoleLink

DECIDED = "decided"
"""A turn's decision is made, and nothing of it carried out."""

LAUNCHED = "launched"
"""The cloud has granted a launch, and that is not noted."""


class Halts:
    """Commands ``halt`` (at, on) and ``go_on`` (halt: which one), and the status ``halted`` (at, halt) in between. Commands come in a thread of their own."""

    def __init__(self, link: RoleLink) -> None:
        self._link = link
        self._armed: set[str] = set()
        self._number = self._released = 0
        self._moved = threading.Condition()

    def obey(self, command: Command) -> bool:
        """Whether *command* is about them."""
        match command:
            case {"command": "halt", "at": str(at), "on": bool(on)}:
                (self._armed.add if on else self._armed.discard)(at)
                return True
            case {"command": "go_on", "halt": int(number)}:
                self.wake(number)
                return True
        return False

    def wake(self, number: int = 0) -> None:
        """Halt *number* is over; or the role is to end, which ends any."""
        with self._moved:
            self._released = max(self._released, number)
            self._moved.notify_all()

    def reach(self, at: str) -> bool:
        """The turn has come to *at*: whether it was held up there."""
        if at not in self._armed:
            return False
        self._number += 1
        self._link.status("halted", {"at": at, "halt": self._number})
        with self._moved:
            self._moved.wait_for(lambda: self._released >= self._number or self._link.stopping.is_set())
        return True
