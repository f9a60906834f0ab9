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
    """A policy with settings; *settles* under constant load within *minutes*; *monotone*: more load never gives fewer servers."""

    policy: AnyPolicy
    settles: bool = True
    monotone: bool = True
    minutes: int = 30
    interval: int = 5 * SECOND


_PERIOD = 15 * SECOND
_HIGH, _LOW = Alarm(0.8, "cpu", period=_PERIOD), Alarm(0.3, "cpu", above=False, period=_PERIOD)

EXAMPLES: dict[str, Example] = {
    "threshold": Example(Threshold(requests_high=80, requests_low=30, memory_high=0.9, memory_low=0.4)),
    "threshold of requests": Example(Threshold(requests_high=80, requests_low=39)),
    "threshold with reserve": Example(Threshold(requests_high=80, requests_low=30, standby_above=90)),
    "target_tracking": Example(TargetTracking(60.0)),
    "target_tracking of cpu": Example(TargetTracking(0.6, "cpu")),
    "target_tracking of in_flight": Example(TargetTracking(6.0, "in_flight")),
    "step": Example(
        StepScaling(
            StepRule(_HIGH, (StepAdjustment(1, 0.0, 0.1), StepAdjustment(2, 0.1))),
            StepRule(_LOW, (StepAdjustment(-1, None, 0.0),)),
            warmup=_PERIOD,
        )
    ),
    "simple": Example(
        SimpleScaling(SimpleRule(_HIGH, 1, cooldown=_PERIOD), SimpleRule(_LOW, -1, cooldown=_PERIOD)),
        minutes=60,
    ),
    "target_tracking_aws": Example(TargetTrackingAws(0.6, "cpu", _PERIOD, 1, 3, warmup=_PERIOD)),
    "queue": Example(Queue(60.0, polling=_PERIOD)),
    "target_tracking_hpa": Example(
        TargetTrackingHpa((HpaMetric(0.6, "cpu"), HpaMetric(60.0))), interval=15 * SECOND
    ),
    "panic": Example(Panic(100.0), interval=2 * SECOND),
    "panic that waits": Example(Panic(100.0, scale_down_delay=30 * SECOND), interval=2 * SECOND),
    "scheduled": Example(Scheduled((Step(0, size=3), Step(600 * SECOND, minimum=2, maximum=5)))),
    "combine": Example(Combine((TargetTracking(60.0), TargetTracking(6.0, "in_flight")))),
    "combine in bounds": Example(
        Combine((Panic(100.0), TargetTracking(0.6, "cpu"), Scheduled((Step(0, minimum=2),))), "mean")
    ),
}
