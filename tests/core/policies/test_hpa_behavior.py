"""Windows and rates: the cases of Kubernetes' own tests, as data.

Source of the tables: kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal_test.go; each row names its case.
"""

import pytest
from windtunnel.core.policies.hpa_behavior import (
    IN_RATES,
    OUT_RATES,
    SCALE_IN,
    SCALE_OUT,
    ScalingRate,
    ScalingRules,
    Select,
    limited,
    limited_without_rules,
    stabilized,
    stabilized_without_rules,
)
from windtunnel.core.policies.hpa_history import Changed, History, Recommended

SECOND = 1_000_000_000
NOW = 100_000 * SECOND


def rules(
    pods: int, pods_period: int, percent: int, percent_period: int, window: int, select: Select = "max"
) -> ScalingRules:
    rates = [ScalingRate(pods, "pods", pods_period * SECOND)] if pods else []
    rates += [ScalingRate(percent, "percent", percent_period * SECOND)] if percent else []
    return ScalingRules(window * SECOND, tuple(rates), select)


def spread(changes: list[int], seconds: int) -> tuple[Changed, ...]:
    """Evenly over the last *seconds*, each in the middle of its part (generateEventsUniformDistribution)."""
    part = seconds / len(changes)
    return tuple(Changed(NOW - int(seconds - part * (n + 0.5)) * SECOND, by) for n, by in enumerate(changes))


def history(added: list[int], removed: list[int], seconds: int = 120) -> History:
    out = spread(added, seconds) if added else ()
    into = spread([-by for by in removed], seconds) if removed else ()
    return History((), (*out, *into))


