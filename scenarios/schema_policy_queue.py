"""The policy ``queue`` in the scenario schema."""

from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from ..core.model import SECOND
from ..core.policies import queue as core
from .schema_base import Count, FieldError, Model, Positive
from .schema_policy_target_tracking_hpa import HpaBehavior
from .units import Duration, Rate, format_rate, parse_rate, show


class QueueFallback(Model):
    """What to do while the metric is missing."""

    servers: Count = Field(description="servers to fall back to")
    failure_threshold: Count = Field(
        3, description="polls that may fail one after another before; the next one brings the fallback"
    )
    behavior: Literal["static", "current", "current_if_higher", "current_if_lower"] = Field(
        "static",
        description="`static`: have `servers`; `current`: stay; `current_if_higher`, `current_if_lower`: stay while there are more, or fewer, than `servers`",
    )

    def resolve(self) -> core.Fallback:
        """The engine's."""
        return core.Fallback(self.servers, self.failure_threshold, self.behavior)


class QueuePolicy(HpaBehavior):
    """A total over the fleet, as the proxy sees it, decides on the size, down to no server and up from none (KEDA's shape)."""

    metric: Literal["requests", "in_flight", "waiting"] = Field(
        "requests",
        description="total at the proxy: arriving requests, requests under way, or connections in its accept queue; to the latter two those are added that it turned away in a second for want of a server",
    )
    target: Rate | Positive = Field(
        description="how much of it one server is to have: a rate (requests) or a whole number (in_flight, waiting)"
    )
    activation: Rate | Count = Field(
        0, description="the fleet is active while the total is above it; in the unit of `target`"
    )
    polling: Duration = Field(
        30 * SECOND, gt=0, description="how often it is looked whether the fleet is active"
    )
    sync: Duration = Field(
        15 * SECOND, gt=0, description="how often the size of an active fleet is calculated"
    )
    cooldown: Duration = Field(
        300 * SECOND, description="from when the fleet was last active until it has `idle` servers"
    )
    initial_cooldown: Duration = Field(
        0, description="the same for a fleet that was never active, from the autoscaler's start"
    )
    idle: Count | None = Field(
        None,
        description="servers while not active; omitted: 0, or, with `fleet.app.min` of 1 or more, the fleet is always active",
    )
    least: Positive = Field(1, description="servers that an active fleet has at once, and at least")
    fallback: QueueFallback | None = Field(
        None, description="what to do while the metric is missing; omitted: stay"
    )

    @field_validator("target", "activation", mode="wrap")
    @classmethod
    def _of_the_metric(cls, value: Any, handler: Any, info: ValidationInfo) -> Any:
        metric, least = info.data.get("metric"), 1 if info.field_name == "target" else 0
        if metric is None:
            return value
        if metric == "requests":
            parsed: float = parse_rate(value)
        elif isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected a whole number for metric {metric}, got {show(value)}")
        else:
            parsed = value
        if parsed < 0 or (least and parsed == 0):
            raise ValueError(
                f"expected {info.field_name} {'above' if least else 'at or above'} 0, got {show(value)}"
            )
        return parsed

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        data = handler(self)
        if self.metric == "requests":
            data |= {
                name: format_rate(data[name])
                for name in ("target", "activation")
                if not isinstance(data.get(name, ""), str)
            }
        return data

    @model_validator(mode="after")
    def _idle_below_least(self) -> "QueuePolicy":
        if self.idle is not None and self.idle >= self.least:
            raise FieldError(f"expected idle below least ({self.least}), got {self.idle}", ("idle",))
        return self

    def resolve(self) -> core.Queue:
        """The engine's policy."""
        return core.Queue(
            target=float(self.target), metric=self.metric, activation=float(self.activation), polling=self.polling,
            sync=self.sync, cooldown=self.cooldown, initial_cooldown=self.initial_cooldown,
            idle=core.AUTO if self.idle is None else self.idle, least=self.least,
            tolerances=self.tolerances(), behavior=self.behavior(),
            fallback=self.fallback.resolve() if self.fallback else None,
        )  # fmt: skip
