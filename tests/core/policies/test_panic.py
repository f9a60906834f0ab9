"""The policy panic against Knative's own tests, and where Knative has nothing to say."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.core.policies import Panic
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.panic import CALM
from windtunnel.core.policies.view import NOTHING, SECOND, FleetView, Memory, Proposal, ServerView

KNATIVE = Panic(
    target=10.0, metric="in_flight", utilization=1.0, max_scale_up_rate=10.0, max_scale_down_rate=10.0
)
"""newTestAutoscaler's settings; stable window 60 s, panic threshold 2."""

ONE = replace(KNATIVE, target=1.0)
DELAYED = replace(KNATIVE, panic_threshold=100.0, stable_window=0, scale_down_delay=300 * SECOND)
ROUNDS_UP = replace(ONE, max_scale_up_rate=1.1)
ROUNDS_DOWN = replace(KNATIVE, max_scale_down_rate=1.1)
ACTIVATED = replace(KNATIVE, activation_scale=2)

Turn = tuple[float, int, float, float, int]
"""Second, ready servers, averages over the stable and the panic window; the size that Knative's test expects."""

CASES: dict[str, tuple[Panic, list[Turn]]] = {
    # knative/serving, pkg/autoscaler/scaling/autoscaler_test.go, by the names of its tests.
    "TestAutoscalerScaleDownDelay/simple": (DELAYED, [(2, 0, 40, 40, 4), (300, 0, 0, 0, 4), (302, 0, 0, 0, 0)]),
    "TestAutoscalerScaleDownDelay/gradual": (DELAYED, [
        (540, 0, 40, 40, 4), (600, 0, 30, 30, 4), (660, 0, 0, 0, 4), (840, 0, 0, 0, 3), (900, 0, 0, 0, 0),
    ]),
    "TestAutoscalerScaleDownDelayZero": (replace(DELAYED, scale_down_delay=0), [(0, 0, 40, 40, 4), (0.5, 0, 20, 20, 2)]),
    "TestAutoscalerMetrics": (KNATIVE, [(0, 1, 50, 50, 5)]),
    "TestAutoscalerMetricsWithRPS": (KNATIVE, [(61, 1, 100, 99, 10)]),
    "TestAutoscalerStableModeIncreaseWithConcurrencyDefault": (KNATIVE, [(0, 1, 50, 10, 5), (0, 1, 100, 10, 10)]),
    "TestAutoscalerStableModeIncreaseWithRPS": (KNATIVE, [(0, 1, 50, 50, 5), (0, 1, 100, 99, 10)]),
    "TestAutoscalerStableModeDecrease": (KNATIVE, [(0, 8, 100, 100, 10), (0, 8, 50, 50, 5)]),
    "TestAutoscalerStableModeNoTrafficScaleToZero": (KNATIVE, [(0, 1, 1, 0, 1), (0, 1, 0, 0, 0)]),
    "TestAutoscalerActivationScale": (ACTIVATED, [(0, 1, 0, 0, 0), (0, 1, 1, 0, 2)]),
    "TestAutoscalerPanicModeExponentialTrackAndStabilize": (ONE, [
        (0, 1, 6, 6, 6), (0, 6, 36, 36, 36), (1, 36, 216, 216, 216), (1, 216, 1296, 1296, 1296), (2, 1296, 1296, 1296, 1296),
    ]),
    "TestAutoscalerScale/AutoscalerNoDataAtZeroNoAutoscale": (KNATIVE, [(0, 1, 0, 0, 0)]),
    "TestAutoscalerScale/AutoscalerStableModeUnlimitedTBC": (replace(KNATIVE, target=181.0), [(0, 1, 21, 26, 1)]),
    "TestAutoscalerScale/Autoscaler0TBC": (KNATIVE, [(0, 1, 50, 49, 5)]),
    "TestAutoscalerScale/AutoscalerStableModeNoChangeAlreadyScaled": (KNATIVE, [(0, 5, 50, 50, 5)]),
    "TestAutoscalerScale/AutoscalerStableModeIncreaseWithSmallScaleUpRate": (ROUNDS_UP, [(0, 2, 3, 3.1, 3)]),
    "TestAutoscalerScale/AutoscalerStableModeDecreaseWithSmallScaleDownRate": (ROUNDS_DOWN, [(0, 100, 1, 1, 90)]),
    "TestAutoscalerScale/AutoscalerPanicModeDoublePodCount": (KNATIVE, [(0, 1, 50, 100, 10)]),
    "TestAutoscalerPanicThenUnPanicScaleDown": (KNATIVE, [
        (0, 1, 100, 100, 10), (0, 10, 100, 1000, 100), (30, 10, 1, 1, 100), (61, 10, 1, 1, 1),
    ]),
    "TestAutoscalerRateLimitScaleUp": (KNATIVE, [(0, 1, 1000, 1001, 10), (0, 10, 1000, 1001, 100)]),
    "TestAutoscalerRateLimitScaleDown": (KNATIVE, [(0, 100, 1, 1, 10), (0, 10, 1, 1, 1)]),
    "TestAutoscalerUseOnePodAsMinimumIfEndpointsNotFound": (KNATIVE, [(0, 0, 1000, 888, 10)]),
}  # fmt: skip

