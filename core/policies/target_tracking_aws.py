"""Target tracking as EC2 Auto Scaling documents it: two alarms around a target, and a capacity in proportion to the metric.

Source: Amazon EC2 Auto Scaling user guide, "Target tracking scaling policies". Above the target in each of 3 periods of 60 s it scales out, more than 10% below it in each of 15 it
scales in; capacity = capacity * average / target, rounded up both ways: adds 2 rather than 1.5, removes 1 rather than 1.5. Warming instances are not in the metric and not in the capacity that is multiplied; those on their way count against the result, so
that none is launched twice. Nothing is removed while an instance boots or warms up, or while data is missing.

Decided here, where the guide is silent: a value on the target or on the lower mark breaches neither alarm; the newest datapoint is "the metric"; without one for the period that has just closed
nothing changes in either direction (INSUFFICIENT_DATA); the average is over those that report, as CloudWatch's is (the proposal is marked blind when somebody is silent); draining
instances are in the capacity when scaling in, as with step scaling; one server always stays, for without one there is no metric.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from .alarms import MINUTE, Alarm, AlarmState, metric_of, observe
from .group import asking, decided, standing, warm, warming
from .step import WARMUP
from .view import FleetView, Memory, Proposal

_EPSILON = 1e-9
"""Keeps ceil(3.0000000000000004) at 3."""

_SERIES = "metric"


@dataclass(frozen=True, slots=True)
class TargetTrackingAws:
    """*target*: the wanted average of *metric* over the servers, in its own unit. *period* and *warmup* in ns.

    *out_datapoints* and *in_datapoints*: so many periods in a row must be above the target, or below it by more than *scale_in_margin* (a share of it).
    *scale_in* False: never removes any.
    """

    target: float
    metric: str = "requests"
    period: int = MINUTE
    out_datapoints: int = 3
    in_datapoints: int = 15
    scale_in_margin: float = 0.1
    warmup: int = WARMUP
    scale_in: bool = True
    kind: Literal["target_tracking_aws"] = "target_tracking_aws"
    needs_proxy: ClassVar[bool] = False

    @property
    def alarms(self) -> tuple[Alarm, Alarm]:
        """AlarmHigh and AlarmLow, as the service would make them."""
        high, low = self.out_datapoints, self.in_datapoints
        lower = self.target * (1.0 - self.scale_in_margin)
        return (
            Alarm(self.target, self.metric, True, False, self.period, high, high),
            Alarm(lower, self.metric, False, False, self.period, low, low),
        )

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose the proportional capacity when a period closes with an alarm in ALARM; between, what was last decided stands."""
        proposal = self._propose(view, memory)
        return proposal if self.scale_in else asking(view, proposal)

    def _propose(self, view: FleetView, memory: Memory) -> Proposal:
        counted = warm(view, self.warmup)
        high, low = self.alarms
        reach = max(high.reach, low.reach)
        samples = metric_of(counted, self.metric)
        seen = observe(memory, _SERIES, view.now, samples, period=self.period, reach=reach)
        newest = seen.datapoints[-1]
        blind = view.unknown > 0 or newest is None
        unready = warming(view, self.warmup)
        if not seen.closed or not view.size:
            return standing(view, seen.memory, hold=unready > 0, blind=blind)
        if newest is None:
            return decided(view, seen.memory, view.size, "insufficient data", {}, blind=True)
        states = [alarm.judge(seen.datapoints) for alarm in (high, low)]
        ratio = newest / self.target
        figures = {"average": newest, "target": self.target, "ratio": ratio}
        desired, reason = view.size, "within"
        if states[0] == AlarmState.ALARM and ratio > 1.0:
            desired = max(_capacity(len(counted), ratio), view.size)
            reason = "above target" if desired > view.size else "warming up"
        elif states[1] == AlarmState.ALARM and ratio < 1.0 and self.scale_in:
            desired, reason = view.size, "warming up"
            if not unready:
                desired = min(_capacity(view.size + view.draining, ratio), view.size)
                reason = "below target" if desired < view.size else "within"
        elif AlarmState.INSUFFICIENT_DATA in states:
            reason = "insufficient data"
        return decided(view, seen.memory, desired, reason, figures, blind=blind)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        if metric != self.metric:
            return ()
        return ((self.target, "target"), (self.alarms[1].threshold, "scale in"))


def _capacity(current: int, ratio: float) -> int:
    return math.ceil(current * ratio - _EPSILON)
