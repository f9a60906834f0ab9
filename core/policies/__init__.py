"""Scaling policies: pure functions from what was observed, and what they remember, to a proposed number of servers."""

from .simple import SimpleScaling
from .step import StepScaling
from .target_tracking import TargetTracking
from .target_tracking_aws import TargetTrackingAws
from .target_tracking_hpa import TargetTrackingHpa
from .threshold import Threshold

AnyPolicy = Threshold | StepScaling | SimpleScaling | TargetTracking | TargetTrackingHpa | TargetTrackingAws
"""One of the policies. They are told apart by ``kind``, also in JSON."""

__all__ = [
    "AnyPolicy", "SimpleScaling", "StepScaling", "TargetTracking", "TargetTrackingAws", "TargetTrackingHpa",
    "Threshold",
]  # fmt: skip
