"""The policy ``panic`` in the scenario file: the settings of Knative's pod autoscaler, with its names, defaults and limits."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator

from ..core.model import SECOND
from ..core.policies import Panic
from .schema_base import Number, Positive
from .schema_metrics import Target
from .units import Duration, Rate, Share, format_share, show

_HOUR = 3600 * SECOND


def _threshold(value: Any) -> float:
    text = value.removesuffix("%") if isinstance(value, str) else ""
    if text == value or not text.replace(".", "", 1).isdecimal() or not text.isascii():
        raise ValueError(f"expected a percentage such as 200%, got {show(value)}")
    share = float(Decimal(text) / 100)
    if not 1.1 <= share <= 10:
        raise ValueError(f"expected a percentage from 110% to 1000%, got {show(value)}")
    return share


_Threshold = Annotated[
    float,
    BeforeValidator(_threshold),
    PlainSerializer(format_share),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d+(\.\d+)?%$", "examples": ["200%"], "title": "percentage"}
    ),
]


class PanicPolicy(Target):
    """Knative's pod autoscaler: an average over a long window, and over a short one when load jumps."""

    target: Rate | Share | Positive | float = Field(
        description="what one server can take: a rate (requests), a percentage (memory, cpu) or a number (in_flight, custom)"
    )
    target_utilization: Share = Field(0.7, ge=0.01, description="so much of target is wanted on average")
    stable_window: Duration = Field(
        60 * SECOND, ge=5 * SECOND, le=_HOUR, description="the long window, in whole seconds, 5s to 1h"
    )
    panic_window: Share = Field(
        0.1, ge=0.01, description="the short window, of the long one; at least a second, in whole seconds"
    )
    panic_threshold: _Threshold = Field(
        2.0, description="panic when the short window asks for so much of the ready servers, 110% to 1000%"
    )
    max_scale_up_rate: Annotated[Number, Field(gt=1, le=1_000_000)] = Field(
        1000.0, description="at most so many times the ready servers at once (a plain number above 1)"
    )
    max_scale_down_rate: Annotated[Number, Field(gt=1, le=1_000_000)] = Field(
        2.0, description="at least the ready servers divided by this stay at once (a plain number above 1)"
    )
    scale_down_delay: Duration = Field(
        0,
        le=_HOUR,
        description="fewer servers only when fewer were wanted for so long; whole seconds, up to 1h",
    )
    activation_scale: Positive = Field(1, description="least servers while there is any load")

    @field_validator("stable_window", "scale_down_delay")
    @classmethod
    def _whole_seconds(cls, value: int) -> int:
        if value % SECOND:
            raise ValueError("expected whole seconds")
        return value

    def resolve(self) -> Panic:
        """The engine's policy."""
        return Panic(
            target=float(self.target),
            metric=self.measured,
            utilization=self.target_utilization,
            stable_window=self.stable_window,
            panic_window=self.panic_window,
            panic_threshold=self.panic_threshold,
            max_scale_up_rate=self.max_scale_up_rate,
            max_scale_down_rate=self.max_scale_down_rate,
            scale_down_delay=self.scale_down_delay,
            activation_scale=self.activation_scale,
        )
