"""Target tracking: as many servers as bring the average of a metric to its target.

The ratio and the tolerance are those of Kubernetes' HorizontalPodAutoscaler ("Algorithm details"): nothing changes
while |average / target - 1| <= tolerance; else desired = ceil(sum / target). Servers without a usable sample are
treated conservatively in each direction: as idle when scaling out, as exactly on target when scaling in. One server always stays, and none at all makes one.
"""

import math

from ..model import PolicySpec
from .view import FleetView, Proposal

_EPSILON = 1e-9
"""Keeps ceil(3.0000000000000004) at 3."""


def target_tracking(spec: PolicySpec, view: FleetView) -> Proposal:
    """Propose ceil(sum / target), or the same within the tolerance."""
    if not view.servers:
        return Proposal(max(view.size, 1), "no servers")
    if not view.known:
        return Proposal(view.size, "unknown")
    total = sum(metrics.get(spec.metric, 0.0) for metrics in view.known)
    ratio = total / (spec.target * len(view.known))
    if abs(ratio - 1.0) <= spec.tolerance + _EPSILON:
        return Proposal(view.size, "within")
    if ratio > 1.0:
        desired = math.ceil(total / spec.target - _EPSILON)
        return Proposal(max(desired, view.size), "above target")
    desired = math.ceil((total + spec.target * view.unknown) / spec.target - _EPSILON)
    return Proposal(max(min(desired, view.size), 1), "below target")
