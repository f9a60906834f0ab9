"""The HorizontalPodAutoscaler's part of the scenario schema: what autoscaling/v2 allows, in a scenario's units."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..core import policies as core
from ..core.model import SECOND
from ..core.policies.hpa_behavior import (
    IN_RATES,
    IN_WINDOW,
    OUT_RATES,
    OUT_WINDOW,
    Behavior,
    ScalingRate,
    ScalingRules,
)
from ..core.policies.hpa_metrics import SHARES, HpaMetric, Tolerances
from .schema_base import FieldError, Model, Positive
from .schema_metrics import Target
from .units import Duration, Share, format_duration, format_share, show

_LONGEST_PERIOD, _LONGEST_WINDOW = 1800 * SECOND, 3600 * SECOND
"""What Kubernetes' API refuses beyond."""


class HpaTarget(Target):
    """A metric and its target; the shares (cpu, memory) are utilisations and have whole percentages."""

    total: bool = Field(
        False,
        description="the sum over the servers, divided by the target (an External metric with an AverageValue), instead of an average over those that are ready; can scale to zero",
    )

    @model_validator(mode="after")
    def _of_kubernetes(self) -> Self:
        if self.measured in SHARES and abs(self.target * 100 - round(self.target * 100)) > 1e-9:
            raise FieldError(
                f"expected a whole percentage, as Kubernetes has, got {format_share(self.target)}",
                ("target",),
            )
        if self.total and self.measured in SHARES:
            raise FieldError(
                f"expected metric requests or in_flight for a total: the sum of shares of {self.metric} says nothing",
                ("total",),
            )
        return self

    def resolve(self) -> HpaMetric:
        """The engine's."""
        return HpaMetric(float(self.target), self.measured, self.total)


class HpaRate(Model):
    """A limit per period: exactly one of pods and percent."""

    pods: Positive | None = Field(None, description="so many servers")
    percent: Positive | None = Field(
        None,
        description="so many percent (a plain number, also above 100) of the size at the period's start; rounded up in a scale-out, truncated in a scale-in",
    )
    period: Duration = Field(15 * SECOND, description="in each such time, at most 30m")

    @field_validator("period")
    @classmethod
    def _possible(cls, value: int) -> int:
        if not 0 < value <= _LONGEST_PERIOD:
            raise ValueError(f"expected a period above 0 and at most 30m, got {format_duration(value)}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.pods is None) == (self.percent is None):
            given = "none" if self.pods is None else "both"
            raise FieldError(
                f"expected exactly one of pods and percent, got {given}", without=(("pods",), ("percent",))
            )
        return self

    def resolve(self) -> ScalingRate:
        """The engine's."""
        if self.pods is not None:
            return ScalingRate(self.pods, "pods", self.period)
        assert self.percent is not None
        return ScalingRate(self.percent, "percent", self.period)


class HpaRules(Model):
    """One direction of a ``behavior``. If either direction is given, the other has its defaults; if neither, there is no behavior."""

    stabilization_window: Duration | None = Field(
        None,
        description="a scale-out goes no higher than the least, a scale-in no lower than the most that was recommended in this time, at most 1h; omitted: 0s out, downscale_stabilization in",
    )
    policies: Annotated[list[HpaRate], Field(min_length=1)] | None = Field(
        None,
        description="limits per period; omitted: out 4 pods and 100 percent per 15s, in 100 percent per 15s",
    )
    select_policy: Literal["max", "min", "disabled"] = Field(
        "max",
        description="of several limits the one that allows most, or least; disabled: never in this direction",
    )
    tolerance: Share | None = Field(
        None,
        description="no change while the metric is so close to its target on this side; omitted: tolerance",
    )

    @field_validator("stabilization_window")
    @classmethod
    def _possible(cls, value: int | None) -> int | None:
        if value is not None and value > _LONGEST_WINDOW:
            raise ValueError(f"expected a stabilization window of at most 1h, got {format_duration(value)}")
        return value

    def resolve(self, window: int, rates: tuple[ScalingRate, ...]) -> ScalingRules:
        """The engine's; *window* and *rates* are what an omitted one is."""
        return ScalingRules(
            window if self.stabilization_window is None else self.stabilization_window,
            rates if self.policies is None else tuple(rate.resolve() for rate in self.policies),
            self.select_policy,
        )


class HpaBehavior(Model):
    """Tolerances, windows and rates of a HorizontalPodAutoscaler."""

    tolerance: Share = Field(
        0.1,
        description="no change while usage / target is within 1 plus or minus this, the boundary included",
    )
    scale_up: HpaRules | None = Field(None, description="behavior.scaleUp")
    scale_down: HpaRules | None = Field(None, description="behavior.scaleDown: the fields of scale_up")
    downscale_stabilization: Duration = Field(
        IN_WINDOW,
        description="the window of a scale-in that scale_down does not say (a flag of the controller)",
    )

    def tolerances(self) -> Tolerances:
        """The engine's."""
        sides = (self.scale_up or HpaRules(), self.scale_down or HpaRules())
        return Tolerances(*(self.tolerance if one.tolerance is None else one.tolerance for one in sides))

    def behavior(self) -> Behavior:
        """The engine's."""
        if self.scale_up is None and self.scale_down is None:
            return Behavior(downscale_stabilization=self.downscale_stabilization)
        out, into = self.scale_up or HpaRules(), self.scale_down or HpaRules()
        return Behavior(
            out.resolve(OUT_WINDOW, OUT_RATES),
            into.resolve(self.downscale_stabilization, IN_RATES),
            self.downscale_stabilization,
        )


class TargetTrackingHpaPolicy(HpaBehavior):
    """Kubernetes' HorizontalPodAutoscaler (autoscaling/v2): of several metrics the one that asks for most; see docs/policies.md."""

    metrics: Annotated[list[HpaTarget], Field(min_length=1)] = Field(
        description="what is looked at, each metric once"
    )
    cpu_initialization_period: Duration = Field(
        300 * SECOND,
        description="so long after a server became ready, its CPU sample counts only if all of it was measured since (a flag of the controller)",
    )
    metric_window: Duration = Field(
        15 * SECOND, description="the time that a CPU sample covers (metrics-server's resolution)"
    )

    @field_validator("metrics")
    @classmethod
    def _each_once(cls, value: list[HpaTarget]) -> list[HpaTarget]:
        names = [one.measured for one in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"expected each metric once, got {show(twice[0])} more than once")
        return value

    def resolve(self) -> core.TargetTrackingHpa:
        """The engine's policy."""
        return core.TargetTrackingHpa(
            metrics=tuple(metric.resolve() for metric in self.metrics),
            tolerances=self.tolerances(),
            behavior=self.behavior(),
            cpu_initialization_period=self.cpu_initialization_period,
            metric_window=self.metric_window,
        )
