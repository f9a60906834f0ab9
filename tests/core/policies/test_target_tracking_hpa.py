"""The HorizontalPodAutoscaler as a whole: metrics, windows, rates and bounds in their order, and what it remembers from turn to turn.

Cases of Kubernetes' own tests name them: kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal_test.go.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from windtunnel.core.autoscaler import Autoscaler
from windtunnel.core.model import AutoscalerSpec
from windtunnel.core.policies import AnyPolicy, TargetTrackingHpa
from windtunnel.core.policies.hpa_behavior import IN_WINDOW, Behavior, ScalingRate, ScalingRules
from windtunnel.core.policies.hpa_metrics import HpaMetric, Tolerances
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.view import NOTHING, FleetView, Memory, Proposal, ServerView
from windtunnel.core.ports import Sample, Servers

SECOND = 1_000_000_000
CPU, QPS = HpaMetric(0.3, "cpu"), HpaMetric(15, "in_flight")
PODS = (ScalingRate(2, "pods", 60 * SECOND),)
AT_ONCE = ScalingRules(0, (ScalingRate(100, "percent", 15 * SECOND),))
STEADY = TargetTrackingHpa((QPS,), behavior=Behavior(scale_in=AT_ONCE))
NONE: Mapping[str, float] = {}


def view(levels: list[Mapping[str, float] | None], now: int = 0, **more: Any) -> FleetView:
    servers = tuple(ServerView(f"s{number}", level) for number, level in enumerate(levels))
    return FleetView(now * SECOND, servers, **{"last_action": now * SECOND, **more})


def cpu(*levels: int, **more: Any) -> FleetView:
    return view([{"cpu": level / 1000} for level in levels], **more)


def load(servers: int, each: float, now: int = 0, **more: Any) -> FleetView:
    return view([{"in_flight": each}] * servers, now, **more)


def remembered(*sizes: tuple[int, int]) -> Memory:
    """Recommended (size, at so many seconds)."""
    return {
        "recommended": tuple(s for s, _ in sizes),
        "recommended_at": tuple(at * SECOND for _, at in sizes),
    }


ONE_TURN = [
    # name, metrics, fleet, minimum, maximum, memory, desired, reason
    ("TestScaleUp", (CPU,), cpu(300, 500, 700), 2, 6, NONE, 5, "above target"),
    ("TestScaleUpCM", (QPS,), view([{"in_flight": n} for n in (20, 10, 30)]), 2, 6, NONE, 4, "above target"),
    ("TestNoBackoffUpscaleCMNoBackoffCpu", (QPS, HpaMetric(0.1, "cpu")),
     view([{"in_flight": n, "cpu": c} for n, c in ((20, 0.9), (10, 0.9), (30, 0.9))]), 1, 5, NONE, 5, "at maximum"),
    ("TestScaleDown", (HpaMetric(0.5, "cpu"),), cpu(100, 300, 500, 250, 250, now=900), 2, 6, remembered((3, 890)), 3, "below target"),
    ("TestStabilizeDownscale", (HpaMetric(1.0, "cpu"),), cpu(500, 500, 500, 500, now=900), 1, 5, remembered((10, 300), (4, 840)), 4, "scale-in stabilized"),
    ("TestScaleDownStabilizeInitialSize", (HpaMetric(0.5, "cpu"),), cpu(100, 300, 500, 250, 250), 2, 6, NONE, 5, "scale-in stabilized"),
    ("TestTolerance", (HpaMetric(1.0, "cpu"),), cpu(1010, 1030, 1020), 1, 5, NONE, 3, "within"),
    ("TestMinReplicas", (HpaMetric(0.9, "cpu"),), cpu(10, 95, 10, now=900), 2, 5, remembered((1, 890)), 2, "at minimum"),
    ("TestMinReplicasDesiredZero", (HpaMetric(0.9, "cpu"),), cpu(0, 0, 0, now=900), 2, 5, remembered((0, 890)), 2, "at minimum"),
    ("TestMaxReplicas", (HpaMetric(0.9, "cpu"),), cpu(8000, 9500, 1000), 2, 5, NONE, 5, "at maximum"),
    ("TestSuperfluousMetrics-like: twice the size, or 4", (HpaMetric(1.0, "cpu"),), cpu(4000, 9500, 3000, 7000, 3200), 1, 40, NONE, 10, "scale-out limited"),
    ("TestTooFewReplicas-like: below the minimum, at once", (CPU,), view([None]), 3, 6, NONE, 3, "below minimum"),
    ("TestTooManyReplicas-like: above the maximum, at once", (CPU,), view([None] * 9), 3, 6, NONE, 6, "above maximum"),
    ("TestScaleUpOneMetricEmpty", (QPS, CPU), cpu(300, 400, 500), 2, 6, NONE, 4, "above target"),
    ("TestNoScaleDownOneMetricEmpty", (QPS, HpaMetric(0.5, "cpu")), cpu(100, 300, 500, 250, 250, now=900), 2, 6, remembered((3, 890)), 5, "unknown"),
    ("TestEmptyMetrics", (CPU,), view([None] * 4), 2, 6, NONE, 4, "unknown"),
    ("own: the greatest of several wins", (QPS, CPU), view([{"in_flight": 15, "cpu": 0.9}] * 2), 0, -1, NONE, 4, "scale-out limited"),
    ("own: no servers, whatever the minimum", (CPU,), view([]), 0, -1, NONE, 1, "no servers"),
    ("own: an average cannot ask for none", (QPS,), load(2, 0, 900), 0, -1, remembered((0, 890)), 1, "at minimum"),
    ("own: a total can", (HpaMetric(15, "in_flight", total=True),), load(2, 0, 900), 0, -1, remembered((0, 890)), 0, "below target"),
    ("own: and stays there", (HpaMetric(15, "in_flight", total=True),), view([]), 0, -1, NONE, 0, "within"),
    ("own: unless the minimum is more", (HpaMetric(15, "in_flight", total=True),), load(2, 0, 900), 1, -1, remembered((0, 890)), 1, "at minimum"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("metrics", "fleet", "minimum", "maximum", "memory", "desired", "reason"),
    [row[1:] for row in ONE_TURN],
    ids=[row[0] for row in ONE_TURN],
)
def test_one_turn_without_a_behavior(
    metrics: tuple[HpaMetric, ...],
    fleet: FleetView,
    minimum: int,
    maximum: int,
    memory: Memory,
    desired: int,
    reason: str,
) -> None:
    bounded = FleetView(fleet.now, fleet.servers, last_action=fleet.now, minimum=minimum, maximum=maximum)
    found = TargetTrackingHpa(metrics).propose(bounded, memory)
    assert (found.desired, found.reason) == (desired, reason)


def test_what_is_missing_is_said() -> None:
    missing = view([{"in_flight": 30}, None])
    assert TargetTrackingHpa((QPS,)).propose(missing, NOTHING).blind
    assert TargetTrackingHpa((QPS, CPU)).propose(load(2, 15), NOTHING).blind
    found = TargetTrackingHpa((QPS,)).propose(load(2, 18), NOTHING)
    assert not found.blind
    assert found.figures == {
        "in_flight": 18, "in_flight_target": 15, "in_flight_size": 3, "in_flight_missing": 0, "in_flight_unready": 0,
        "recommended": 3, "stabilized": 3, "allowed": 3,
    }  # fmt: skip


def test_a_fresh_start_records_the_size_first() -> None:
    """recordInitialRecommendation: so that a restart delays a scale-in by one window. With a behavior an age of exactly one window is over."""
    for rules, over in ((None, 315), (ScalingRules(0, PODS), 300)):
        policy = TargetTrackingHpa((QPS,), behavior=Behavior(scale_out=rules))
        memory, sizes = NOTHING, {}
        for now in range(0, 331, 15):
            found = policy.propose(load(6, 5, now), memory)
            memory, sizes[now] = found.memory, found.desired
        assert {now: size for now, size in sizes.items() if size < 6} == dict.fromkeys(
            range(over, 331, 15), 2
        )


def test_a_turn_without_usable_metrics_is_not_recorded() -> None:
    policy = TargetTrackingHpa((QPS,))
    first = policy.propose(load(4, 15), NOTHING)
    blind = policy.propose(view([None] * 4, 15), first.memory)
    assert blind.memory == first.memory
    assert (blind.desired, blind.reason, blind.blind) == (4, "unknown", True)


def test_a_fresh_start_is_only_one() -> None:
    """What is remembered may all be older than its window, and a window may be 0: the size is not recorded again."""
    policy = TargetTrackingHpa((QPS,), behavior=Behavior(downscale_stabilization=0))
    first = policy.propose(load(6, 5), NOTHING)
    assert [policy.propose(load(6, 5, now), first.memory).desired for now in (0, 15, 9000)] == [6, 2, 2]


def test_the_autoscaler_tells_its_bounds_and_its_last_action() -> None:
    """What the policy remembers is what became of its proposal, though bounds and actions are the autoscaler's."""
    policy = TargetTrackingHpa(
        (QPS,), behavior=Behavior(scale_out=ScalingRules(0, (ScalingRate(8, "pods", 60 * SECOND),)))
    )
    engine = Autoscaler(AutoscalerSpec(policy, minimum=2, maximum=5))
    servers = Servers(("s0", "s1", "s2"))

    def turn(now: int) -> int:
        samples = {one: Sample(one, now * SECOND, 0, 0.0, in_flight=50) for one in servers.serving}
        return engine.tick(now * SECOND, servers, samples).desired

    assert (turn(10), engine.memory["changed"]) == (5, (2,))
    assert engine.last_action == 10 * SECOND
    assert (turn(25), engine.memory["changed_at"]) == (5, (10 * SECOND, 25 * SECOND))


