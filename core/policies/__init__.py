"""Scaling policies: pure functions from what was observed, and what they remember, to a proposed number of servers."""

from .combine import Combine
from .panic import Panic
from .scheduled import Scheduled, Step
from .single import SinglePolicy
from .target_tracking import TargetTracking
from .target_tracking_hpa import TargetTrackingHpa
from .threshold import Threshold, ThresholdFaults

AnyPolicy = SinglePolicy | Combine
"""One of the policies. They are told apart by ``kind``, also in JSON."""

__all__ = [
    "AnyPolicy",
    "Combine",
    "Panic",
    "Scheduled",
    "SinglePolicy",
    "Step",
    "TargetTracking",
    "TargetTrackingHpa",
    "Threshold",
    "ThresholdFaults",
]
