"""Scaling policies: pure functions from what was observed, and what they remember, to a proposed number of servers."""

from .target_tracking import TargetTracking
from .threshold import Threshold, ThresholdFaults

AnyPolicy = Threshold | TargetTracking
"""One of the policies. They are told apart by ``kind``, also in JSON."""

__all__ = ["AnyPolicy", "TargetTracking", "Threshold", "ThresholdFaults"]
