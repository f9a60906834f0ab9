"""Simple scaling by the EC2 Auto Scaling user guide, "Scaling cooldowns" and "Simple scaling policies"."""

from pydantic import TypeAdapter
from windtunnel.core.policies import AnyPolicy, SimpleScaling
from windtunnel.core.policies.alarms import Alarm
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.simple import SimpleRule
from windtunnel.core.policies.view import NOTHING, FleetView, ServerView
from windtunnel.tests.core.policies.groups import MINUTE, Group

OUT = SimpleRule(Alarm(0.8, "cpu"), 2)
IN = SimpleRule(Alarm(0.3, "cpu", above=False), -1, cooldown=MINUTE)
BOTH = SimpleScaling(OUT, IN)


def test_section_scaling_cooldowns_two_launches_then_a_pause() -> None:
    """ "...launches two instances and then pauses ... if CPU utilization breaches the alarm high threshold again, [it] scales out again": 300 s by default."""
    group = Group(BOTH, 4)
    assert group.minutes([0.9] * 7) == [6, 6, 6, 6, 6, 8, 8]


def test_section_scaling_cooldowns_enough_is_enough() -> None:
    """ "if two instances were enough ... the group remains at its current size"."""
    assert Group(BOTH, 4).minutes([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5]) == [6] * 7


def test_section_scaling_cooldowns_begin_when_the_last_instance_has_finished() -> None:
    """Launched at 1 min, ready at 3 min: nothing before 8 min."""
    group = Group(BOTH, 4, boot=2 * MINUTE)
    assert group.minutes([0.9] * 8) == [6, 6, 6, 6, 6, 6, 6, 8]


def test_section_scaling_cooldowns_of_a_policy_of_its_own() -> None:
    """The cooldown is that of the rule that acted: a minute after a scale-in."""
    group = Group(BOTH, 6)
    assert group.minutes([0.2, 0.2, 0.2]) == [5, 4, 3]
    assert group.minutes([0.9, 0.9, 0.2]) == [5, 5, 5], "five minutes after a scale-out, for either alarm"
    assert group.last.reason == "cooldown"
    assert group.last.figures["left"] == 180


def test_section_scaling_cooldowns_wait_for_connection_draining() -> None:
    """The cooldown period starts when the terminating instance finishes connection draining."""
    group = Group(BOTH, 6)
    group.drain_time = 3 * MINUTE
    assert group.minutes([0.2] * 6) == [5, 5, 5, 5, 4, 4]


def test_what_happens_to_the_group_otherwise_is_followed_by_the_longer_cooldown() -> None:
    group = Group(BOTH, 6)
    group.last_action = 0
    assert group.minutes([0.2] * 6) == [6, 6, 6, 6, 5, 4]


def test_percent_and_exact_adjustments() -> None:
    """Section "Scaling adjustment types": 25% of 4 is 1, but the least change is 2."""
    quarter = SimpleScaling(SimpleRule(Alarm(0.8, "cpu"), 25, "percent", 2))
    assert Group(quarter, 4).minutes([0.9]) == [6]
    to_two = SimpleScaling(scale_in=SimpleRule(Alarm(0.3, "cpu", above=False), 2, "exact"))
    assert Group(to_two, 7).minutes([0.1]) == [2]


def test_datapoints_and_missing_data() -> None:
    slow = SimpleScaling(SimpleRule(Alarm(0.8, "cpu", evaluation_periods=2, datapoints_to_alarm=2), 1))
    assert Group(slow, 4).minutes([0.9, 0.5, 0.9, 0.9]) == [4, 4, 4, 5]
    group = Group(BOTH, 4)
    assert group.minutes([None, None]) == [4, 4]
    assert group.last.reason == "insufficient data"
    assert group.last.blind


def test_the_cooldown_survives_a_crash() -> None:
    group = Group(BOTH, 4, boot=2 * MINUTE)
    group.minutes([0.9] * 4)
    group.memory = read_memory(write_memory(group.memory))
    assert group.minutes([0.9] * 4) == [6, 6, 6, 8]


def test_none_makes_one_and_json() -> None:
    assert BOTH.propose(FleetView(0, ()), NOTHING).desired == 1
    assert BOTH.marks("cpu") == ((0.8, "scale out"), (0.3, "scale in"))
    assert BOTH.marks("memory") == ()
    adapter: TypeAdapter[AnyPolicy] = TypeAdapter(AnyPolicy)
    assert adapter.validate_json(adapter.dump_json(BOTH)) == BOTH


def test_a_boot_shorter_than_the_interval_between_turns_delays_the_cooldown_as_well() -> None:
    servers = (ServerView("old", {"cpu": 0.9}), ServerView("new", {"cpu": 0.9}, since=2 * MINUTE))
    views = [FleetView(minute * MINUTE, servers, last_action=MINUTE) for minute in (5, 6, 7)]
    memory, found = NOTHING, []
    for view in views:
        proposal = BOTH.propose(view, memory)
        memory = proposal.memory
        found.append(proposal.desired)
    assert found == [2, 2, 4]
