"""Scaling policies: pure functions from what was observed to a proposed number of servers."""

from collections.abc import Callable

from ..model import PolicySpec
from .target_tracking import target_tracking
from .threshold import threshold
from .view import FleetView, Proposal

POLICIES: dict[str, Callable[[PolicySpec, FleetView], Proposal]] = {
    "threshold": threshold,
    "target_tracking": target_tracking,
}

__all__ = ["POLICIES", "FleetView", "Proposal"]
