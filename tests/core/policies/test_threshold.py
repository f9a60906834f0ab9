"""The simple rule, standby in reserve, and what each of its well-known faults does."""

from typing import Any

import pytest
from windtunnel import Scenario, replay
from windtunnel.core.autoscaler import Autoscaler
from windtunnel.core.model import SECOND
from windtunnel.core.policies import Combine, Threshold, ThresholdFaults
from windtunnel.core.policies.view import NOTHING, FleetView
from windtunnel.core.ports import CloudInstance, Sample, Servers
from windtunnel.core.scaling_decision import Launch, Promote
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.core.policies.closed_loop import ClosedLoop, spec
from windtunnel.tests.core.policies.views import view
from windtunnel.tests.sim.test_fleet import rush
from windtunnel.tests.support import happened, outcomes, run

CLASSIC: dict[str, Any] = {
    "requests_high": 300.0,
    "requests_low": 100.0,
    "memory_high": 0.9,
    "memory_low": 0.3,
}
SMALL: dict[str, Any] = {"requests_high": 80.0, "requests_low": 30.0}


def rule(**faults: bool) -> Threshold:
    """The classic marks, with *faults* switched on."""
    return Threshold(**CLASSIC, faults=ThresholdFaults(**faults))


@pytest.mark.parametrize(
    ("policy", "fleet", "desired", "reason"),
    [
        # Low memory alone is enough, or few requests alone; a lone server stays all the same.
        (rule(), view((250, 0.2), (250, 0.2)), 2, "within"),
        (rule(in_on_either=True), view((250, 0.2), (250, 0.2)), 1, "idle"),
        (rule(in_on_either=True), view((50, 0.8), (250, 0.3)), 1, "idle"),
        (rule(in_on_either=True), view((101, 0.31), (50, 0.2)), 2, "within"),
        (rule(in_on_either=True), view((300, 0.2), (50, 0.2)), 3, "requests_high"),
        (rule(in_on_either=True), view((0, 0)), 1, "within"),
        # The last of the list is idle, and the others are not, or nobody knows.
        (rule(), view((299, 0.8), (50, 0.2)), 2, "within"),
        (rule(last_server_decides=True), view((299, 0.8), (50, 0.2)), 1, "idle"),
        (rule(last_server_decides=True), view((50, 0.2), (299, 0.8)), 2, "within"),
        (rule(last_server_decides=True), view(None, (50, 0.2)), 1, "idle"),
        (rule(last_server_decides=True), view((50, 0.2), None), 2, "unknown"),
        # What boots is no reason to wait.
        (rule(), view((300, 0.2), booting=1), 2, "booting"),
        (rule(no_cooldown=True), view((300, 0.2), booting=1), 3, "requests_high"),
        (rule(no_cooldown=True), view((50, 0.2), booting=1), 1, "idle"),
        (rule(no_cooldown=True), view(booting=1), 1, "no servers"),
        (rule(two_launches=True), view((300, 0.2)), 3, "requests_high"),
        (rule(two_launches=True), view((50, 0.2), (50, 0.2)), 1, "idle"),
    ],
)
def test_faults_in_what_is_proposed(policy: Threshold, fleet: FleetView, desired: int, reason: str) -> None:
    proposal = policy.propose(fleet, NOTHING)
    assert (proposal.desired, proposal.reason) == (desired, reason)


def test_counters_that_nobody_resets_stand_at_the_most_there_ever_was() -> None:
    faulty, memory = rule(counters_never_reset=True), NOTHING
    said = [((50.0, 0.2), (320.0, 0.2)), ((50.0, 0.2), (50.0, 0.2)), ((50.0, 0.2), None)]
    found = []
    for loads in said:
        proposal = faulty.propose(view(*loads), memory)
        memory = proposal.memory
        found.append((proposal.desired, proposal.reason, proposal.blind))
    assert found == [(3, "requests_high", False)] * 3
    # The sound rule removes one as soon as it can, and waits for who is silent.
    sound = [rule().propose(view(*loads), NOTHING) for loads in said]
    assert [(p.desired, p.blind) for p in sound] == [(3, False), (1, False), (2, True)]
    # Only listed servers are remembered.
    assert faulty.propose(view((1, 0.1)), memory).memory == {"s0": (50.0, 0.1)}


