"""Scaling policies: pure functions from what was observed, and what they remember, to a proposed number of servers."""

from .combine import Combine
from .panic import Panic
from .queue import Queue
from .scheduled import Scheduled, Step
from .simple import SimpleScaling
from .single import SinglePolicy
from .step import StepScaling
from .target_tracking import TargetTracking
from .target_tracking_aws import TargetTrackingAws
from .target_tracking_hpa import TargetTrackingHpa
from .threshold import Threshold, ThresholdFaults

AnyPolicy = SinglePolicy | Combine
"""One of the policies. They are told apart by ``kind``, also in JSON."""

__all__ = [
    "AnyPolicy", "Combine", "Panic", "Queue", "Scheduled", "SimpleScaling", "SinglePolicy", "Step", "StepScaling",
    "TargetTracking", "TargetTrackingAws", "TargetTrackingHpa", "Threshold", "ThresholdFaults",
]  # fmt: skip