def turns(
    policy: TargetTrackingHpa, size: int, total: float, times: range, memory: Memory = NOTHING, **more: Any
) -> list[int]:
    """The sizes, when each is carried out at once and *total* in flight is spread over them."""
    sizes = []
    for now in times:
        fleet = load(size, total / size, now, **more)
        found = policy.propose(fleet, memory)
        memory, size = read_memory(write_memory(found.memory)), found.desired
        sizes.append(size)
    return sizes


def test_the_default_rates_of_a_behavior() -> None:
    """4 pods or 100 percent per 15 s, whichever allows more; down to what is wanted at once."""
    assert turns(STEADY, 1, 600, range(0, 90, 15)) == [5, 10, 20, 40, 40, 40]
    assert turns(STEADY, 40, 150, range(0, 30, 15)) == [10, 10]
    without = TargetTrackingHpa((QPS,))
    assert turns(without, 1, 600, range(0, 90, 15)) == [4, 8, 16, 32, 40, 40]


def test_rates_hold_per_period_and_not_per_turn() -> None:
    slow = TargetTrackingHpa(
        (QPS,), behavior=Behavior(scale_out=ScalingRules(0, PODS), scale_in=ScalingRules(0, PODS))
    )
    assert turns(slow, 1, 150, range(0, 135, 15)) == [3, 3, 3, 3, 5, 5, 5, 5, 7]
    assert turns(slow, 9, 15, range(0, 135, 15)) == [7, 7, 7, 7, 5, 5, 5, 5, 3]


