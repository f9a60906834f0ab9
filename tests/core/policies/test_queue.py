"""The policy ``queue``: worked examples of KEDA's documentation and source, and the corners that it leaves open.

Sources: keda.sh/docs/2.16, "Scaling Deployments, StatefulSets & Custom Resources" (concepts) and "ScaledObject specification" (spec);
kedacore/keda, pkg/scaling/executor/scale_scaledobjects.go (executor) and pkg/fallback/fallback.go (fallback); for sizes between 1 and N
kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator.go, GetExternalPerPodMetricReplicas, and horizontal.go, stabilizeRecommendation.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from windtunnel.core import policies
from windtunnel.core.policies.hpa_behavior import SCALE_IN, Behavior, ScalingRate, ScalingRules
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.queue import Fallback, Queue
from windtunnel.core.policies.view import NOTHING, FleetView, Memory, Proposal, ServerView

SECOND = 1_000_000_000


def view(
    now: float, size: int, total: float | None, minimum: int = 0, last_action: int = -1, **more: float
) -> FleetView:
    """*size* servers at *now* (s), and the proxy's sample with *total* in each metric (None: missing)."""
    servers = tuple(ServerView(f"http://10.0.0.{n}", None) for n in range(size))
    load = (
        None if total is None else {"requests": total, "in_flight": total, "waiting": total, "unserved": 0.0}
    )
    load = None if load is None else {**load, **more}
    return FleetView(int(now * SECOND), servers, (), 0, last_action, minimum, proxy=load)


class Fleet:
    """A fleet that at once has the size that is proposed; a turn each *step* seconds."""

    def __init__(self, policy: Queue, size: int, minimum: int = 0, step: float = 1) -> None:
        self.policy, self.size, self.minimum, self.step = policy, size, minimum, step
        self.now = 0.0
        self.acted = -1
        self.memory: Memory = NOTHING

    def turn(self, total: float | None) -> Proposal:
        """One, from text to text: what is remembered must survive a crash."""
        self.now += self.step
        seen = view(self.now, self.size, total, self.minimum, last_action=self.acted)
        proposal = self.policy.propose(seen, self.memory)
        self.memory = read_memory(write_memory(proposal.memory))
        if proposal.desired != self.size:
            self.acted = seen.now
        self.size = proposal.desired
        return proposal

    def sizes(self, totals: Iterable[float | None]) -> list[int]:
        """The size after each turn."""
        return [self.turn(total).desired for total in totals]


def quick(**changes: Any) -> Queue:
    """Both loops each second, no stabilization."""
    base: dict[str, Any] = {
        "target": 10.0,
        "polling": SECOND,
        "sync": SECOND,
        "behavior": Behavior(downscale_stabilization=0),
    }
    return Queue(**{**base, **changes})


def scaled(size: int, total: float, **changes: Any) -> int:
    """The size that an active fleet is given, after a turn with what it is to have."""
    fleet = Fleet(quick(**changes), size)
    fleet.turn(size * fleet.policy.target)
    return fleet.turn(total).desired


@pytest.mark.parametrize(
    ("activation", "total", "wakes"),
    [
        # concepts: "Activation only occurs when this value is greater than the set value; not greater than or equal to."
        (0, 0, False), (0, 1, True), (50, 40, False), (50, 50, False), (50, 50.5, True),
        # concepts, activationTarget: "2": "If the calculated value is <=2, the ScaledObject is not Active".
        (2, 2, False), (2, 3, True),
    ],
)  # fmt: skip
def test_activation_is_strict(activation: float, total: float, wakes: bool) -> None:
    proposal = Fleet(quick(activation=activation), 0).turn(total)
    assert proposal.desired == (1 if wakes else 0)
    assert proposal.reason == ("active" if wakes else "not active")
    assert not proposal.blind


def test_activation_has_priority_over_scaling() -> None:
    # concepts: "threshold: 10 and activationThreshold: 50, in case of 40 messages the scaler is not active and it'll be scaled to zero even the
    # HPA requires 4 instances."
    assert Fleet(quick(activation=50), 4).turn(40).desired == 0
    assert Fleet(quick(activation=30), 4).turn(40).desired == 4
    # concepts: "If the minimum replicas is >= 1, the scaler is always active and the activation value will be ignored."
    assert Fleet(quick(activation=50), 1, minimum=1).turn(40).desired == 4


