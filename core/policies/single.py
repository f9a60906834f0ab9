"""The policies that stand alone: all but those made of others."""

from .panic import Panic
from .queue import Queue
from .scheduled import Scheduled
from .simple import SimpleScaling
from .step import StepScaling
from .target_tracking import TargetTracking
from .target_tracking_aws import TargetTrackingAws
from .target_tracking_hpa import TargetTrackingHpa
from .threshold import Threshold

SinglePolicy = (
    Threshold
    | StepScaling
    | SimpleScaling
    | TargetTracking
    | TargetTrackingHpa
    | TargetTrackingAws
    | Panic
    | Scheduled
    | Queue
)
"""One that is not made of others. They are told apart by ``kind``, also in JSON."""
