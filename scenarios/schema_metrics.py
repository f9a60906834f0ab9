"""Metrics that scaling policies look at, and what they should be on average."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationInfo, field_validator, model_serializer

from .schema_base import Model, Positive
from .units import Rate, Share, format_rate, format_share, parse_rate, parse_share, show

Metric = Literal["requests", "memory", "cpu", "in_flight"]


class Target(Model):
    """A metric, and what it should be on average."""

    metric: Metric = Field("requests", description="what is averaged over the servers")
    target: Rate | Share | Positive = Field(
        description="wanted average: a rate (requests), a percentage (memory, cpu) or a number (in_flight)"
    )

    @field_validator("target", mode="wrap")
    @classmethod
    def _of_the_metric(cls, value: Any, handler: Any, info: ValidationInfo) -> Any:
        metric = info.data.get("metric")
        if metric == "requests":
            parsed: float = parse_rate(value)
        elif metric == "in_flight":
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"expected a whole number for metric in_flight, got {show(value)}")
            parsed = value
        elif metric is None:
            return value
        else:
            parsed = parse_share(value)
        if parsed <= 0:
            raise ValueError(f"expected a target above 0, got {show(value)}")
        return parsed

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        data = handler(self)
        if self.metric == "requests":
            data["target"] = format_rate(self.target)
        elif self.metric != "in_flight":
            data["target"] = format_share(self.target)
        return data