@pytest.mark.parametrize(
    ("size", "total", "desired"),
    [
        # GetExternalPerPodMetricReplicas: ceil(usage / target) outside the tolerance of 0.1 around usage / (target * replicas).
        (1, 11.01, 2), (1, 40, 4), (4, 40, 4), (4, 44, 4), (4, 44.01, 5), (4, 36, 4), (4, 35.9, 4), (4, 30, 3),
        (10, 90, 10), (10, 89.9, 9), (10, 110, 10), (10, 110.1, 12), (3, 1, 1),
        # On the boundary of the tolerance nothing changes (isWithin is inclusive), and sums of floats do not tip over.
        (1, 11, 1), (3, 33, 3), (3, 27, 3), (7, 0.1 * 30 * 10, 3), (2, 0.1 + 29.9, 3),
    ],
)  # fmt: skip
def test_sizes_between_one_and_many(size: int, total: float, desired: int) -> None:
    assert scaled(size, total) == desired
    assert scaled(size, int(total)) == scaled(size, float(int(total)))


def test_from_zero_the_fleet_has_its_least_size_first_and_is_scaled_one_sync_later() -> None:
    # executor, scaleFromZeroOrIdle: minReplicaCount if above 0, else 1. The HPA does nothing at 0.
    fleet = Fleet(Queue(10.0), 0)
    assert fleet.sizes([100] * 50) == [1] * 15 + [4] * 15 + [8] * 15 + [10] * 5, (
        "the HPA: to 4 or twice the size"
    )
    assert Fleet(Queue(10.0, least=3), 0).turn(1).desired == 3


def test_polls_are_30_seconds_apart_and_miss_nothing() -> None:
    fleet = Fleet(Queue(10.0), 0)
    assert set(fleet.sizes([0, 0, 0, 0, 2, *[0] * 25])) == {0}
    woken = fleet.turn(0)
    assert (woken.desired, woken.reason) == (1, "active"), "one request between two polls wakes the fleet"
    assert woken.figures["total"] == pytest.approx(2 / 30)


def test_to_zero_300_seconds_after_it_was_last_active() -> None:
    # spec, cooldownPeriod: "The period to wait after the last trigger reported active before scaling the resource back to 0 ... 300".
    fleet = Fleet(Queue(10.0), 0)
    sizes = fleet.sizes([*[5] * 61, *[0] * 400])
    last_active = 61
    assert fleet.memory["state"][1] == last_active * SECOND
    # executor: LastActiveTime.Add(cooldownPeriod).Before(now): not yet at the poll that is exactly 300 s later, but at the next.
    assert sizes.index(0, 1) + 1 == last_active + 300 + 30
    assert set(sizes[: sizes.index(0, 1)]) == {1}


def test_a_fleet_that_was_never_active_does_not_wait() -> None:
    # spec: "The cooldownPeriod only applies after a trigger occurs"; executor: LastActiveTime == nil.
    assert Fleet(Queue(10.0), 5).turn(0).desired == 0
    # spec, initialCooldownPeriod: "KEDA will not scale the resource back to 0 until 120 seconds have passed".
    sizes = Fleet(quick(initial_cooldown=120 * SECOND), 1).sizes([0] * 125)
    assert sizes.index(0) == 121


def test_the_cooldown_may_jump_past_the_scale_in_window() -> None:
    # kedacore/keda#7770: N -> 0 by the cooldown, whatever the HPA's behaviour says.
    fleet = Fleet(quick(cooldown=10 * SECOND, behavior=Behavior(downscale_stabilization=300 * SECOND)), 0)
    assert fleet.sizes([50, 50, 50]) == [1, 4, 5]
    assert fleet.sizes([0] * 11) == [5] * 10 + [0]


def test_idle_and_least() -> None:
    # spec, idleReplicaCount: "idleReplicaCount (0), once there is an activity the target resource is immediately scaled to minReplicaCount (10) and then
    # up to maxReplicaCount (100) as needed. If there's no activity ... again scaled down to idleReplicaCount (0)".
    fleet = Fleet(quick(idle=0, least=10, cooldown=3 * SECOND), 0)
    assert fleet.sizes([0, 1, 1, 200, 200, 1, 1]) == [0, 10, 10, 20, 20, 10, 10]
    assert fleet.sizes([0] * 4) == [10, 10, 10, 0]
    # Other idle sizes than 0 work here, as the specification means them; in KEDA its HPA cannot do them (kedacore/keda#2314).
    fleet = Fleet(quick(idle=2, least=4, cooldown=SECOND), 2)
    assert fleet.sizes([0, 0, 5, 5, 0, 0, 0, 0]) == [2, 2, 4, 4, 4, 2, 2, 2]