Kept = dict[str, tuple[float, ...]]


def calm() -> Kept:
    return {"panic": (CALM, 1)}


def scale(policy: Panic, kept: Kept, second: float, ready: int, stable: float, panic: float) -> int:
    return policy.scale(int(second * SECOND), ready, stable, panic, kept)[0]


@pytest.mark.parametrize("name", CASES)
def test_knatives_own_tests(name: str) -> None:
    policy, turns = CASES[name]
    kept = calm()
    for second, ready, stable, panic, expected in turns:
        assert scale(policy, kept, second, ready, stable, panic) == expected, second


def test_update_target_of_knative() -> None:
    """TestAutoscalerUpdateTarget."""
    kept = calm()
    assert scale(KNATIVE, kept, 0, 1, 100, 101) == 10
    assert scale(ONE, kept, 0, 10, 100, 101) == 100


def test_panic_begins_is_prolonged_and_ends_as_in_knative() -> None:
    """TestAutoscalerUnpanicAfterSlowIncrease and TestAutoscalerExtendPanicWindow."""
    kept = calm()
    assert scale(ONE, kept, 0, 10, 11, 25) == 25
    assert kept["panic"] == (0, 25)
    assert scale(ONE, kept, 30, 40, 30, 41) == 41
    assert kept["panic"] == (0, 41), "40 ready servers are half of what would be panic"
    prolonged = dict(kept)
    assert scale(ONE, kept, 62, 55, 50, 56) == 50
    assert kept["panic"] == (CALM, 0)
    assert scale(ONE, prolonged, 30, 40, 30, 80) == 80
    assert prolonged["panic"] == (30 * SECOND, 80)


@pytest.mark.parametrize(("stable", "panic", "expected"), [(50, 30, 50), (20, 30, 30)])
def test_in_panic_the_greater_window_counts(stable: float, panic: float, expected: int) -> None:
    """TestAutoscalerScale/AutoscalerPanicStableLargerThanPanic and .../AutoscalerPanicStableLessThanPanic."""
    assert scale(ONE, {"panic": (5 * SECOND, 5)}, 10, 5, stable, panic) == expected


def test_panic_ends_only_after_the_stable_window_is_over() -> None:
    """``panicTime.Add(StableWindow).Before(now)``: not at its very end."""
    kept: Kept = {"panic": (0, 7)}
    assert scale(ONE, kept, 60, 7, 1, 1) == 7
    assert scale(ONE, kept, 60.001, 7, 1, 1) == 1


def fleet(second: float, *values: float | None, booting: int = 0) -> FleetView:
    servers = tuple(
        ServerView(f"10.0.0.{n}:80", None if value is None else {"in_flight": value})
        for n, value in enumerate(values, start=1)
    )
    return FleetView(int(second * SECOND), servers, (0,) * booting)


def follow(policy: Panic, views: list[FleetView], memory: Memory = NOTHING) -> Proposal:
    found = Proposal(0, "", memory)
    for view in views:
        found = policy.propose(view, read_memory(write_memory(found.memory)))
    return found


@pytest.mark.parametrize(("ready", "begin"), [(0, (CALM, 0)), (1, (CALM, 1)), (2, (0, 2))])
def test_more_than_one_server_is_met_in_panic(ready: int, begin: tuple[int, int]) -> None:
    """TestStartInPanicMode."""
    assert KNATIVE.propose(fleet(0, *[None] * ready), NOTHING).memory["panic"] == begin


def test_a_new_autoscaler_holds_the_fleet_for_a_stable_window() -> None:
    views = [fleet(second, 1.0, 1.0, 1.0) for second in range(5, 66)]
    assert follow(KNATIVE, views).desired == 3
    assert follow(KNATIVE, [*views, fleet(66, 1.0, 1.0, 1.0)]).desired == 1


