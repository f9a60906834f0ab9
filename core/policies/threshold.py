"""The simple rule: any server too busy adds one, all servers idle enough remove one, one action at a time.

A server is too busy at or above either high mark, idle enough at or below both low marks. A server without a usable
sample is unknown: it neither adds nor lets one be removed. While a server boots nothing is added or removed. One server always
stays, and none at all makes one: without a server there is no sample that could ever ask for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .view import FleetView, Memory, Proposal

OFF = -1.0
"""A mark that is not looked at."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Marks per server: requests per second, and memory as a share; OFF: not looked at."""

    requests_high: float = OFF
    requests_low: float = OFF
    memory_high: float = OFF
    memory_low: float = OFF
    kind: Literal["threshold"] = "threshold"

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose one more, one fewer, or the same."""
        blind = view.unknown > 0
        if view.booting:
            return Proposal(view.size, "booting", blind=blind)
        if not view.servers:
            return Proposal(1, "no servers")
        for metrics in view.known:
            reason = self._busy(metrics)
            if reason:
                return Proposal(view.size + 1, reason, blind=blind)
        if view.size > 1 and not blind and all(self._idle(m) for m in view.known):
            return Proposal(view.size - 1, "idle")
        return Proposal(view.size, "unknown" if blind else "within", blind=blind)

    def _busy(self, metrics: Mapping[str, float]) -> str:
        if 0 <= self.requests_high <= metrics["requests"]:
            return "requests_high"
        if 0 <= self.memory_high <= metrics["memory"]:
            return "memory_high"
        return ""

    def _idle(self, metrics: Mapping[str, float]) -> bool:
        if self.requests_low < 0 and self.memory_low < 0:
            return False
        quiet = self.requests_low < 0 or metrics["requests"] <= self.requests_low
        return quiet and (self.memory_low < 0 or metrics["memory"] <= self.memory_low)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        found = {
            "requests": ((self.requests_high, "high"), (self.requests_low, "low")),
            "memory": ((self.memory_high, "high"), (self.memory_low, "low")),
        }.get(metric, ())
        return tuple((value, name) for value, name in found if value >= 0)