NONE: list[int] = []
OUT = [
    # name, added, removed, rules, size, wanted, allowed
    ("prenormalized desired replicas within range", NONE, NONE, SCALE_OUT, 5, 7, 7),
    ("scaleUpLimit is the limit with user policies", NONE, NONE, rules(0, 0, 1, 60, 0), 3, 1000, 4),
    ("scaleUp with default behavior", NONE, NONE, SCALE_OUT, 10, 50, 20),
    ("scaleUp with pods policy larger than percent policy", NONE, NONE, rules(100, 60, 100, 60, 0), 10, 500, 110),
    ("scaleUp with percent policy larger than pods policy", NONE, NONE, rules(2, 60, 100, 60, 0), 10, 500, 20),
    ("scaleUp with large pod policy", NONE, NONE, rules(100, 60, 0, 0, 0), 10, 50, 50),
    ("scaleUp with large percent policy", NONE, NONE, rules(10000, 60, 0, 0, 0), 10, 50, 50),
    ("scaleUp with pod policy limitation", NONE, NONE, rules(30, 60, 0, 0, 0), 10, 50, 40),
    ("scaleUp with percent policy limitation", NONE, NONE, rules(0, 0, 200, 60, 0), 10, 50, 30),
    ("scaleUp with large pod policy and events", [1, 5, 9], NONE, rules(300, 60, 0, 0, 0), 100, 500, 391),
    ("scaleUp with a lot of recent scale up events", [1, 5, 9], NONE, rules(5, 120, 0, 0, 0), 100, 500, 100),
    ("scaleUp with pod policy and previous scale up events", [1, 5, 9], NONE, rules(150, 120, 0, 0, 0), 100, 500, 235),
    ("scaleUp with percent policy and previous scale up events", [1, 5, 9], NONE, rules(0, 0, 200, 120, 0), 100, 500, 255),
    ("scaleUp with percent policy and previous scale up and down events", [4], [2], rules(0, 0, 300, 300, 0), 6, 24, 16),
    ("check 'outdated' flag for one behavior for up", [8, 12, 9, 11], NONE, rules(1000, 60, 0, 0, 0), 100, 200, 200),
    ("two different policies in the behavior for up", [8, 12, 9, 11], NONE, rules(1000, 120, 100, 60, 0), 100, 200, 200),
    ("TestCalculateScaleUpLimitWithScalingRules", NONE, NONE, rules(2, 60, 50, 60, 300, "min"), 1, 1000, 2),
    ("own: the rest of a period", [3], NONE, rules(4, 120, 0, 0, 0), 7, 1000, 8),
    ("own: disabled", NONE, NONE, rules(4, 60, 0, 0, 0, "disabled"), 7, 8, 7),
    ("own: a percentage is rounded up", NONE, NONE, rules(0, 0, 10, 60, 0), 11, 1000, 13),
    ("own: after a product in double precision", NONE, NONE, rules(0, 0, 10, 60, 0), 100, 1000, 111),
]  # fmt: skip
IN = [
    ("scaleDownLimit is the limit (its row is skipped there)", NONE, NONE, rules(20, 60, 0, 0, 0), 1000, 3, 980),
    ("scaleDown with percent policy larger than pod policy", NONE, NONE, rules(20, 60, 1, 60, 300), 100, 2, 80),
    ("scaleDown with pod policy larger than percent policy", NONE, NONE, rules(2, 60, 1, 60, 300), 100, 2, 98),
    ("scaleDown with large pod policy", NONE, NONE, rules(100, 60, 0, 0, 300), 10, 0, 0),
    ("scaleDown with large percent policy", NONE, NONE, rules(0, 0, 100, 60, 300), 10, 2, 2),
    ("scaleDown with pod policy limitation", NONE, NONE, rules(5, 60, 0, 0, 300), 10, 2, 5),
    ("scaleDown with percent policy limitation", NONE, NONE, rules(0, 0, 50, 60, 300), 10, 5, 5),
    ("scaleDown with default policy and previous events", NONE, [1, 5, 9], SCALE_IN, 10, 5, 5),
    ("scaleDown with large pod policy and previous events", NONE, [1, 5, 9], rules(115, 120, 0, 0, 300), 100, 0, 0),
    ("scaleDown with pod policy limitation and previous events", NONE, [1, 5, 9], rules(5, 120, 0, 0, 300), 100, 2, 100),
    ("scaleDown with percent policy limitation and previous events", NONE, [2, 4, 6], rules(0, 0, 50, 120, 300), 100, 0, 56),
    ("scaleDown with percent policy and previous scale up and down events", [2], [4], rules(0, 0, 50, 180, 0), 10, 1, 6),
    ("scaleDown with previous events preventing further scale down", NONE, [10, 10, 10], rules(0, 0, 10, 120, 300), 100, 0, 100),
    ("scaleDown with previous events still allowing more", NONE, [10, 10, 10], rules(0, 0, 1000, 120, 300), 10, 5, 5),
    ("two different policies in the behavior for down", NONE, [8, 12, 9, 11], rules(1000, 120, 100, 60, 300), 100, 5, 5),
    ("TestCalculateScaleDownLimitWithBehaviors", NONE, NONE, rules(2, 60, 50, 60, 300, "min"), 5, 0, 3),
    ("own: disabled", NONE, NONE, rules(4, 60, 0, 0, 0, "disabled"), 7, 1, 7),
    ("own: a percentage is truncated", NONE, NONE, rules(0, 0, 10, 60, 0), 11, 1, 9),
    ("own: so that a small one removes the last but none", NONE, NONE, rules(0, 0, 10, 60, 0), 2, 0, 1),
    ("own: after a product in double precision", NONE, NONE, rules(0, 0, 90, 60, 0), 10, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("added", "removed", "out", "size", "wanted", "allowed"),
    [row[1:] for row in OUT],
    ids=[row[0] for row in OUT],
)
def test_rates_of_a_scale_out(
    added: list[int], removed: list[int], out: ScalingRules, size: int, wanted: int, allowed: int
) -> None:
    """TestScalingWithRules before the bounds, which test_target_tracking_hpa.py has."""
    assert limited(NOW, size, wanted, history(added, removed), out, SCALE_IN) == allowed


@pytest.mark.parametrize(
    ("added", "removed", "into", "size", "wanted", "allowed"),
    [row[1:] for row in IN],
    ids=[row[0] for row in IN],
)
def test_rates_of_a_scale_in(
    added: list[int], removed: list[int], into: ScalingRules, size: int, wanted: int, allowed: int
) -> None:
    """TestScalingWithRules before the bounds."""
    assert limited(NOW, size, wanted, history(added, removed), SCALE_OUT, into) == allowed


def test_a_change_exactly_one_period_ago_counts_no_more() -> None:
    """getReplicasChangePerPeriod: after the cutoff, not at it."""
    only = rules(4, 60, 0, 0, 0)
    for age, allowed in ((59, 8), (60, 12), (61, 12)):
        before = History((), (Changed(NOW - age * SECOND, 4),))
        assert limited(NOW, 8, 100, before, only, SCALE_IN) == allowed


RECOMMENDED: list[tuple[str, list[tuple[int, int]], int, int, int, int, int]] = [
    # name, (size, seconds ago), size, wanted, window out, window in, stable
    ("empty recommendations for scaling down", [], 100, 5, 0, 0, 5),
    ("simple scale down stabilization", [(4, 120), (5, 60)], 100, 3, 0, 180, 5),
    ("simple scale up stabilization", [(4, 120), (5, 60)], 1, 7, 300, 0, 4),
    ("no scale down stabilization", [(1, 120), (2, 60)], 100, 3, 300, 0, 3),
    ("no scale up stabilization", [(4, 120), (5, 60)], 1, 3, 0, 300, 3),
    ("no scale down stabilization, old recommendations", [(10, 600), (9, 540)], 100, 3, 0, 0, 3),
    ("scale down stabilization, old recommendations", [(10, 600), (4, 60), (5, 120), (9, 540)], 100, 3, 0, 180, 5),
    ("scale up stabilization, old recommendations", [(10, 6000), (6, 60), (5, 120), (9, 180)], 1, 100, 300, 0, 5),
    ("do not scale up when prenormalized rec goes down", [(2, 6000), (3, 180)], 2, 1, 300, 300, 2),
    ("do not scale down when prenormalized rec goes up", [(2, 6000), (1, 180)], 2, 3, 300, 300, 2),
    ("own: exactly one window ago is over", [(9, 300)], 10, 3, 0, 300, 3),
    ("own: a moment less is not", [(9, 299)], 10, 3, 0, 300, 9),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "size", "wanted", "out", "into", "stable"),
    [row[1:] for row in RECOMMENDED],
    ids=[row[0] for row in RECOMMENDED],
)
def test_stabilization(
    before: list[tuple[int, int]], size: int, wanted: int, out: int, into: int, stable: int
) -> None:
    """TestNormalizeDesiredReplicasWithBehavior."""
    past = History(tuple(Recommended(NOW - age * SECOND, asked) for asked, age in before))
    windows = ScalingRules(out * SECOND, OUT_RATES), ScalingRules(into * SECOND, IN_RATES)
    assert stabilized(NOW, size, wanted, past, *windows) == stable


