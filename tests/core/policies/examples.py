"""Each policy with settings that make sense for the closed loop's servers (100 requests/s fill one), and which laws it promises to obey.

A new policy adds a line to EXAMPLES; with several, one for each dialect or mode.
"""

from dataclasses import dataclass

from windtunnel.core.model import SECOND
from windtunnel.core.policies import (
    AnyPolicy,
    Combine,
    Panic,
    Queue,
    Scheduled,
    SimpleScaling,
    Step,
    StepScaling,
    TargetTracking,
    TargetTrackingAws,
    TargetTrackingHpa,
    Threshold,
)
from windtunnel.core.policies.adjustments import StepAdjustment
from windtunnel.core.policies.alarms import Alarm
from windtunnel.core.policies.hpa_metrics import HpaMetric
from windtunnel.core.policies.simple import SimpleRule
from windtunnel.core.policies.step import StepRule


@dataclass(frozen=True, slots=True)
class Example:
    """A policy with settings; *settles* under constant load within *minutes*; *monotone*: more load never gives fewer servers;
    *stands*: its decision stands for a while, so that this holds as long as nobody else changes the fleet meanwhile.
    """

    policy: AnyPolicy
    settles: bool = True
    monotone: bool = True
    stands: bool = False
    minutes: int = 30
    interval: int = 5 * SECOND


HIGH, LOW = Alarm(80.0), Alarm(30.0, above=False)
OUT = (StepAdjustment(1, 0.0, 40.0), StepAdjustment(3, 40.0, None))

EXAMPLES: dict[str, Example] = {
    "threshold": Example(Threshold(requests_high=80, requests_low=30, memory_high=0.9, memory_low=0.4)),
    "threshold of requests": Example(Threshold(requests_high=80, requests_low=39)),
    "threshold with reserve": Example(Threshold(requests_high=80, requests_low=30, standby_above=90)),
    "target_tracking": Example(TargetTracking(60.0)),
    "target_tracking of cpu": Example(TargetTracking(0.6, "cpu")),
    "target_tracking of in_flight": Example(TargetTracking(6.0, "in_flight")),
    "target_tracking_hpa": Example(
        TargetTrackingHpa((HpaMetric(0.6, "cpu"), HpaMetric(60.0))), interval=15 * SECOND
    ),
    "queue": Example(Queue(60.0, polling=15 * SECOND)),
    "panic": Example(Panic(80.0)),
    "panic of in_flight": Example(
        Panic(10.0, "in_flight", 0.6, max_scale_up_rate=3.0, scale_down_delay=60 * SECOND, activation_scale=3)
    ),
    "scheduled": Example(
        Scheduled((Step(0, size=2), Step(300 * SECOND, minimum=3), Step(900 * SECOND, maximum=6)))
    ),
    "combine by max": Example(
        Combine((Panic(80.0), TargetTracking(0.6, "cpu"), Scheduled((Step(0, minimum=2),))))
    ),
    "combine by min": Example(Combine((Panic(80.0), TargetTracking(60.0)), "min")),
    "combine by mean": Example(Combine((Scheduled((Step(0, size=5),)), TargetTracking(60.0)), "mean")),
    "step": Example(
        StepScaling(StepRule(HIGH, OUT), StepRule(LOW, (StepAdjustment(-1, None, 0.0),)), warmup=60 * SECOND),
        minutes=60,
        stands=True,
    ),
    "simple": Example(
        SimpleScaling(SimpleRule(HIGH, 1, cooldown=60 * SECOND), SimpleRule(LOW, -1, cooldown=60 * SECOND)),
        minutes=60,
        stands=True,
    ),
    "target_tracking_aws": Example(TargetTrackingAws(60.0), minutes=120, stands=True),
    "combine in bounds": Example(
        Combine((Panic(100.0), TargetTracking(0.6, "cpu"), Scheduled((Step(0, minimum=2),))), "mean")
    ),
}
