"""Scaling policies: pure functions from what was observed, and what they remember, to a proposed number of servers."""

from .target_tracking import TargetTracking
from .target_tracking_hpa import TargetTrackingHpa
from .threshold import Threshold

AnyPolicy = Threshold | TargetTracking | TargetTrackingHpa
"""One of the policies. They are told apart by ``kind``, also in JSON."""

__all__ = ["AnyPolicy", "TargetTracking", "TargetTrackingHpa", "Threshold"]