@pytest.mark.parametrize(
    ("before", "wanted", "stable"),
    [
        ([], 5, 5),
        ([(4, 120), (5, 60)], 3, 5),
        ([(1, 120), (2, 60)], 3, 3),
        ([(10, 600), (9, 540)], 3, 3),
        ([(10, 600), (4, 60), (5, 120), (9, 540)], 3, 5),
        ([(9, 300)], 3, 9),
        ([(9, 301)], 3, 3),
    ],
)
def test_stabilization_without_rules(before: list[tuple[int, int]], wanted: int, stable: int) -> None:
    """TestNormalizeDesiredReplicas; the last two rows: stabilizeRecommendation keeps what is exactly one window old."""
    past = History(tuple(Recommended(NOW - age * SECOND, asked) for asked, age in before))
    assert stabilized_without_rules(NOW, wanted, past, 300 * SECOND) == stable


@pytest.mark.parametrize(
    ("size", "wanted", "allowed"), [(5, 7, 7), (3, 1000, 6), (1, 1000, 4), (0, 9, 4), (20, 0, 0), (2, 4, 4)]
)
def test_limits_without_rules(size: int, wanted: int, allowed: int) -> None:
    """TestConvertDesiredReplicasWithRules: twice the size, or 4 (scaleUpLimitFactor, scaleUpLimitMinimum); nothing limits a scale-in."""
    assert limited_without_rules(size, wanted) == allowed


@pytest.mark.parametrize(
    ("before", "expected"),
    [([], 0), ([(7, 61)], 0), ([(7, 58)], 7), ([(7, 61), (6, 59)], 6), ([(8, 29), (6, 59), (7, 61), (9, 61)], 14), ([(7, 58), (6, 59)], 13)],
)  # fmt: skip
def test_changes_in_a_period(before: list[tuple[int, int]], expected: int) -> None:
    """TestStoreScaleEvents."""
    past = History((), tuple(Changed(NOW - age * SECOND, by) for by, age in before))
    assert past.change(NOW, 60 * SECOND) == expected
    assert past.pruned(NOW, 0, 60 * SECOND).change(NOW, 60 * SECOND) == expected
    assert len(past.pruned(NOW, 0, 60 * SECOND).changes) == sum(age <= 60 for _, age in before)