@pytest.mark.parametrize(
    ("behavior", "size", "desired"),
    [
        # fallback, doFallback: replicas 6 against what is there.
        ("static", 2, 6), ("static", 9, 6), ("current", 2, 2), ("current", 9, 9),
        ("current_if_higher", 2, 6), ("current_if_higher", 9, 9), ("current_if_lower", 2, 2), ("current_if_lower", 9, 6),
    ],
)  # fmt: skip
def test_fallback(behavior: Any, size: int, desired: int) -> None:
    # spec: failureThreshold 3, replicas 6; fallback: NumberOfFailures > FailureThreshold, that is with the fourth.
    fleet = Fleet(quick(fallback=Fallback(6, 3, behavior)), size)
    turns = [fleet.turn(10 * size)] + [fleet.turn(None) for _ in range(5)]
    # Through the HPA, and so at its rate.
    assert [turn.desired for turn in turns] == [size] * 4 + [min(desired, max(2 * size, 4)), desired]
    assert [turn.blind for turn in turns] == [False] + [True] * 5
    assert turns[3].reason == "unknown"
    back = fleet.turn(20)
    assert (back.desired, back.reason) == (2, "within" if desired == 2 else "below target")
    assert fleet.sizes([None] * 3) == [2] * 3, "failures count from the beginning"


def test_without_a_fallback_the_size_is_held() -> None:
    fleet = Fleet(quick(cooldown=2 * SECOND), 3)
    fleet.turn(30)
    assert fleet.sizes([None] * 20) == [3] * 20
    assert fleet.sizes([0]) == [0], "the cooldown has passed meanwhile"
    assert fleet.sizes([None] * 5) == [0] * 5


def test_a_fallback_wakes_a_fleet_that_has_none() -> None:
    # executor, doFallbackScaling: a scaler in error, no trigger active, a fallback defined.
    assert Fleet(quick(fallback=Fallback(6, 2)), 0).sizes([0, None, None, None, None]) == [0, 0, 0, 6, 6]


def test_between_one_and_many_stabilization_and_rates_are_those_of_the_hpa() -> None:
    # Without a behavior: the most of the window, also above the size, and at most twice the size or 4.
    fleet = Fleet(quick(behavior=Behavior(downscale_stabilization=5 * SECOND)), 1)
    assert fleet.sizes([50, 20, 30, 20, 20, 20, 20, 20, 20]) == [4, 5, 5, 5, 5, 5, 3, 3, 2]
    # With one, as the specification's example has it: window 300 s, 100% per 15 s; and here one server a second up.
    out = ScalingRules(0, (ScalingRate(1, "pods", SECOND),))
    fleet = Fleet(quick(behavior=Behavior(out, SCALE_IN)), 1)
    assert fleet.sizes([50] * 5) == [2, 3, 4, 5, 5]
    sizes = fleet.sizes([20] * 320)
    assert sizes.index(2) == 299, "a recommendation counts for less than 300 s"


def test_lost_servers_are_replaced_between_looks() -> None:
    fleet = Fleet(Queue(10.0), 3)
    fleet.turn(30)
    fleet.size = 2
    assert fleet.turn(30).desired == 3


def test_requests_turned_away_count_as_in_flight_and_waiting() -> None:
    for metric, expected in (("requests", 1), ("in_flight", 1), ("waiting", 1)):
        policy = quick(metric=metric)
        seen = view(1, 0, 0, requests=7.0, unserved=7.0)
        assert policy.propose(seen, NOTHING).desired == expected
    assert quick(metric="in_flight").total(view(1, 0, 3, unserved=4.0)) == 7
    assert quick(metric="requests").total(view(1, 0, 3, unserved=4.0)) == 3


@settings(deadline=None)
@given(st.integers(1, 20), st.floats(0, 500), st.floats(0, 500), st.floats(0.1, 50))
def test_more_load_never_gives_fewer_servers(size: int, one: float, other: float, target: float) -> None:
    low, high = sorted((one, other))
    assert scaled(size, low, target=target) <= scaled(size, high, target=target)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 20), st.floats(0, 500), st.floats(5, 50))
def test_with_constant_load_the_fleet_settles_and_stays(size: int, total: float, target: float) -> None:
    fleet = Fleet(
        Queue(target, behavior=Behavior(downscale_stabilization=60 * SECOND), cooldown=60 * SECOND),
        size,
        step=5,
    )
    sizes = fleet.sizes([total] * 120)
    assert len(set(sizes[40:])) == 1
    assert (sizes[-1] == 0) == (total == 0)


def test_settings_survive_their_journey_and_policies_say_that_they_need_the_proxy() -> None:
    kind: TypeAdapter[Any] = TypeAdapter(policies.AnyPolicy)
    policy = Queue(3.0, "in_flight", fallback=Fallback(2, 3, "current"))
    assert kind.validate_json(kind.dump_json(policy)) == policy
    assert json.loads(kind.dump_json(policy))["kind"] == "queue"
    assert policy.needs_proxy
    assert policies.Combine((policies.Threshold(), policy)).needs_proxy
    assert not policies.Combine((policies.Threshold(),)).needs_proxy
    assert not policies.Threshold().needs_proxy
    assert policy.marks("in_flight") == ((3.0, "target"),)
    assert policy.marks("cpu") == ()