def test_figures_and_marks_are_those_that_are_looked_at() -> None:
    assert rule().propose(view((20, 0.5), (30, 0.4), None), NOTHING).figures == {
        "most requests": 30,
        "most memory": 0.5,
    }
    assert Threshold(**SMALL).propose(view((20, 0.5)), NOTHING).figures == {"most requests": 20}
    assert rule().propose(view(None), NOTHING).figures == {}
    reserve = Threshold(**SMALL, standby_above=90)
    assert reserve.marks("requests") == ((80.0, "high"), (30.0, "low"), (90, "standby"))


# Around the rule: the autoscaler, and a fleet that answers.


def loop(minimum: int = 1, maximum: int = 6, cooldown: int = 30, **faults: bool) -> ClosedLoop:
    """One server that boots for twenty seconds, the small marks, a turn each second."""
    policy = Threshold(**SMALL, faults=ThresholdFaults(**faults))
    return ClosedLoop(spec(policy, minimum, maximum, SECOND, cooldown * SECOND))


def test_without_cooldown_each_turn_orders_another_until_the_first_has_booted() -> None:
    sound, faulty, unlimited = loop(), loop(no_cooldown=True), loop(no_cooldown=True, no_maximum=True)
    for fleet in (sound, faulty, unlimited):
        fleet.run(100.0, 2)
    assert (sound.launches, max(sound.sizes)) == (1, 2)
    assert max(faulty.sizes) == 6
    assert max(unlimited.sizes) == 21, "one each second of the first boot"
    assert unlimited.launches >= 20


def test_without_maximum_the_fleet_grows_with_the_load() -> None:
    sound, faulty = loop(cooldown=5), loop(cooldown=5, no_maximum=True)
    for fleet in (sound, faulty):
        fleet.run(1000.0, 15)
    assert max(sound.sizes) == 6
    assert faulty.serving == 13, "1000/s over 13 servers is 77/s each"


def test_two_launches_keep_to_the_maximum() -> None:
    one, two = loop(maximum=4), loop(maximum=4, two_launches=True)
    for fleet in (one, two):
        fleet.turn(100.0)
    assert (one.size, two.size) == (2, 3)
    two.run(1000.0, 5)
    assert max(two.sizes) == 4


def test_low_memory_alone_never_lets_the_fleet_settle() -> None:
    """Two servers carry this load well, and their memory is low: it is 0.1 + 0.6 of what fills a server."""
    policy: dict[str, Any] = {
        "requests_high": 80.0,
        "requests_low": 30.0,
        "memory_high": 0.9,
        "memory_low": 0.5,
    }
    found = []
    for either in (False, True):
        faults = ThresholdFaults(in_on_either=either)
        fleet = ClosedLoop(spec(Threshold(**policy, faults=faults), 1, 6, SECOND), initial=2)
        fleet.run(120.0, 10)
        found.append((fleet.launches, set(fleet.sizes)))
    assert found[0] == (0, {2})
    assert found[1][0] > 10
    assert found[1][1] == {1, 2}


def test_a_low_mark_above_half_of_the_high_one_never_settles_at_some_loads() -> None:
    """Why the laws promise it only below half: 100/s is too much for one server and too little for two."""
    calm, restless = (
        ClosedLoop(spec(Threshold(requests_high=80, requests_low=low), 1, 6, SECOND)) for low in (39.0, 50.0)
    )
    for fleet in (calm, restless):
        fleet.run(100.0, 10)
    assert calm.launches == 1
    assert restless.launches > 10


# Standby in reserve.


@pytest.mark.parametrize(
    ("fleet", "desired", "reason", "promotes"),
    [
        (view((300, 0.2), standby=1), 2, "requests_high", False),
        (view((500, 0.2), standby=1), 2, "requests_high", False),
        (view((501, 0.2), standby=1), 2, "standby_above", True),
        (view((501, 0.2), booting=1, standby=1), 3, "standby_above", True),
        (view((501, 0.2), booting=1), 2, "booting", False),
        (view((501, 0.2)), 2, "requests_high", False),
        (view(standby=1), 1, "no servers", True),
    ],
)
def test_standby_servers_are_kept_for_the_worst(
    fleet: FleetView, desired: int, reason: str, promotes: bool
) -> None:
    proposal = Threshold(**CLASSIC, standby_above=500).propose(fleet, NOTHING)
    assert (proposal.desired, proposal.reason, proposal.promotes) == (desired, reason, promotes)