def test_bounds_come_last_and_what_they_left_is_remembered() -> None:
    """The window and the rate see what the metrics asked for; the history sees what became of it."""
    rates = ScalingRules(0, (ScalingRate(8, "pods", 60 * SECOND),))
    policy = TargetTrackingHpa((QPS,), behavior=Behavior(scale_out=rates))
    found = policy.propose(load(2, 150, maximum=5), NOTHING)
    assert (found.desired, found.reason) == (5, "at maximum")
    assert (found.memory["changed"], found.memory["recommended"]) == ((3,), (2, 20))
    later = policy.propose(load(5, 150, 15, last_action=0), found.memory)
    assert later.desired == 10, "the 8 of this minute, less 3"


def test_what_was_not_carried_out_is_forgotten() -> None:
    policy = TargetTrackingHpa((QPS,), behavior=Behavior(scale_out=ScalingRules(0, PODS)))
    held = policy.propose(load(2, 150, 30, last_action=0), NOTHING)
    assert held.desired == 4
    assert policy.propose(load(2, 150, 45, last_action=0), held.memory).desired == 4, (
        "a cooldown prevented it"
    )
    assert policy.propose(load(2, 150, 45, last_action=30 * SECOND), held.memory).desired == 2, (
        "a launch was refused"
    )


