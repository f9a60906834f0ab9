"""Each policy with settings that make sense for the closed loop's servers (100 requests/s fill one), and which laws it promises to obey.

A new policy adds a line to EXAMPLES; with several, one for each dialect or mode.
"""

from dataclasses import dataclass

from windtunnel.core.model import SECOND
from windtunnel.core.policies import (
    AnyPolicy,
    Combine,
    Panic,
    Scheduled,
    Step,
    TargetTracking,
    TargetTrackingHpa,
    Threshold,
)
from windtunnel.core.policies.hpa_metrics import HpaMetric


@dataclass(frozen=True, slots=True)
class Example:
    """A policy with settings; *settles* under constant load within *minutes*; *monotone*: more load never gives fewer servers."""

    policy: AnyPolicy
    settles: bool = True
    monotone: bool = True
    minutes: int = 30
    interval: int = 5 * SECOND


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
    "panic": Example(Panic(100.0), interval=2 * SECOND),
    "panic that waits": Example(Panic(100.0, scale_down_delay=30 * SECOND), interval=2 * SECOND),
    "scheduled": Example(Scheduled((Step(0, size=3), Step(600 * SECOND, minimum=2, maximum=5)))),
    "combine": Example(Combine((TargetTracking(60.0), TargetTracking(6.0, "in_flight")))),
    "combine in bounds": Example(
        Combine((Panic(100.0), TargetTracking(0.6, "cpu"), Scheduled((Step(0, minimum=2),))), "mean")
    ),
}
