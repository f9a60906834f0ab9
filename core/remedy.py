"""A remedy against low memory: a command that an app server runs when its own memory sample is too high, and what that is taken to do in the model.

Theory of operation
-------------------
A :class:`RemedyWatch` is shown each sample of one server's memory, as a share of its limit. The remedy is due when a sample is strictly above ``above``.
After one that succeeded there is no other until a sample has been at or below ``clear`` (hysteresis); after one that failed the same is tried again. Between
the end of one and the begin of the next there is at least ``cooldown``, and there is never more than one at a time.

What a program really does to memory nobody can rehearse: the scenario says it (:class:`Restart`, :class:`Free`), or nothing is taken to happen.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Restart:
    """The process ends with all that it has in flight, and serves again *away* ns later with nothing leaked."""

    away: int
    kind: Literal["restart"] = "restart"


@dataclass(frozen=True, slots=True)
class Free:
    """The *share* of what was leaked is given back."""

    share: float
    kind: Literal["free"] = "free"


Effect = Restart | Free
"""What a remedy that succeeded does to a modelled server; told apart by ``kind``, also in JSON."""


@dataclass(frozen=True, slots=True)
class RemedySpec:
    """The *command* (in flight), when it is due (shares of the memory limit; see the module), how long it may take and, in a rehearsal, *takes* (ns)."""

    command: tuple[str, ...]
    above: float
    clear: float
    timeout: int
    cooldown: int
    takes: int = 0
    effect: Restart | Free | None = None


class RemedyWatch:
    """Says when the remedy of one server is due."""

    def __init__(self, spec: RemedySpec) -> None:
        self._spec = spec
        self._armed = True
        self._running = False
        self._not_before = 0

    def due(self, now: int, share: float) -> bool:
        """Whether the remedy begins at *now* (ns), when the sample says *share*. It is under way then, until :meth:`ended`."""
        if share <= self._spec.clear:
            self._armed = True
        if self._running or not self._armed or now < self._not_before or share <= self._spec.above:
            return False
        self._armed, self._running = False, True
        return True

    def ended(self, now: int, succeeded: bool) -> None:
        """The remedy under way is over."""
        self._running = False
        self._not_before = now + self._spec.cooldown
        self._armed = self._armed or not succeeded


def given_back(leaked: int, share: float) -> int:
    """Bytes that a remedy frees of *leaked* ones; of none, none."""
    return int(max(leaked, 0) * share)
