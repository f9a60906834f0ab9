"""Scaling policies: pure functions from what was observed, and what they remember, to a proposed number of servers."""

from .queue import Queue
from .target_tracking import TargetTracking
from .target_tracking_hpa import TargetTrackingHpa
from .threshold import Threshold

AnyPolicy = Threshold | TargetTracking | TargetTrackingHpa | Queue
"""One of the policies. They are told apart by ``kind``, also in JSON."""

__all__ = ["AnyPolicy", "Queue", "TargetTracking", "TargetTrackingHpa", "Threshold"]
