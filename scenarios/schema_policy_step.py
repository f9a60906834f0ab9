"""The scenario schema of step scaling."""

from itertools import pairwise
from typing import Any, Self

from pydantic import Field, model_validator

from ..core.policies.adjustments import StepAdjustment
from ..core.policies.alarms import is_close
from ..core.policies.step import WARMUP, StepRule, StepScaling
from .schema_alarm import AlarmRule, Change, Directions
from .schema_base import FieldError, Model
from .schema_metrics import parse_level
from .units import Duration, show

Bound = str | int | None


class StepModel(Model):
    """What is done in an interval of the metric."""

    adjustment: Change = Field(description="servers, or per cent (a plain number); see adjustment_type")
    lower: Bound = Field(
        None, description="where it begins, relative to the threshold (`10%`, `-20/s`); omitted: without end"
    )
    upper: Bound = Field(None, description="where it ends, likewise")


class StepRuleModel(AlarmRule):
    """An alarm and its steps: above the threshold from lower up to but not with upper, below it the other way round."""

    steps: list[StepModel] = Field(
        min_length=1, max_length=20, description="steps, without gap or overlap, one of them without end"
    )

    @model_validator(mode="after")
    def _intervals(self) -> Self:
        steps = self._resolved()
        for number, step in enumerate(self.steps):
            self.check_adjustment(step.adjustment, ("steps", number, "adjustment"))
        if any(step.lower is None and step.upper is None for step in steps):
            raise FieldError("expected lower or upper in each step, got neither", ("steps",))
        ordered = sorted(steps, key=lambda step: _end(step.lower, -1))
        if any(_end(step.lower, -1) >= _end(step.upper, 1) for step in ordered):
            raise FieldError("expected lower below upper in each step", ("steps",))
        for one, following in pairwise(ordered):
            if not is_close(_end(one.upper, 1), _end(following.lower, -1)):
                raise FieldError("expected steps that meet, got a gap or an overlap between two", ("steps",))
        first, last = ordered[0].lower, ordered[-1].upper
        if first is not None and first < 0:
            raise FieldError("expected a step without lower, as bounds lie below the threshold", ("steps",))
        if last is not None and last > 0:
            raise FieldError("expected a step without upper, as bounds lie above the threshold", ("steps",))
        return self

    def _resolved(self) -> tuple[StepAdjustment, ...]:
        bounds = [
            tuple(self._bound(number, name, getattr(step, name)) for name in ("lower", "upper"))
            for number, step in enumerate(self.steps)
        ]
        pairs = zip(self.steps, bounds, strict=True)
        return tuple(StepAdjustment(step.adjustment, lower, upper) for step, (lower, upper) in pairs)

    def _bound(self, number: int, name: str, written: Bound) -> float | None:
        if written is None:
            return None
        below = written.startswith("-") if isinstance(written, str) else written < 0
        size: Any = written if not below else written[1:] if isinstance(written, str) else -written
        try:
            found = float(parse_level(self.measured, size))
        except ValueError as error:
            expected = str(error).split(", got ")[0]
            raise FieldError(f"{expected}, got {show(written)}", ("steps", number, name)) from None
        return -found if below else found

    def resolve(self, above: bool) -> StepRule:
        """The engine's rule."""
        return StepRule(
            self.alarm(above), self._resolved(), self.adjustment_type, self.min_adjustment_magnitude
        )


class StepPolicy(Directions):
    """EC2 Auto Scaling's step scaling: how far a metric is beyond an alarm's threshold says how many servers come or go."""

    scale_out: StepRuleModel | None = Field(None, description="when the metric is above; omitted: never out")
    scale_in: StepRuleModel | None = Field(
        None, description="when the metric is below; as scale_out; omitted: never in"
    )
    warmup: Duration = Field(
        WARMUP,
        description="from ready until a server counts: in the metric, and in the capacity of a percentage",
    )

    def resolve(self) -> StepScaling:
        """The engine's policy."""
        return StepScaling(
            self.scale_out.resolve(True) if self.scale_out else None,
            self.scale_in.resolve(False) if self.scale_in else None,
            self.warmup,
        )


def _end(bound: float | None, sign: int) -> float:
    return sign * float("inf") if bound is None else bound