def ask(policy: Threshold, requests: int, maximum: int = 4) -> list[type]:
    """What an autoscaler with a serving and a standby server does."""
    engine = Autoscaler(spec(policy, 1, maximum))
    instances = [
        CloudInstance(n, f"i-{n}", f"a{n}", role, "running", 0)
        for n, role in ((1, "serving"), (2, "standby"))
    ]
    engine.adopt(0, tuple(instances))
    samples = {"a1": Sample("a1", SECOND, requests, 0.2), "a2": Sample("a2", SECOND, 0, 0.1)}
    return [type(action) for action in engine.tick(SECOND, Servers(("a1",), (), ("a2",)), samples).actions]


def test_the_autoscaler_promotes_as_the_proposal_says() -> None:
    reserve = Threshold(**CLASSIC, standby_above=500)
    assert ask(rule(), 300) == [Promote]
    assert ask(reserve, 300) == [Launch]
    assert ask(reserve, 501) == [Promote]
    assert ask(reserve, 501, maximum=1) == []
    assert ask(rule(two_launches=True), 300) == [Promote, Launch]


# Through the scenario file.


def scaler(**settings: Any) -> dict[str, Any]:
    return {
        "policy": {"threshold": {"requests_high": "100/s", "requests_low": "30/s", **settings}},
        "cooldown": "2s",
    }


def test_a_standby_server_serves_at_once_when_a_launch_would_be_late() -> None:
    document = rush(autoscaler=scaler(standby_above="200/s"))
    document["fleet"]["app"].update(standby=1, boot_time={"constant": "6s"})
    found = run(document)
    promoted, launched = happened(found, "promoted"), happened(found, "launched")
    assert [event["server"] for event in promoted] == [2]
    # The first turn after the rush sees 250/s on one server.
    assert 5 * SECOND < promoted[0]["t"] <= 8 * SECOND
    assert launched[-1]["t"] > promoted[0]["t"]
    assert set(outcomes(found)) == {"ok"}
    reasons = [event["reason"] for event in happened(found, "decision") if event["actions"]]
    assert reasons[:2] == ["standby_above", "requests_high"]


def test_without_maximum_a_scenario_exceeds_its_max() -> None:
    document = rush(autoscaler=scaler(faults={"no_cooldown": True, "no_maximum": True}))
    document["fleet"]["app"].update(max=2, boot_time={"constant": "5s"})
    assert run(document).summary["fleet"]["most"] > 4


def test_the_library_shows_two_faults_and_that_the_sound_rule_has_none_of_it() -> None:
    faults = ("in_on_either", "no_cooldown")
    sound = Scenario.load(
        "threshold-faults", [f"autoscaler.policy.threshold.faults.{name}=false" for name in faults]
    )
    run_of_it = replay(sound, registry="memory", cloud="memory")
    assert not run_of_it.passed, "its objectives say that the faults tell"
    assert not happened(run_of_it, "decision")
    assert run_of_it.summary["latency_ns"]["p99"] < 150_000_000


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"standby_above": "50/s"}, "standby_above: expected no less than requests_high (100/s), got 50/s"),
        ({"faults": {"no_cooldwn": True}}, "faults.no_cooldwn: unknown key; did you mean 'no_cooldown'?"),
        ({"faults": "all"}, "faults: expected"),
    ],
)
def test_bad_settings_get_one_clear_sentence(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        run(rush(autoscaler=scaler(**settings)))
    assert complaint in str(error.value)


def test_parts_of_a_combination_promote_if_any_does_and_waive_if_all_do() -> None:
    reserve = Threshold(**CLASSIC, standby_above=500)
    hasty, boundless = rule(no_cooldown=True), rule(no_cooldown=True, no_maximum=True)
    fleet = view((300, 0.2), standby=1)
    found = [
        Combine(parts).propose(fleet, NOTHING)
        for parts in ((reserve,), (reserve, rule()), (hasty, boundless))
    ]
    assert [(one.promotes, one.waives) for one in found] == [(False, ()), (True, ()), (True, ("cooldown",))]