def test_windows_average_the_seconds_that_have_a_sum() -> None:
    quiet = [fleet(second, 4.0) for second in range(0, 60, 2)]
    found = follow(KNATIVE, [*quiet, fleet(60, 10.0), fleet(62, 10.0)])
    assert found.figures["stable"] == pytest.approx((28 * 4 + 2 * 10) / 30), "4 s to 62 s, every other second"
    assert found.figures["panic"] == pytest.approx((4 + 10 + 10) / 3), "57 s to 62 s"
    assert len(found.memory["seconds"]) == 30
    again = follow(KNATIVE, [fleet(62.5, 40.0)], found.memory)
    assert again.figures["panic"] == pytest.approx((4 + 10 + 40) / 3), "a second's last turn counts"


def test_the_panic_window_is_rounded_to_whole_seconds_and_never_less_than_one() -> None:
    views = [fleet(second, 10.0 * second) for second in range(10)]
    quarter = replace(KNATIVE, stable_window=10 * SECOND, panic_window=0.25)
    assert follow(quarter, views).figures["panic"] == 80.0, "2.5 s are 3 s"
    assert follow(replace(quarter, panic_window=0.01), views).figures["panic"] == 90.0


def test_only_part_of_the_target_is_wanted() -> None:
    policy = Panic(target=10.0, metric="in_flight")
    assert follow(policy, [fleet(0, 7.0)]).desired == 1
    assert follow(policy, [fleet(0, 7.1)]).desired == 2
    assert policy.marks("in_flight") == ((14.0, "panic"), (7.0, "target"))
    assert policy.marks("cpu") == ()


def test_a_silent_server_counts_as_the_mean_and_lets_nobody_go() -> None:
    full = follow(KNATIVE, [fleet(0, 20.0, 20.0, None)], calm())
    assert (full.figures["panic"], full.desired, full.blind) == (60.0, 6, True)
    low = follow(KNATIVE, [fleet(0, 1.0, 1.0, None)], calm())
    assert (low.desired, low.reason, low.blind) == (3, "unknown", True)


def test_without_any_sample_nothing_changes() -> None:
    before = follow(KNATIVE, [fleet(0, 50.0)])
    found = follow(KNATIVE, [fleet(70, None, None)], before.memory)
    assert (found.desired, found.reason, found.blind) == (2, "unknown", True)
    assert found.memory == before.memory


def test_one_server_always_stays() -> None:
    assert follow(KNATIVE, [fleet(0, 0.0)]).desired == 1
    assert follow(KNATIVE, [fleet(0)]).desired == 1
    assert follow(KNATIVE, [fleet(0, booting=2)]).desired == 2


def test_limits_are_guarded_against_fractions_that_are_none() -> None:
    assert scale(replace(ROUNDS_UP, target=1.0), calm(), 0, 10, 19, 19) == 11
    third = replace(KNATIVE, target=0.1)
    assert scale(third, calm(), 0, 1, 0.1 + 0.2, 0) == 3


loads = st.lists(st.floats(0, 200), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(loads, st.randoms(use_true_random=False))
def test_the_order_of_servers_and_the_kind_of_number_mean_nothing(
    values: list[float], random: object
) -> None:
    mixed = list(values)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert KNATIVE.propose(fleet(3, *values), NOTHING) == KNATIVE.propose(fleet(3, *mixed), NOTHING)
    whole = [float(int(value)) for value in values]
    integers = [int(value) for value in values]
    assert KNATIVE.propose(fleet(3, *whole), NOTHING) == KNATIVE.propose(fleet(3, *integers), NOTHING)


@settings(max_examples=40, deadline=None)
@given(loads, st.floats(0, 100), st.integers(1, 20))
def test_more_load_never_gives_fewer_servers(values: list[float], more: float, ready: int) -> None:
    def sizes(extra: float) -> list[int]:
        memory: Memory = NOTHING
        found = []
        for second, value in enumerate(values):
            proposal = KNATIVE.propose(fleet(second, *[(value + extra) / ready] * ready), memory)
            memory = proposal.memory
            found.append(proposal.desired)
        return found

    assert all(a <= b for a, b in zip(sizes(0.0), sizes(more), strict=True))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 500), st.integers(1, 30))
def test_a_constant_load_settles_and_stays(load: float, size: int) -> None:
    memory: Memory = NOTHING
    sizes = []
    for second in range(0, 200, 2):
        proposal = KNATIVE.propose(fleet(second, *[load / size] * size), memory)
        memory, size = proposal.memory, proposal.desired
        sizes.append(size)
    assert len({*sizes[-35:]}) == 1
    assert sizes[-1] == max(-(-load // 10), 1) or load % 10 < 1e-6


def test_the_memory_stays_small() -> None:
    policy = replace(KNATIVE, scale_down_delay=30 * SECOND)
    found = follow(policy, [fleet(second, float(500 - second)) for second in range(300)])
    assert len(found.memory["seconds"]) == 60
    assert len(found.memory["delayed"]) <= 30
    assert json.loads(write_memory(found.memory))["seconds"][-1] == 299
