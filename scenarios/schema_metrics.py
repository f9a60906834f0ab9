"""The metrics that policies and alerts look at, and values of them, in the scenario schema."""

from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from .schema_base import FieldError, Model, Name, Positive
from .units import Rate, Share, format_rate, format_share, parse_rate, parse_share, show

Metric = Literal["requests", "memory", "cpu", "in_flight"]

CUSTOM = "instead of `metric`: a custom one, declared in `fleet.app.metrics`, whose values are plain numbers"


def parse_level(metric: str, value: Any) -> float:
    """A value of *metric*: a rate (requests), a percentage (memory, cpu), a whole number (in_flight), or, of a custom one, a number."""
    if metric == "requests":
        return parse_rate(value)
    if metric in ("memory", "cpu"):
        return parse_share(value)
    whole = metric == "in_flight"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError(
            f"expected a {'whole' if whole else 'plain'} number for metric {metric}, got {show(value)}"
        )
    return value


def format_level(metric: str, value: float) -> Any:
    """What :func:`parse_level` reads."""
    if metric == "requests":
        return format_rate(value)
    if metric in ("memory", "cpu"):
        return format_share(value)
    return int(value) if value == int(value) else value


class Measured(Model):
    """Something that is measured: a metric of every server, or a custom one."""

    metric: Metric = Field("requests", description="what is averaged over the servers")
    custom: Name | None = Field(None, description=CUSTOM)

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.custom is not None and "metric" in self.model_fields_set:
            raise FieldError("expected either metric or custom, got both", ("custom",))
        return self

    @property
    def measured(self) -> str:
        """The metric's name."""
        return self.custom or self.metric


def named(info: ValidationInfo) -> str | None:
    """The metric that a mapping names, before it is complete; None if it names none that there is."""
    return info.data.get("custom") or info.data.get("metric")


class Target(Measured):
    """A metric, and what it should be on average."""

    target: Rate | Share | Positive | float = Field(
        description="wanted average: a rate (requests), a percentage (memory, cpu) or a number (in_flight, custom)"
    )

    @field_validator("target", mode="wrap")
    @classmethod
    def _of_the_metric(cls, value: Any, handler: Any, info: ValidationInfo) -> Any:
        metric = named(info)
        if metric is None:
            return value
        parsed = parse_level(metric, value)
        if parsed <= 0:
            raise ValueError(f"expected a target above 0, got {show(value)}")
        return parsed

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return written(self, handler(self), "target", self.target)


def written(part: Measured, data: dict[str, Any], field: str, value: float) -> dict[str, Any]:
    """*data* of *part* as a scenario has it, where the value of *field* depends on the metric."""
    data[field] = format_level(part.measured, value)
    if part.custom is not None:
        del data["metric"]
    return data
