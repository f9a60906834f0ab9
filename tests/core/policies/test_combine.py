"""The policy combine: whose proposal counts, bounds, parts without data, memories, names."""

from itertools import pairwise
from typing import Literal

import pytest
from pydantic import TypeAdapter
from windtunnel.core.model import AutoscalerSpec
from windtunnel.core.policies import (
    AnyPolicy,
    Combine,
    Panic,
    Scheduled,
    Step,
    StepScaling,
    TargetTracking,
    TargetTrackingAws,
    Threshold,
)  # fmt: skip
from windtunnel.core.policies.adjustments import StepAdjustment
from windtunnel.core.policies.alarms import Alarm
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.step import StepRule
from windtunnel.core.policies.view import NOTHING, FleetView, Proposal, ServerView

SECOND = 1_000_000_000


def fixed(size: int) -> Scheduled:
    return Scheduled((Step(0, size=size),))


def bounds(minimum: int = -1, maximum: int = -1) -> Scheduled:
    return Scheduled((Step(0, minimum, maximum),))


def view(*requests: float | None, second: int = 0, cpu: float = 0.5) -> FleetView:
    servers = tuple(
        ServerView(f"10.0.0.{n}:80", None if rate is None else {"requests": rate, "cpu": cpu, "memory": 0.0})
        for n, rate in enumerate(requests, start=1)
    )
    return FleetView(second * SECOND, servers)


By = Literal["max", "min", "mean"]
TRACK = TargetTracking(100.0)


@pytest.mark.parametrize(
    ("by", "parts", "desired", "reason"),
    [
        ("max", (fixed(3), fixed(7), fixed(5)), 7, "scheduled 2: scheduled size"),
        ("min", (fixed(3), fixed(7), fixed(5)), 3, "scheduled 1: scheduled size"),
        ("mean", (fixed(3), fixed(7), fixed(5)), 5, "mean of scheduled 1, scheduled 2, scheduled 3"),
        ("mean", (fixed(3), fixed(4)), 4, "mean of scheduled 1, scheduled 2"),
        ("max", (fixed(1), TRACK), 3, "target_tracking: above target"),
        ("max", (fixed(3), TRACK), 3, "scheduled: scheduled size"),
        # Bounds have no say: the fleet of 2 is no proposal of theirs.
        ("min", (fixed(5), bounds(minimum=1)), 5, "scheduled 1: scheduled size"),
        ("max", (fixed(1), bounds(minimum=1)), 1, "scheduled 1: scheduled size"),
        ("max", (fixed(1), bounds(minimum=2), bounds(minimum=4)), 4, "scheduled 3: minimum"),
        ("max", (fixed(9), bounds(maximum=6), bounds(maximum=8)), 6, "scheduled 2: maximum"),
        ("max", (fixed(9), bounds(minimum=5), bounds(maximum=3)), 5, "scheduled 2: minimum"),
        ("max", (bounds(minimum=1), bounds(minimum=4)), 4, "scheduled 2: minimum"),
        ("max", (bounds(minimum=1), bounds(maximum=4)), 2, "scheduled 1: within schedule"),
    ],
)
def test_what_counts(by: By, parts: tuple[AnyPolicy, ...], desired: int, reason: str) -> None:
    found = Combine(parts, by).propose(view(150.0, 150.0), NOTHING)
    assert (found.desired, found.reason) == (desired, reason)


def test_who_asks_for_nothing_has_no_say_in_what_is_greatest() -> None:
    """Amazon EC2 Auto Scaling user guide, "Multiple scaling policies": a policy whose alarm is silent asks for no capacity."""
    out = StepScaling(
        StepRule(Alarm(300.0, "requests", True, True, 60 * SECOND), (StepAdjustment(2, 0.0, None),))
    )
    never = TargetTrackingAws(300.0, out_datapoints=1, in_datapoints=1, scale_in=False)
    for part in (out, never):
        assert watched(part).abstains
        both = watched(Combine((part, fixed(1))))
        assert (both.desired, both.reason, both.abstains) == (1, "scheduled: scheduled size", False)
    low = TargetTrackingAws(300.0, out_datapoints=1, in_datapoints=9)
    assert watched(Combine((low, fixed(1)))).desired == 3
    silent = watched(Combine((out, never)))
    assert (silent.desired, silent.abstains) == (3, True)
    assert watched(Combine((out, fixed(1)), "mean")).desired == 2


