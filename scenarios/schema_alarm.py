"""CloudWatch's alarms and EC2 Auto Scaling's adjustments in the scenario schema: what its policies have in common."""

from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from ..core.policies.adjustments import AdjustmentType
from ..core.policies.alarms import MINUTE, Alarm, MissingData
from .schema_base import Count, FieldError, Model, Positive
from .schema_metrics import Measured, Metric, named, parse_level, written
from .units import Duration, Rate, Share

DAY = 24 * 60 * MINUTE

Change = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]


class AlarmRule(Measured):
    """An alarm on a metric's average over the servers, in periods, and how its adjustments are meant."""

    metric: Metric = Field("requests", description="what is averaged over the servers and the period")
    threshold: Rate | Share | Count | float = Field(
        description="the alarm's: a rate (requests), a percentage (memory, cpu) or a number (in_flight, custom)"
    )
    inclusive: bool = Field(
        True, description="the threshold itself breaches as well (CloudWatch's ...OrEqualTo...)"
    )
    period: Duration = Field(MINUTE, gt=0, description="length of a period; its average is a datapoint")
    evaluation_periods: Positive = Field(1, description="how many of the last datapoints are evaluated")
    datapoints_to_alarm: Positive | None = Field(
        None, description="how many of these must breach; omitted: all"
    )
    missing_data: MissingData = Field(
        "missing",
        description="what stands for a missing datapoint where too few are left: nothing, the present state, a breach, or none",
    )
    adjustment_type: AdjustmentType = Field(
        "change",
        description="of an adjustment: servers more or fewer, the exact number, or per cent of the capacity",
    )
    min_adjustment_magnitude: Count = Field(
        0, description="with `percent`: change at least this many servers"
    )

    @field_validator("threshold", mode="wrap")
    @classmethod
    def _of_the_metric(cls, value: Any, handler: Any, info: ValidationInfo) -> Any:
        metric = named(info)
        return value if metric is None else parse_level(metric, value)

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return written(self, handler(self), "threshold", self.threshold)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.datapoints_to_alarm or 1) > self.evaluation_periods:
            raise FieldError(
                f"expected at most evaluation_periods ({self.evaluation_periods}), got {self.datapoints_to_alarm}",
                ("datapoints_to_alarm",),
            )
        if self.period * self.evaluation_periods > DAY:
            raise FieldError("expected periods of at most one day in all, got more", ("evaluation_periods",))
        if self.min_adjustment_magnitude and self.adjustment_type != "percent":
            raise FieldError(
                f"expected it with adjustment_type percent only, got {self.adjustment_type}",
                ("min_adjustment_magnitude",),
            )
        return self

    def alarm(self, above: bool) -> Alarm:
        """The engine's alarm: for values *above* the threshold, or below."""
        return Alarm(
            float(self.threshold),
            self.measured,
            above,
            self.inclusive,
            self.period,
            self.evaluation_periods,
            self.datapoints_to_alarm or self.evaluation_periods,
            self.missing_data,
        )

    def check_adjustment(self, adjustment: int, at: tuple[str | int, ...]) -> None:
        """An exact number of servers cannot be negative. Raises FieldError."""
        if self.adjustment_type == "exact" and adjustment < 0:
            raise FieldError(f"expected a number of servers, 0 or more, got {adjustment}", at)


class Directions(Model):
    """A mapping with a rule for scale_out, for scale_in, or for both."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if getattr(self, "scale_out", None) is None and getattr(self, "scale_in", None) is None:
            raise FieldError(
                "expected scale_out or scale_in, got neither", without=(("scale_out",), ("scale_in",))
            )
        return self

    @property
    def shortest_period(self) -> int:
        """Of its alarms, in ns: the autoscaler must look at least so often."""
        rules = (getattr(self, "scale_out", None), getattr(self, "scale_in", None))
        return min(rule.period for rule in rules if isinstance(rule, AlarmRule))