def test_corrections_of_bounds_are_changes_too() -> None:
    rates = ScalingRules(0, (ScalingRate(3, "pods", 60 * SECOND),))
    policy = TargetTrackingHpa((QPS,), behavior=Behavior(scale_out=rates))
    corrected = policy.propose(load(1, 15, minimum=3, maximum=9), NOTHING)
    assert (corrected.desired, corrected.memory["changed"]) == (3, (2,))
    assert (
        policy.propose(load(3, 150, 15, last_action=0, minimum=3, maximum=9), corrected.memory).desired == 4
    )


def test_memory_does_not_grow() -> None:
    policy = TargetTrackingHpa((QPS,), behavior=Behavior(scale_out=AT_ONCE))
    memory: Memory = NOTHING
    for now in range(0, 3000, 10):
        memory = policy.propose(load(3, 10 + now % 20, now), memory).memory
    assert {name: len(series) for name, series in memory.items() if name.startswith("recommended")} == {
        "recommended": 31, "recommended_at": 31,
    }  # fmt: skip
    assert len(memory["changed"]) <= 3


def test_another_policys_memory_is_none() -> None:
    strange: Memory = {"recommended": (1.0, 2.0), "other": (3.0,)}
    assert STEADY.propose(load(3, 5), strange) == STEADY.propose(load(3, 5), NOTHING)


def test_marks_are_the_targets_of_averages() -> None:
    policy = TargetTrackingHpa((CPU, HpaMetric(20, "requests", total=True)))
    assert policy.marks("cpu") == ((0.3, "target"),)
    assert policy.marks("requests") == policy.marks("memory") == ()


def test_settings_travel_as_json() -> None:
    adapter: TypeAdapter[AnyPolicy] = TypeAdapter(AnyPolicy)
    policy = TargetTrackingHpa(
        (CPU, QPS), Tolerances(0.05, 0.2), behavior=Behavior(scale_in=ScalingRules(IN_WINDOW, PODS, "min"))
    )
    assert adapter.validate_json(adapter.dump_json(policy)) == policy


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 30), st.integers(0, 2000), st.integers(0, 3), st.integers(4, 40), st.booleans())
def test_constant_load_settles_within_the_bounds(
    size: int, total: int, minimum: int, maximum: int, behaves: bool
) -> None:
    policy = (
        STEADY
        if behaves
        else TargetTrackingHpa((QPS,), behavior=Behavior(downscale_stabilization=60 * SECOND))
    )
    sizes = turns(policy, size, total, range(0, 600, 15), minimum=minimum, maximum=maximum)
    assert len(set(sizes[10:])) == 1
    assert all(max(minimum, 1) <= found <= maximum for found in sizes)
    needed = min(max(-(-total // 15), minimum, 1), maximum)
    assert sizes[-1] == needed or abs(total / sizes[-1] / 15 - 1) <= 0.11


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.data(), st.booleans())
def test_neither_order_nor_type_matters(levels: list[int], data: st.DataObject, behaves: bool) -> None:
    policy = STEADY if behaves else TargetTrackingHpa((QPS,))

    def propose(each: list[float]) -> Proposal:
        return policy.propose(view([{"in_flight": level} for level in each]), NOTHING)

    assert propose(list(levels)) == propose([float(level) for level in data.draw(st.permutations(levels))])
