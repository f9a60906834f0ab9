"""What a policy sees and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerView:
    """One serving server; *metrics* is None when its sample is missing or too old (unknown, never idle)."""

    address: str
    metrics: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class FleetView:
    """The serving servers, and how many more are booting."""

    servers: tuple[ServerView, ...]
    booting: int

    @property
    def size(self) -> int:
        """Servers that serve or are about to."""
        return len(self.servers) + self.booting

    @property
    def known(self) -> tuple[Mapping[str, float], ...]:
        """The metrics of the servers that have any."""
        return tuple(s.metrics for s in self.servers if s.metrics is not None)

    @property
    def unknown(self) -> int:
        """How many servers have no usable sample."""
        return len(self.servers) - len(self.known)


@dataclass(frozen=True, slots=True)
class Proposal:
    """How many servers (serving and booting) there should be, and why, in a word or a few."""

    desired: int
    reason: str
