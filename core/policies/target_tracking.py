"""Target tracking: as many servers as bring the average of a metric to its target.

The ratio and the tolerance are those of Kubernetes' HorizontalPodAutoscaler ("Algorithm details"): nothing changes
while |average / target - 1| <= tolerance; else desired = ceil(sum / target). Servers without a usable sample are
treated conservatively in each direction: as idle when scaling out, as exactly on target when scaling in. One server always stays, and none at all makes one.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from .view import FleetView, Memory, Proposal

_EPSILON = 1e-9
"""Keeps ceil(3.0000000000000004) at 3."""


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """*target*: the wanted average of *metric* over the servers, per second or as a share or a number, as the metric is; *tolerance* as a share of it."""

    target: float
    metric: str = "requests"
    tolerance: float = 0.1
    kind: Literal["target_tracking"] = "target_tracking"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose ceil(sum / target), or the same within the tolerance."""
        view = view.showing(self.metric)
        if not view.servers:
            return Proposal(max(view.size, 1), "no servers")
        if not view.known:
            return Proposal(view.size, "unknown", blind=True)
        blind = view.unknown > 0
        total = math.fsum(metrics[self.metric] for metrics in view.known)
        ratio = total / (self.target * len(view.known))
        figures = {"average": total / len(view.known), "target": self.target, "ratio": ratio}
        if abs(ratio - 1.0) <= self.tolerance + _EPSILON:
            return Proposal(view.size, "within", figures=figures, blind=blind)
        if ratio > 1.0:
            desired = math.ceil(total / self.target - _EPSILON)
            return Proposal(max(desired, view.size), "above target", figures=figures, blind=blind)
        desired = math.ceil((total + self.target * view.unknown) / self.target - _EPSILON)
        return Proposal(max(min(desired, view.size), 1), "below target", figures=figures, blind=blind)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        return ((self.target, "target"),) if metric == self.metric else ()
