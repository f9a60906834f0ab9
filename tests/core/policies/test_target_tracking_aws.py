"""Target tracking by the EC2 Auto Scaling user guide, "Target tracking scaling policies"."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from windtunnel.core.policies import AnyPolicy, Combine, StepScaling, TargetTrackingAws
from windtunnel.core.policies.adjustments import StepAdjustment
from windtunnel.core.policies.alarms import Alarm
from windtunnel.core.policies.step import StepRule
from windtunnel.core.policies.view import NOTHING, FleetView, Memory, ServerView
from windtunnel.tests.core.policies.groups import MINUTE, Group

HALF = TargetTrackingAws(0.5, "cpu", warmup=0)
QUICK = replace(HALF, out_datapoints=1, in_datapoints=1)


def test_alarms_three_periods_out_and_fifteen_in() -> None:
    assert Group(HALF, 4).minutes([0.75] * 3) == [4, 4, 6]
    assert Group(HALF, 4).minutes([0.75, 0.75, 0.5, 0.75, 0.75, 0.75]) == [4, 4, 4, 4, 4, 6]
    assert Group(HALF, 4).minutes([0.25] * 15) == [4] * 14 + [2]


@pytest.mark.parametrize(
    ("size", "value", "after"),
    [
        (3, 0.75, 5),
        (3, 0.25, 2),
        (10, 0.5, 10),
        (10, 0.501, 11),
        (10, 0.45, 10),
        (10, 0.44, 9),
        (30, 0.1 + 0.2, 18),
        (1, 0.0, 1),
    ],
)
def test_section_considerations_rounding_and_margin(size: int, value: float, after: int) -> None:
    """1.5 more are rounded up to two; 1.5 fewer are one fewer. Decided here: exactly on the target, or 10% below it, changes nothing."""
    assert Group(QUICK, size).minutes([value]) == [after]


def test_the_margin_is_a_setting() -> None:
    assert Group(replace(QUICK, scale_in_margin=0.3), 10).minutes([0.36, 0.34]) == [10, 7]
    assert Group(replace(QUICK, scale_in=False), 10).minutes([0.1]) == [10]


def test_section_instance_warmup_counts_against_what_is_added() -> None:
    """4 at 75% need 6; while the two warm up the four are what is multiplied, and the two are there already."""
    group = Group(replace(QUICK, warmup=5 * MINUTE), 4)
    assert group.minutes([0.75, 0.75]) == [6, 6]
    assert group.last.reason == "warming up"
    assert group.minutes([0.9]) == [8], "4 * 1.8 is 7.2"


def test_section_instance_warmup_not_in_the_metric() -> None:
    policy = replace(QUICK, warmup=5 * MINUTE)
    servers = (ServerView("a", {"cpu": 0.4}), ServerView("b", {"cpu": 0.9}, since=MINUTE))
    memory = policy.propose(FleetView(2 * MINUTE, servers), NOTHING).memory
    found = policy.propose(FleetView(3 * MINUTE, servers), memory)
    assert (found.desired, found.reason, found.figures["average"]) == (2, "warming up", 0.4)


def test_section_instance_warmup_no_scale_in_while_scaling_out() -> None:
    group = Group(replace(QUICK, warmup=2 * MINUTE), 4, boot=MINUTE)
    assert group.minutes([0.75, 0.1, 0.1, 0.1]) == [6, 6, 6, 2]


def test_section_instance_warmup_terminating_instances_count_when_scaling_in() -> None:
    group = Group(QUICK, 8)
    group.drain_time = 5 * MINUTE
    assert group.minutes([0.4, 0.44]) == [7, 7], "0.88 * 8 is 7.04: eight, as one is still terminating"


def test_section_choosing_metrics_no_change_while_data_is_missing() -> None:
    group = Group(QUICK, 4)
    assert group.minutes([None, None]) == [4, 4]
    assert (group.last.reason, group.last.blind) == ("insufficient data", True)
    group = Group(HALF, 4)
    assert group.minutes([0.75, 0.75, None, 0.75]) == [4, 4, 4, 6], "three datapoints, the newest is there"
    assert Group(HALF, 4).minutes([0.75, 0.75, 0.75, None, None]) == [4, 4, 6, 6, 6], "old ones move nothing"


def test_nobody_is_asked_for_more_while_servers_are_silent() -> None:
    """The average is over those that report; others are told that something was not seen."""
    servers = (ServerView("a", {"cpu": 0.1}), ServerView("b", None))
    memory = QUICK.propose(FleetView(0, servers), NOTHING).memory
    found = QUICK.propose(FleetView(MINUTE, servers), memory)
    assert (found.desired, found.blind) == (1, True)


@given(st.integers(1, 40), st.floats(1, 60))
def test_it_settles_and_stays(size: int, load: float) -> None:
    """Constant load, shared by all alike."""
    group = Group(QUICK, size, step=MINUTE)
    sizes = [group.minutes([load * 0.5 / group.size])[0] for _ in range(12)]
    assert len(set(sizes[6:])) == 1
    assert load <= group.size * (1 + 1e-6), "never above the target"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(1, 3), st.permutations(range(9)))
def test_more_load_never_gives_fewer_and_order_does_not_matter(
    loads: list[float], factor: float, order: list[int]
) -> None:
    def desired(values: list[float]) -> int:
        servers = tuple(ServerView(f"s{n}", {"cpu": value}) for n, value in enumerate(values))
        memory: Memory = QUICK.propose(FleetView(0, servers), NOTHING).memory
        return QUICK.propose(FleetView(MINUTE, servers), memory).desired

    once = desired(loads)
    assert desired([value * factor for value in loads]) >= once
    assert desired([loads[n] for n in order if n < len(loads)]) == once


def test_none_makes_one_marks_and_json() -> None:
    assert HALF.propose(FleetView(0, ()), NOTHING).desired == 1
    assert HALF.marks("cpu") == ((0.5, "target"), (0.45, "scale in"))
    assert HALF.marks("requests") == ()
    adapter: TypeAdapter[AnyPolicy] = TypeAdapter(AnyPolicy)
    assert adapter.validate_json(adapter.dump_json(HALF)) == HALF


def test_as_a_part_of_combine_a_decided_scale_in_waits_for_the_others_consent() -> None:
    """What was decided at the end of a period stands in the next, so that parts need not agree at the same turn."""
    below = StepRule(Alarm(0.3, "cpu", above=False), (StepAdjustment(-2, upper=0),))
    step = StepScaling(scale_in=below, warmup=0)
    assert Group(Combine((QUICK, step), "max"), 8).minutes([0.25]) == [6]
    longer = MINUTE // 2 * 3
    shifted = StepScaling(scale_in=replace(below, alarm=replace(below.alarm, period=longer)), warmup=0)
    for other, size in ((shifted, 6), (replace(QUICK, period=longer), 4)):
        group = Group(Combine((QUICK, other), "max"), 8)
        assert group.minutes([0.25]) == [8]
        group.turn(0.25)
        group.now += group.step
        group.turn(0.25)
        assert (group.now, group.size) == (longer, size)
