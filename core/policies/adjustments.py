"""How much a scaling policy changes the capacity: EC2 Auto Scaling's adjustment types, step adjustments, and its rounding.

Source: Amazon EC2 Auto Scaling user guide, "Step and simple scaling policies", sections "Scaling adjustment types" and "Step adjustments".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .alarms import is_close

AdjustmentType = Literal["change", "exact", "percent"]
"""ChangeInCapacity, ExactCapacity, PercentChangeInCapacity."""


def adjusted(kind: AdjustmentType, adjustment: int, capacity: int, min_magnitude: int = 0) -> int:
    """The capacity after *adjustment* (servers, or per cent of *capacity*), never below 0.

    *min_magnitude* (servers, with percent only): no smaller change than this, also of a capacity of 0, whose percentage is nothing.
    An adjustment of 0 changes nothing.
    """
    if kind == "exact":
        return max(adjustment, 0)
    change = adjustment
    if kind == "percent":
        sign = (adjustment > 0) - (adjustment < 0)
        change = sign * max(abs(percent_of(adjustment, capacity)), min_magnitude)
    return max(capacity + change, 0)


def percent_of(percent: int, capacity: int) -> int:
    """That percentage, whole: towards 0, but 1 (or -1) instead of a fraction of 1. In integers, hence exact."""
    product = abs(percent) * capacity
    size = max(product // 100, 1) if product else 0
    return size if percent > 0 else -size


@dataclass(frozen=True, slots=True)
class StepAdjustment:
    """*adjustment* applies from *lower* to *upper*, both relative to the alarm's threshold; None: without end.

    Above the threshold lower belongs to it and upper does not, below it is the other way round.
    """

    adjustment: int
    lower: float | None = None
    upper: float | None = None


def step_for(
    steps: Sequence[StepAdjustment], threshold: float, value: float, above: bool
) -> StepAdjustment | None:
    """The one that *value* falls in. A value on the threshold is on the side where the alarm breaches: *above* or below."""
    on_the_upper_side = above if is_close(value, threshold) else value > threshold
    for step in steps:
        beyond_lower = step.lower is None or _beyond(value, threshold + step.lower, on_the_upper_side)
        beyond_upper = step.upper is not None and _beyond(value, threshold + step.upper, on_the_upper_side)
        if beyond_lower and not beyond_upper:
            return step
    return None


def _beyond(value: float, bound: float, inclusive: bool) -> bool:
    return inclusive if is_close(value, bound) else value > bound
