"""The scenario file's schema: a stretch of time in which requests come at a rate."""

from typing import Self

from pydantic import Field, model_validator

from .schema_base import Model, StageRate
from .units import Duration, Rate


class Stage(Model):
    """A stretch of time with a constant rate (`rate`) or a straight ramp from the rate before to another (`to`)."""

    for_: Duration = Field(alias="for", gt=0, description="length")
    rate: StageRate | None = Field(None, description="arrival rate: constant, or drawn from a range")
    to: Rate | None = Field(
        None, description="arrival rate at the stage's end; the ramp begins at the rate before (0 at first)"
    )

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if (self.rate is None) == (self.to is None):
            raise ValueError("expected either rate or to, got " + ("both" if self.rate else "neither"))
        return self
