"""Adjustment types, rounding and step intervals, by the EC2 Auto Scaling user guide, "Step and simple scaling policies"."""

import pytest
from windtunnel.core.policies.adjustments import AdjustmentType, StepAdjustment, adjusted, step_for


@pytest.mark.parametrize(
    ("kind", "adjustment", "capacity", "after"),
    [
        ("change", 5, 3, 8),
        ("change", -2, 3, 1),
        ("change", -5, 3, 0),
        ("exact", 5, 3, 5),
        ("exact", 0, 3, 0),
        ("percent", 10, 10, 11),
    ],
)
def test_section_scaling_adjustment_types(
    kind: AdjustmentType, adjustment: int, capacity: int, after: int
) -> None:
    assert adjusted(kind, adjustment, capacity) == after


@pytest.mark.parametrize(
    ("percent", "capacity", "change"),
    [
        (127, 10, 12),
        (67, 1, 1),
        (-58, 1, -1),
        (-667, 1, -1),
        (-67, 9, -6),
        (100, 1, 1),
        (29, 100, 29),
        (0, 10, 0),
        (30, 0, 0),
    ],
)
def test_section_scaling_adjustment_types_note_on_rounding(percent: int, capacity: int, change: int) -> None:
    """12.7 is rounded to 12, .67 to 1, -.58 to -1, -6.67 to -6 (here -6.03); whole numbers stay; and nothing goes below 0."""
    assert adjusted("percent", percent, capacity) == max(capacity + change, 0)


@pytest.mark.parametrize(
    ("percent", "capacity", "least", "after"),
    [(25, 4, 2, 6), (25, 40, 2, 50), (-25, 4, 2, 2), (25, 0, 2, 2), (0, 4, 2, 4)],
)
def test_section_scaling_adjustment_types_minimum_magnitude(
    percent: int, capacity: int, least: int, after: int
) -> None:
    """25% of 4 is 1, but with a MinAdjustmentMagnitude of 2 there are 2 added. Decided here: from 0 as well, and never for 0%."""
    assert adjusted("percent", percent, capacity, least) == after


OUT = (StepAdjustment(0, 0, 0.1), StepAdjustment(10, 0.1, 0.2), StepAdjustment(30, 0.2, None))
IN = (StepAdjustment(0, -0.1, 0), StepAdjustment(-10, -0.2, -0.1), StepAdjustment(-30, None, -0.2))


@pytest.mark.parametrize(
    ("value", "adjustment"),
    [(0.5, 0), (0.599, 0), (0.6, 10), (0.1 * 6, 10), (0.699, 10), (0.7, 30), (1.0, 30)],
)
def test_section_step_adjustments_above_the_threshold(value: float, adjustment: int) -> None:
    """The lower bound is inclusive, the upper exclusive; threshold 50%."""
    found = step_for(OUT, 0.5, value, True)
    assert found is not None
    assert found.adjustment == adjustment


@pytest.mark.parametrize(
    ("value", "adjustment"), [(0.5, 0), (0.401, 0), (0.4, -10), (0.301, -10), (0.3, -30), (0.0, -30)]
)
def test_section_step_adjustments_below_the_threshold(value: float, adjustment: int) -> None:
    """The lower bound is exclusive, the upper inclusive."""
    found = step_for(IN, 0.5, value, False)
    assert found is not None
    assert found.adjustment == adjustment


def test_a_value_on_the_other_side_has_no_step() -> None:
    assert step_for(OUT, 0.5, 0.45, True) is None
    assert step_for(IN, 0.5, 0.55, False) is None
