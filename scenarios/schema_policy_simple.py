"""The scenario schema of simple scaling."""

from typing import Self

from pydantic import Field, model_validator

from ..core.policies.simple import COOLDOWN, SimpleRule, SimpleScaling
from .schema_alarm import AlarmRule, Change, Directions
from .units import Duration


class SimpleRuleModel(AlarmRule):
    """An alarm, its one adjustment, and the cooldown after it."""

    adjustment: Change = Field(description="servers, or per cent (a plain number); see adjustment_type")
    cooldown: Duration = Field(
        COOLDOWN, description="alarms are not answered for so long after the last server has come or gone"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.check_adjustment(self.adjustment, ("adjustment",))
        return self

    def resolve(self, above: bool) -> SimpleRule:
        """The engine's rule."""
        return SimpleRule(
            self.alarm(above),
            self.adjustment,
            self.adjustment_type,
            self.min_adjustment_magnitude,
            self.cooldown,
        )


class SimplePolicy(Directions):
    """EC2 Auto Scaling's simple scaling: one adjustment for each alarm, then a cooldown."""

    scale_out: SimpleRuleModel | None = Field(
        None, description="when the metric is above; omitted: never out"
    )
    scale_in: SimpleRuleModel | None = Field(
        None, description="when the metric is below; as scale_out; omitted: never in"
    )

    def resolve(self) -> SimpleScaling:
        """The engine's policy."""
        return SimpleScaling(
            self.scale_out.resolve(True) if self.scale_out else None,
            self.scale_in.resolve(False) if self.scale_in else None,
        )
