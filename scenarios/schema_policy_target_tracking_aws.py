"""The scenario schema of EC2 Auto Scaling's target tracking."""

from typing import Self

from pydantic import Field, model_validator

from ..core.policies.alarms import MINUTE
from ..core.policies.step import WARMUP
from ..core.policies.target_tracking_aws import TargetTrackingAws
from .schema_alarm import DAY
from .schema_base import FieldError, Positive
from .schema_metrics import Target
from .units import Duration, Share


class TargetTrackingAwsPolicy(Target):
    """EC2 Auto Scaling's target tracking: two alarms around the target, and a capacity in proportion to the metric."""

    period: Duration = Field(MINUTE, gt=0, description="length of a period; its average is a datapoint")
    out_datapoints: Positive = Field(3, description="datapoints in a row above the target that scale out")
    in_datapoints: Positive = Field(
        15, description="datapoints in a row below the target's margin that scale in"
    )
    scale_in_margin: Share = Field(
        0.1, description="no scale-in while the average is so close below the target"
    )
    warmup: Duration = Field(
        WARMUP,
        description="from ready until a server counts in the metric and in the capacity that is multiplied",
    )
    disable_scale_in: bool = Field(False, description="only ever scale out")

    @model_validator(mode="after")
    def _within_a_day(self) -> Self:
        for name in ("out_datapoints", "in_datapoints"):
            if self.period * getattr(self, name) > DAY:
                raise FieldError("expected periods of at most one day in all, got more", (name,))
        return self

    @property
    def shortest_period(self) -> int:
        """Of its alarms, in ns: the autoscaler must look at least so often."""
        return self.period

    def resolve(self) -> TargetTrackingAws:
        """The engine's policy."""
        return TargetTrackingAws(
            float(self.target),
            self.measured,
            self.period,
            self.out_datapoints,
            self.in_datapoints,
            self.scale_in_margin,
            self.warmup,
            not self.disable_scale_in,
        )
