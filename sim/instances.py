"""The instances of a rehearsal: their lives from launch to gone, and what they cost."""

from dataclasses import dataclass

from ..core.lifecycle import ALIVE, State, move
from ..core.ports import CloudInstance


@dataclass(slots=True)
class Instance:
    """One instance; times in ns, -1: not yet."""

    cloud: CloudInstance
    state: State
    launched: int
    ready: int = -1
    gone: int = -1
    version: int = 0
    """Index of what it runs, or is about to."""
    joins: bool = True
    """Whether it registers itself when it has booted."""
    up: int = -1
    """Since when its process is up."""
    life: int = 0
    """Another number with each process, and when one is ended for an update: what was planned for the one before is void."""

    restarts: int = 0
    """Another number whenever a process begins there, or is ended to be begun again."""

    def restarting(self) -> int:
        """The process has been ended to be begun again, by whoever was told :attr:`restarts` as it is by then: nobody has come in between."""
        self.restarts += 1
        return self.restarts

    @property
    def number(self) -> int:
        """Our number."""
        return self.cloud.number

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.cloud.address

    def is_in(self, *states: State) -> bool:
        """Whether it is in one of *states* now."""
        return self.state in states

    def become(self, state: State) -> None:
        """Move to *state* by the table."""
        self.state = move(self.number, self.state, state)
        if state not in ALIVE:
            self.up = -1


class Instances:
    """All instances that ever were in this run, by number; and those of them that are not gone."""

    def __init__(self) -> None:
        self.by_number: dict[int, Instance] = {}
        self._present: dict[int, Instance] = {}

    def add(self, cloud: CloudInstance, now: int) -> Instance:
        """A launch was granted."""
        assert cloud.number not in self.by_number, f"instance {cloud.number} launched twice"
        made = Instance(cloud, State.PENDING, now)
        self.by_number[cloud.number] = self._present[cloud.number] = made
        return made

    def present(self) -> list[Instance]:
        """Those that are not gone, by number."""
        for number in [number for number, one in self._present.items() if one.state == State.GONE]:
            del self._present[number]
        return [one for _, one in sorted(self._present.items())]

    def at(self, address: str) -> Instance:
        """The instance at *address* (addresses are never used again)."""
        return next(one for one in self.by_number.values() if one.address == address)

    def in_state(self, *states: State) -> list[Instance]:
        """Those in any of *states*, by number."""
        return [one for one in self.present() if one.state in states]

    def paid_ns(self, end: int) -> int:
        """Instance time from launch to gone (or *end*), summed, in ns."""
        return sum((one.gone if one.gone >= 0 else end) - one.launched for one in self.by_number.values())
