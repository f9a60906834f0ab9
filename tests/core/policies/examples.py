"""Each policy with settings that make sense for the closed loop's servers (100 requests/s fill one), and which laws it promises to obey.

A new policy adds a line to EXAMPLES; with several, one for each dialect or mode.
"""

from dataclasses import dataclass

from windtunnel.core.model import SECOND
from windtunnel.core.policies import AnyPolicy, TargetTracking, Threshold


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
}
