"""The simple rule: any server too busy adds one, all servers idle enough remove one, one action at a time.

A server is too busy at or above either high mark, idle enough at or below both low marks. A server without a usable
sample is unknown: it neither adds nor lets one be removed. While a server boots nothing is added or removed. One server always
stays, and none at all makes one: without a server there is no sample that could ever ask for one.
"""

from collections.abc import Mapping

from ..model import PolicySpec
from .view import FleetView, Proposal


def _busy(spec: PolicySpec, metrics: Mapping[str, float]) -> str:
    if 0 <= spec.requests_high <= metrics["requests"]:
        return "requests_high"
    if 0 <= spec.memory_high <= metrics["memory"]:
        return "memory_high"
    return ""


def _idle(spec: PolicySpec, metrics: Mapping[str, float]) -> bool:
    if spec.requests_low < 0 and spec.memory_low < 0:
        return False
    quiet = spec.requests_low < 0 or metrics["requests"] <= spec.requests_low
    return quiet and (spec.memory_low < 0 or metrics["memory"] <= spec.memory_low)


def threshold(spec: PolicySpec, view: FleetView) -> Proposal:
    """Propose one more, one fewer, or the same."""
    if view.booting:
        return Proposal(view.size, "booting")
    if not view.servers:
        return Proposal(1, "no servers")
    for metrics in view.known:
        reason = _busy(spec, metrics)
        if reason:
            return Proposal(view.size + 1, reason)
    if view.size > 1 and not view.unknown and all(_idle(spec, m) for m in view.known):
        return Proposal(view.size - 1, "idle")
    return Proposal(view.size, "unknown" if view.unknown else "within")
