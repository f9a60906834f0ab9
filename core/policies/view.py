"""What a policy sees, what it remembers and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, Protocol

SECOND = 1_000_000_000
"""In ns. (core.model imports the policies, which cannot have its own.)"""

Memory = Mapping[str, tuple[float, ...]]
"""What a policy must know of earlier turns: named series of numbers. Times are whole ns. It survives a crash of the autoscaler."""

NOTHING: Memory = MappingProxyType({})

UNLIMITED = -1
"""A bound that is none."""

LONG_AGO = -1
"""The time since which a server serves that was there before the autoscaler looked."""


Limit = Literal["cooldown", "maximum"]
"""A limit of the autoscaler that a proposal can waive."""


@dataclass(frozen=True, slots=True)
class ServerView:
    """One serving server; *metrics* is None when its sample is missing or too old (unknown, never idle).

    *since*: when it became ready (ns, or LONG_AGO). *sampled*: the sample's time (ns, -1: none, or it bears none). *number*: the
    instance's, for whoever asks why (0: none of ours).
    """

    address: str
    metrics: Mapping[str, float] | None
    since: int = LONG_AGO
    sampled: int = -1
    number: int = 0


@dataclass(frozen=True, slots=True)
class FleetView:
    """What is known at *now* (ns): the serving servers, when those were launched that still boot, how many usable standby servers there are."""

    now: int
    servers: tuple[ServerView, ...]
    booting: tuple[int, ...] = ()
    standby: int = 0
    last_action: int = -1
    """When the autoscaler last changed the fleet (ns, -1: never)."""
    minimum: int = 0
    maximum: int = -1
    """The bounds that the autoscaler holds (-1: no upper one): for a policy whose order of steps or memory needs them."""
    draining: int = 0
    """How many instances end what they have in flight; not in *servers*, and not in :attr:`size`."""
    proxy: Mapping[str, float] | None = None
    """The proxy's own sample (requests and unserved per second, in_flight, waiting), for policies that need it; None: missing or too old."""
    others: int = 0
    """Instances of ours that are paid for and not in :attr:`size`: those that drain or end, standby servers, canaries."""
    launch_after: int = -1
    """Until then (ns) nothing is launched, for the cloud has refused."""

    @property
    def size(self) -> int:
        """Servers that serve or are about to."""
        return len(self.servers) + len(self.booting)

    @property
    def known(self) -> tuple[Mapping[str, float], ...]:
        """The metrics of the servers that have any."""
        return tuple(s.metrics for s in self.servers if s.metrics is not None)

    @property
    def unknown(self) -> int:
        """How many servers have no usable sample."""
        return len(self.servers) - len(self.known)

    def counted_from(self, zero: int) -> "FleetView":
        """The same by a clock that shows 0 at *zero* (ns) of this one. What was before that was at 0, as a run's records have it."""

        def moved(time: int) -> int:
            return max(time - zero, 0) if time >= 0 else time

        return replace(
            self, now=moved(self.now), booting=tuple(map(moved, self.booting)),
            servers=tuple(replace(one, since=moved(one.since), sampled=moved(one.sampled)) for one in self.servers),
            last_action=moved(self.last_action), launch_after=moved(self.launch_after),
        )  # fmt: skip

    def showing(self, *metrics: str) -> "FleetView":
        """The same, in which a server whose sample lacks any of *metrics* (a custom one that it does not write) has no usable one."""
        if all(metric in known for known in self.known for metric in metrics):
            return self
        servers = tuple(
            server
            if server.metrics is None or all(metric in server.metrics for metric in metrics)
            else replace(server, metrics=None)
            for server in self.servers
        )
        return replace(self, servers=servers)


@dataclass(frozen=True, slots=True)
class Proposal:
    """How many servers (serving and booting) there should be, and why, in a word or a few.

    *memory* is what the policy is to be handed at the next turn. *figures* are the numbers that led to it, for whoever asks why.
    *blind*: something that the policy wanted to know was not there (so that others do not take it for consent).
    *bounds* (least, most or UNLIMITED): of a policy that has no wish of its own; *desired* is what there is within them, and who combines
    policies bounds what the others wish.
    *abstains*: it asks for nothing now, and whoever takes the greatest of several policies' sizes asks the others.
    *promotes*: standby servers may be promoted for it, before any is launched. *waives*: limits of the autoscaler that it disregards, as a faulty rule does.
    """

    desired: int
    reason: str
    memory: Memory = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    blind: bool = False
    bounds: tuple[int, int] | None = None
    promotes: bool = True
    waives: tuple[Limit, ...] = ()
    abstains: bool = False


class Policy(Protocol):
    """A scaling policy with its settings, a frozen value. Bounds, cooldown and drains are the autoscaler's."""

    @property
    def kind(self) -> str:
        """Its name in a scenario."""
        ...

    @property
    def needs_proxy(self) -> bool:
        """Whether it looks at the proxy's own sample, which is read for those only who do."""
        ...

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """The size to have: a pure function of what is seen and of what it remembers (NOTHING at first, and of a policy before this one)."""
        ...

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """The values, and what they are called, that each server's *metric* is compared with: for figures."""
        ...
