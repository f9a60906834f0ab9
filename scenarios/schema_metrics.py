"""The metrics that policies and alerts look at, and values of them, in the scenario schema."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationInfo, field_validator, model_serializer

from .schema_base import Model, Positive
from .units import Rate, Share, format_rate, format_share, parse_rate, parse_share, show

Metric = Literal["requests", "memory", "cpu", "in_flight"]


def parse_level(metric: str, value: Any) -> float:
    """A value of *metric*: a rate (requests), a percentage (memory, cpu) or a whole number (in_flight)."""
    if metric == "requests":
        return parse_rate(value)
    if metric == "in_flight":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected a whole number for metric in_flight, got {show(value)}")
        return value
    return parse_share(value)


def format_level(metric: str, value: float) -> Any:
    """What :func:`parse_level` reads."""
    if metric == "requests":
        return format_rate(value)
    return int(value) if metric == "in_flight" else format_share(value)


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
        if metric is None:
            return value
        parsed = parse_level(metric, value)
        if parsed <= 0:
            raise ValueError(f"expected a target above 0, got {show(value)}")
        return parsed

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        data = handler(self)
        data["target"] = format_level(self.metric, self.target)
        return data
