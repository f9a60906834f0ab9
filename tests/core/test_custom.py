"""Custom metrics: values of modelled servers, and servers that do not write what a policy asks for."""

import pytest
from windtunnel.core.custom import CustomMetric, said
from windtunnel.core.policies import Panic, TargetTracking, TargetTrackingHpa
from windtunnel.core.policies.hpa_metrics import HpaMetric
from windtunnel.core.policies.view import NOTHING, FleetView, ServerView

SECOND = 1_000_000_000


def test_values_are_linear() -> None:
    metric = CustomMetric("files", base=40.0, per_in_flight=3.0, per_queued=0.5, per_request=0.25)
    assert metric.value(8, 5, 2) == 40 + 15 + 1 + 2
    assert said((metric, CustomMetric("one", 1.0)), 0, 0, 0) == {"files": 40.0, "one": 1.0}
    assert said((), 9, 9, 9) == {}


def view(*values: float | None, size: int = 0, now: int = 0) -> FleetView:
    """A server per value of `jobs`; None: its sample lacks it."""
    plain = {"requests": 10.0, "memory": 0.1, "cpu": 0.1, "in_flight": 1.0}
    servers = [
        ServerView(f"s{n}", plain if value is None else {**plain, "jobs": value}, sampled=now)
        for n, value in enumerate(values)
    ]
    return FleetView(now, tuple(servers))


def test_a_sample_without_the_metric_shows_nothing() -> None:
    seen = view(1.0, None, 3.0)
    assert (seen.unknown, seen.showing("jobs").unknown, seen.showing("requests", "jobs").unknown) == (0, 1, 1)
    assert seen.showing("requests") is seen
    assert [one.metrics is None for one in seen.showing("jobs").servers] == [False, True, False]


POLICIES = [
    TargetTracking(5.0, "jobs"),
    TargetTrackingHpa((HpaMetric(5.0, "jobs"),)),
    Panic(5.0, "jobs"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: one.kind)
def test_who_lacks_it_is_unknown_and_never_lets_the_fleet_shrink(policy: TargetTracking) -> None:
    memory = NOTHING
    for turn in range(1, 4):
        now = turn * 400 * SECOND
        idle = policy.propose(view(0.1, None, None, now=now), memory)
        memory = idle.memory
        assert idle.blind
    nobody = policy.propose(view(None, None, now=2000 * SECOND), NOTHING)
    assert nobody.blind
    assert nobody.desired == 2
