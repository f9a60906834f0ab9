"""A group of servers seen over minutes, for policies that act when a period closes."""

from collections.abc import Sequence

from windtunnel.core.model import SECOND
from windtunnel.core.policies import AnyPolicy
from windtunnel.core.policies.view import LONG_AGO, NOTHING, FleetView, Memory, Proposal, ServerView

MINUTE = 60 * SECOND


class Group:
    """A fleet whose autoscaler does what the policy proposes; a launched server boots for *boot* and is seen each *step* (ns)."""

    def __init__(self, policy: AnyPolicy, size: int, boot: int = 0, step: int = 30 * SECOND) -> None:
        self.policy, self.boot, self.step = policy, boot, step
        self.now = 0
        self.ready: list[int] = [LONG_AGO] * size
        self.booting: list[int] = []
        self.draining: list[int] = []
        self.last_action = -1
        self.memory: Memory = NOTHING
        self.last = Proposal(size, "")
        self.drain_time = 0

    @property
    def size(self) -> int:
        """The desired capacity."""
        return len(self.ready) + len(self.booting)

    def minutes(self, values: Sequence[float | None], metric: str = "cpu") -> list[int]:
        """Each value is every server's for a minute (None: nobody reports); the sizes after each, when its period has closed."""
        sizes = []
        for value in values:
            for _ in range(MINUTE // self.step):
                self.turn(value, metric)
                self.now += self.step
            self.turn(None, metric, silent=False)
            sizes.append(self.size)
        return sizes

    def turn(self, value: float | None, metric: str = "cpu", *, silent: bool = True) -> Proposal:
        """One look at the fleet, and what follows; without a value servers are silent, or have just not this metric."""
        self.ready += [self.now for at in self.booting if self.now - at >= self.boot]
        self.booting = [at for at in self.booting if self.now - at < self.boot]
        self.draining = [at for at in self.draining if self.now - at < self.drain_time]
        metrics = {metric: value} if value is not None else None if silent else {}
        view = FleetView(
            self.now,
            tuple(ServerView(f"s{n}", metrics, since) for n, since in enumerate(self.ready)),
            tuple(self.booting),
            last_action=self.last_action,
            draining=len(self.draining),
        )
        self.last = self.policy.propose(view, self.memory)
        self.memory = self.last.memory
        missing = self.last.desired - self.size
        if missing:
            self.last_action = self.now
        if missing > 0 and self.boot:
            self.booting += [self.now] * missing
        elif missing > 0:
            self.ready += [self.now] * missing
        elif missing < 0:
            del self.ready[missing:]
            self.draining += [self.now] * (-missing if self.drain_time else 0)
        return self.last
