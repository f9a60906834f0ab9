"""Step scaling by the EC2 Auto Scaling user guide, "Step and simple scaling policies"."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter
from windtunnel.core.model import SECOND
from windtunnel.core.policies import AnyPolicy, StepScaling
from windtunnel.core.policies.alarms import Alarm
from windtunnel.core.policies.step import StepRule
from windtunnel.core.policies.view import NOTHING, FleetView, ServerView
from windtunnel.tests.core.policies.groups import MINUTE, Group
from windtunnel.tests.core.policies.test_adjustments import IN, OUT

GUIDE = StepScaling(
    StepRule(Alarm(0.5, "cpu"), OUT, "percent"),
    StepRule(Alarm(0.5, "cpu", above=False), IN, "percent"),
    warmup=0,
)
"""The section's example: 50%, unchanged between 40 and 60, 10% from 60 and to 40, 30% from 70 and to 30."""


def test_section_step_adjustments_out_and_in() -> None:
    """10; at 60 it is 11, at 70 then 14, at 40 then 13, at 30 then 10."""
    group = Group(GUIDE, 10)
    assert group.minutes([0.5, 0.59, 0.41, 0.6, 0.7, 0.4, 0.3, 0.5]) == [10, 10, 10, 11, 14, 13, 10, 10]


def test_section_instance_warmup() -> None:
    """10; at 60 it is 11; 62 while that one warms up stays 11; 70 then makes 13."""
    group = Group(replace(GUIDE, warmup=10 * MINUTE), 10)
    assert group.minutes([0.6, 0.62, 0.7]) == [11, 11, 13]


def test_section_instance_warmup_is_over() -> None:
    """The eleventh counts when it is warm: 30% of 11 is 3."""
    group = Group(replace(GUIDE, warmup=2 * MINUTE), 10, boot=MINUTE)
    assert group.minutes([0.6, 0.5, 0.5, 0.5, 0.7]) == [11, 11, 11, 11, 14]


def test_section_instance_warmup_a_warming_instance_is_not_in_the_metric() -> None:
    rule = replace(GUIDE, warmup=5 * MINUTE)
    servers = (ServerView("old", {"cpu": 0.55}), ServerView("new", {"cpu": 1.0}, since=MINUTE))
    memory = rule.propose(FleetView(2 * MINUTE, servers), NOTHING).memory
    assert rule.propose(FleetView(3 * MINUTE, servers), memory).figures["average"] == 0.55


def test_section_instance_warmup_no_scale_in_meanwhile() -> None:
    """A scale-in activity can't start while a scale-out activity is in progress."""
    group = Group(replace(GUIDE, warmup=2 * MINUTE), 10, boot=MINUTE)
    assert group.minutes([0.6, 0.3, 0.3]) == [11, 11, 11]
    assert group.last.reason == "warming up"
    assert group.minutes([0.3]) == [8], "30% of 11 is 3"


def test_section_instance_warmup_terminating_instances_count_when_scaling_in() -> None:
    """14 at 40 is 13 (10%, 1.4 rounded to 1); 13 and one terminating are 14 still, hence 13 again."""
    group = Group(GUIDE, 14)
    group.drain_time = 3 * MINUTE
    assert group.minutes([0.4, 0.4, 0.4]) == [13, 13, 13]
    assert group.minutes([0.4]) == [12]


def test_repeated_breaches_add_again_without_a_warmup() -> None:
    assert Group(GUIDE, 10).minutes([0.6, 0.6, 0.6]) == [11, 12, 13]


def test_m_out_of_n_datapoints() -> None:
    rule = StepRule(Alarm(0.5, "cpu", evaluation_periods=3, datapoints_to_alarm=2), OUT)
    group = Group(StepScaling(scale_out=rule, warmup=0), 1)
    assert group.minutes([0.7, 0.2, 0.7, 0.7, 0.2]) == [1, 1, 31, 61, 61], (
        "the last datapoint lies in no step"
    )
    assert group.last.reason == "no step"


def test_without_data_nothing_changes_and_with_less_the_last_value_stands() -> None:
    group = Group(GUIDE, 10)
    assert group.minutes([0.5, None, None, None, None]) == [10] * 5
    assert group.last.reason == "insufficient data"
    assert group.last.blind
    ignoring = replace(
        GUIDE.scale_out or StepRule(Alarm(0), ()), alarm=Alarm(0.5, "cpu", missing_data="breaching")
    )
    blind = Group(StepScaling(scale_out=ignoring, warmup=0), 10)
    assert blind.minutes([None, None]) == [10, 10]
    assert blind.last.reason == "no datapoint"


def test_the_larger_capacity_wins_where_both_alarms_ring() -> None:
    """Section "Multiple dynamic scaling policies" of "Dynamic scaling"."""
    both = StepScaling(
        StepRule(Alarm(0.5, "cpu"), (OUT[1],), "percent"),
        StepRule(Alarm(0.9, "cpu", above=False), IN, "percent"),
        warmup=0,
    )
    assert Group(both, 10).minutes([0.6]) == [11]


def test_a_decision_stands_until_the_next_period_and_is_carried_out_once() -> None:
    group = Group(GUIDE, 10, step=SECOND)
    group.minutes([0.6])
    assert group.size == 11
    group.ready.pop()
    group.now += SECOND
    assert group.turn(0.6).desired == 11, "what is lost meanwhile comes back"


def test_one_server_always_stays_and_none_makes_one() -> None:
    nothing = StepScaling(scale_in=StepRule(Alarm(0.5, "cpu", above=False), IN, "exact"), warmup=0)
    assert Group(nothing, 2).minutes([0.45]) == [1]
    assert nothing.propose(FleetView(0, ()), NOTHING).desired == 1


@pytest.mark.parametrize("metric", ["cpu", "requests"])
def test_marks_and_json(metric: str) -> None:
    marks = GUIDE.marks(metric)
    assert marks == (((0.5, "scale out"), (0.5, "scale in")) if metric == "cpu" else ())
    adapter: TypeAdapter[AnyPolicy] = TypeAdapter(AnyPolicy)
    assert adapter.validate_json(adapter.dump_json(GUIDE)) == GUIDE


def test_a_scale_in_that_was_decided_waits_for_what_boots() -> None:
    servers = tuple(ServerView(f"s{n}", {"cpu": 0.4}) for n in range(10))
    memory = GUIDE.propose(FleetView(0, servers), NOTHING).memory
    decided = GUIDE.propose(FleetView(MINUTE, servers), memory)
    assert (decided.desired, decided.reason) == (9, "scale_in")
    again = GUIDE.propose(FleetView(MINUTE + SECOND, servers), decided.memory)
    assert (again.desired, again.reason) == (9, "as decided")
    held = GUIDE.propose(FleetView(MINUTE + SECOND, servers, booting=(MINUTE,)), decided.memory)
    assert (held.desired, held.reason) == (11, "waiting")
