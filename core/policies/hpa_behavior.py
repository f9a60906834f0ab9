"""How fast a recommendation may become a size: stabilization windows, then rates, as Kubernetes' HorizontalPodAutoscaler applies them.

Source: kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendationWithBehaviors,
convertDesiredReplicasWithBehaviorRate, stabilizeRecommendation, calculateScaleUpLimit) and the defaults of
pkg/apis/autoscaling/v2/defaults.go.

Ages are compared as there: a change exactly one period old counts no more, a recommendation exactly one window old
neither (with rules; without any it still does). A percentage is rounded up in a scale-out and truncated in a scale-in, each after a
product in double precision: 100 servers and 10% make 110.00000000000001 and so 111, and 90% off 10 leaves 0.
"""

import math
from dataclasses import dataclass
from typing import Literal

from .hpa_history import History
from .view import SECOND

Select = Literal["max", "min", "disabled"]
"""Which of several rates holds: the one that allows most, least, or no change at all."""


@dataclass(frozen=True, slots=True)
class ScalingRate:
    """No more than *value* servers, or percent of the size at the start of the *period* (ns), in each period."""

    value: int
    unit: Literal["pods", "percent"]
    period: int

    def above(self, start: int) -> int:
        """The greatest size in a period that began with *start* servers."""
        return start + self.value if self.unit == "pods" else math.ceil(start * (1 + self.value / 100))

    def below(self, start: int) -> int:
        """The least; what is below 0 stays so: another limit is at least 0."""
        return start - self.value if self.unit == "pods" else int(start * (1 - self.value / 100))


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction of a ``behavior``: the stabilization *window* (ns) and the *rates*, of which *select* takes one."""

    window: int
    rates: tuple[ScalingRate, ...]
    select: Select = "max"

    @property
    def longest(self) -> int:
        """The longest period of its rates (ns)."""
        return max((rate.period for rate in self.rates), default=0)


OUT_RATES = (ScalingRate(4, "pods", 15 * SECOND), ScalingRate(100, "percent", 15 * SECOND))
IN_RATES = (ScalingRate(100, "percent", 15 * SECOND),)
OUT_WINDOW, IN_WINDOW = 0, 300 * SECOND
"""What Kubernetes has where a ``behavior`` says nothing."""

SCALE_OUT = ScalingRules(OUT_WINDOW, OUT_RATES)
SCALE_IN = ScalingRules(IN_WINDOW, IN_RATES)


@dataclass(frozen=True, slots=True)
class Behavior:
    """Both directions; None where nothing is said. If one is given the other has its defaults.

    If none is, *downscale_stabilization* (ns) is the window of a scale-in, a scale-out goes at once to twice the size or 4, and changes are not remembered.
    """

    scale_out: ScalingRules | None = None
    scale_in: ScalingRules | None = None
    downscale_stabilization: int = IN_WINDOW

    @property
    def rules(self) -> tuple[ScalingRules, ScalingRules] | None:
        """Of a scale-out and of a scale-in, None without any."""
        if self.scale_out is None and self.scale_in is None:
            return None
        return self.scale_out or SCALE_OUT, self.scale_in or SCALE_IN

    def allowed(self, now: int, size: int, wanted: int, history: History) -> tuple[int, int]:
        """*wanted* after stabilization, and after the rates too."""
        if self.rules is None:
            stable = stabilized_without_rules(now, wanted, history, self.downscale_stabilization)
            return stable, limited_without_rules(size, stable)
        stable = stabilized(now, size, wanted, history, *self.rules)
        return stable, limited(now, size, stable, history, *self.rules)

    def begun(self, now: int, size: int, history: History) -> History:
        """*history* without what nothing asks for again; a fresh start records the current *size* first."""
        if self.rules is None:
            window, period = self.downscale_stabilization, 0
        else:
            window, period = (max(one.window for one in self.rules), max(one.longest for one in self.rules))
        kept = history.pruned(now, window, period)
        return kept if kept.recommendations else kept.recommend(now, size)

    def changed(self, now: int, by: int, history: History) -> History:
        """*history* with the change that is proposed, where the rates ask for it."""
        return history if self.rules is None else history.record(now, by)


def stabilized(
    now: int, size: int, wanted: int, history: History, out: ScalingRules, into: ScalingRules
) -> int:
    """*size*, raised to the least and cut to the most that was recommended (now as *wanted*, and within each direction's window)."""
    least = min((r.size for r in history.recommendations if now - r.time < out.window), default=wanted)
    most = max((r.size for r in history.recommendations if now - r.time < into.window), default=wanted)
    return min(max(size, min(least, wanted)), max(most, wanted))


def stabilized_without_rules(now: int, wanted: int, history: History, window: int) -> int:
    """The most that was recommended within *window*: above the size it adds servers, though now fewer are *wanted*."""
    return max([wanted, *(r.size for r in history.recommendations if now - r.time <= window)])


def limited(now: int, size: int, wanted: int, history: History, out: ScalingRules, into: ScalingRules) -> int:
    """*wanted*, as far as the rates allow; *size*, where what was changed within a period puts the limit on the wrong side of it."""
    if wanted > size:
        return min(wanted, max(_limit_out(now, size, history, out), size))
    if wanted < size:
        return max(wanted, min(_limit_in(now, size, history, into), size))
    return size


def limited_without_rules(size: int, wanted: int) -> int:
    """*wanted*, at most twice *size*, or 4 if that is more; down there is no limit."""
    return min(wanted, max(2 * size, 4))


def _limit_out(now: int, size: int, history: History, rules: ScalingRules) -> int:
    if rules.select == "disabled":
        return size
    limits = [rate.above(size - history.change(now, rate.period)) for rate in rules.rates]
    return max(limits) if rules.select == "max" else min(limits)


def _limit_in(now: int, size: int, history: History, rules: ScalingRules) -> int:
    if rules.select == "disabled":
        return size
    limits = [rate.below(size - history.change(now, rate.period)) for rate in rules.rates]
    return min(limits) if rules.select == "max" else max(limits)