def watched(policy: AnyPolicy) -> Proposal:
    """What it proposes after three minutes of three quiet servers."""
    found = policy.propose(view(150.0, 150.0, 150.0), NOTHING)
    for second in range(10, 190, 10):
        found = policy.propose(view(150.0, 150.0, 150.0, second=second), found.memory)
    return found


@pytest.mark.parametrize("by", ["max", "min", "mean"])
def test_a_part_without_data_lets_nobody_scale_in(by: By) -> None:
    """Kubernetes' HorizontalPodAutoscaler, "Scaling on multiple metrics": scale-down is skipped when a metric cannot be fetched, scale-up is not."""
    blind = Combine((fixed(1), TRACK, bounds(maximum=1)), by)
    found = blind.propose(view(150.0, None, 10.0), NOTHING)
    assert (found.desired, found.reason, found.blind) == (3, "target_tracking: unknown", True)
    nested = Combine((blind, fixed(1)), by).propose(view(150.0, None, 10.0), NOTHING)
    assert (nested.desired, nested.blind) == (3, True)
    assert nested.reason.startswith("combine: ")
    assert nested.reason.endswith(": unknown")
    out = Combine((fixed(8), TRACK), "max").propose(view(None, None), NOTHING)
    assert (out.desired, out.reason) == (8, "scheduled: scheduled size")
    seen = blind.propose(view(150.0, 140.0, 10.0), NOTHING)
    assert seen.desired == 1


def test_each_part_has_its_own_memory_and_figures() -> None:
    cpu, requests = Panic(1.0, "cpu"), Panic(100.0)
    policy = Combine((requests, Combine((cpu, Threshold(requests_high=500.0)))))
    kept = [NOTHING, NOTHING, NOTHING]
    for second in range(5):
        seen = view(100.0, 200.0, second=second)
        found = policy.propose(seen, kept[0])
        alone = [requests.propose(seen, kept[1]), cpu.propose(seen, kept[2])]
        kept = [read_memory(write_memory(one.memory)) for one in (found, *alone)]
    assert {name: found.memory[f"1.{name}"] for name in kept[1]} == kept[1]
    assert {name: found.memory[f"2.1.{name}"] for name in kept[2]} == kept[2]
    assert len(found.memory) == len(kept[1]) + len(kept[2])
    assert found.figures["panic.stable"] == 300.0
    assert found.figures["combine.panic.stable"] == 1.0
    assert found.figures["combine.threshold.desired"] == 2.0
    assert found.reason == "panic: panic"


def test_bounds_of_nested_parts_stay_bounds() -> None:
    inner = Combine((bounds(minimum=2), bounds(maximum=6)))
    assert inner.propose(view(0.0), NOTHING).bounds == (2, 6)
    sizes = [Combine((inner, fixed(size))).propose(view(0.0), NOTHING).desired for size in (1, 4, 9)]
    assert sizes == [2, 4, 6]
    assert Combine((inner, fixed(4))).propose(view(0.0), NOTHING).bounds is None


def test_marks_are_those_of_all_parts() -> None:
    policy = Combine((TRACK, Combine((TRACK, Threshold(requests_high=300.0)))))
    assert policy.marks("requests") == ((100.0, "target"), (300.0, "high"))


def test_a_combined_policy_survives_json() -> None:
    spec = AutoscalerSpec(Combine((Combine((TRACK, bounds(2, 3))), Panic(5.0, "in_flight")), "mean"))
    adapter = TypeAdapter(AutoscalerSpec)
    assert adapter.validate_json(adapter.dump_json(spec)) == spec


def test_more_load_never_gives_fewer_servers() -> None:
    for by in ("max", "min", "mean"):
        policy = Combine((TRACK, TargetTracking(40.0), bounds(maximum=9)), by)
        sizes = [policy.propose(view(rate, rate), NOTHING).desired for rate in range(0, 500, 10)]
        assert all(a <= b for a, b in pairwise(sizes))
