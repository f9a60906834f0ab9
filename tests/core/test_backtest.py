"""Another policy on recorded turns: what is certain, what is estimated, and when nobody can tell."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from windtunnel.core.backtest import Turn, backtest
from windtunnel.core.limits import limited
from windtunnel.core.model import SECOND, AutoscalerSpec
from windtunnel.core.policies import TargetTracking, Threshold
from windtunnel.core.policies.view import FleetView, Proposal, ServerView

BOOT = 3 * SECOND


def spec(target: float, **more: Any) -> AutoscalerSpec:
    return AutoscalerSpec(TargetTracking(target, "requests", 0.0), SECOND, **more)


def view(second: int, total: float, serving: int, booting: tuple[int, ...] = (), **more: float) -> FleetView:
    metrics = {
        "requests": total / serving,
        "memory": 0.5,
        "cpu": total / serving / 500,
        "in_flight": 1.0,
        **more,
    }
    servers = tuple(ServerView(f"a{n}", metrics, 0, second * SECOND) for n in range(serving))
    return FleetView(second * SECOND, servers, booting)


def recorded(loads: list[float], servers: int = 4, **more: bool) -> list[Turn]:
    """A fleet that nobody resizes; at first one server does all the work, and shows what a server can do."""
    metrics = [
        {"requests": n, "memory": 0.5, "cpu": n / 500, "in_flight": 1.0} for n in (200.0, 0.0, 0.0, 0.0)
    ]
    first = FleetView(0, tuple(ServerView(f"a{n}", said) for n, said in enumerate(metrics)))
    return [Turn(first, servers, "within", **more)] + [
        Turn(view(n, load, servers), servers, "within", **more) for n, load in enumerate(loads, 1)
    ]


LOADS = [200.0, 200.0, 100.0, 100.0, 190.0, 190.0, 190.0, 190.0, 190.0, 190.0]


def test_the_same_policy_decides_the_same() -> None:
    # 45/s is below 50/s: with the tolerance of 0 it takes ceil(180 / 50) = 4 servers all the same.
    found = backtest(recorded([180.0] * 5), spec(50), BOOT)
    assert (found.parts, found.ends, found.otherwise) == (-1, -1, 0)
    assert [turn.own for turn in found.turns] == [4] * 6


def test_another_fleet_is_estimated_by_the_sum_of_loads() -> None:
    found = backtest(recorded(LOADS), spec(50), BOOT)
    assert found.parts == 3 * SECOND
    assert found.ends == -1
    # 100/s are two servers' worth; the two more of 190/s boot for three turns, and are counted meanwhile.
    assert [turn.own_size for turn in found.turns] == [4, 4, 4, 4, 2, 2, 4, 4, 4, 4, 4]
    assert [turn.own for turn in found.turns] == [4, 4, 4, 2, 2, 4, 4, 4, 4, 4, 4]
    # Asked of the recorded fleet of four it wants two only while there is that little to do.
    assert [turn.asked for turn in found.turns] == [4, 4, 4, 2, 2, 4, 4, 4, 4, 4, 4]
    assert (found.otherwise, found.boot, found.boots) == (2, BOOT, 0)


def failing(turns: list[Turn]) -> list[Turn]:
    return [replace(turn, failed=0.02 if n >= 5 else 0.01) for n, turn in enumerate(turns)]


def shrinking(turns: list[Turn]) -> list[Turn]:
    return [replace(turn, view=view(n, 100, 3)) if n == 5 else turn for n, turn in enumerate(turns)]


def silent(turns: list[Turn]) -> list[Turn]:
    mute = FleetView(5 * SECOND, tuple(ServerView(f"a{n}", None) for n in range(4)))
    return [replace(turn, view=mute) if n == 5 else turn for n, turn in enumerate(turns)]


def busier(turns: list[Turn]) -> list[Turn]:
    # Two servers would have 201/s each; none of the recorded ones had more than 200/s.
    return [replace(turn, view=view(n, 402, 4)) if n == 5 else turn for n, turn in enumerate(turns)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (failing, "requests were not answered"),
        (shrinking, "the recorded fleet changed by itself"),
        (silent, "no server had a usable sample"),
        (busier, "its servers would be busier (requests) than any that was recorded"),
    ],
)
def test_the_estimate_ends_with_what_nobody_can_tell(
    change: Callable[[list[Turn]], list[Turn]], why: str
) -> None:
    turns = change(recorded(LOADS))
    found = backtest(turns, spec(50), BOOT)
    assert found.parts == 3 * SECOND
    assert found.ends == 5 * SECOND
    assert found.why.startswith(why)
    assert [turn.own for turn in found.turns[5:]] == [-1] * 6
    assert all(turn.asked >= 0 for turn in found.turns)


def test_memory_belongs_to_the_fleet_that_had_it() -> None:
    by_memory = Threshold(memory_high=0.9, memory_low=0.6)
    found = backtest(recorded([100.0] * 4), AutoscalerSpec(by_memory, SECOND), BOOT)
    assert (found.parts, found.ends) == (0, SECOND)
    assert found.why.startswith("the policy looks at memory")


def test_bounds_and_cooldown_are_the_others() -> None:
    found = backtest(recorded(LOADS), spec(50, minimum=4), BOOT)
    assert (found.parts, found.otherwise) == (-1, 0)
    slow = backtest(recorded(LOADS), spec(50, cooldown=3 * SECOND), BOOT)
    assert [turn.own for turn in slow.turns] == [4, 4, 4, 2, 2, 2, 4, 4, 4, 4, 4]


def test_boots_are_learnt() -> None:
    turns = [
        Turn(view(1, 100, 2), 3, "more"),
        Turn(view(2, 100, 2, (SECOND,)), 3, "within"),
        Turn(view(7, 100, 2, (SECOND,)), 3, "within"),
    ]
    fresh = ServerView("b", dict(turns[0].view.servers[0].metrics or {}), 8 * SECOND)
    last = FleetView(8 * SECOND, (*turns[0].view.servers, fresh))
    found = backtest([*turns, Turn(last, 3, "within")], spec(50), BOOT)
    assert (found.boot, found.boots) == (7 * SECOND, 1)


def test_a_dry_run_changed_nothing_so_another_policy_may_decide_as_it_did_and_part() -> None:
    first, *others = recorded([100.0] * 3, dry_run=True)
    turns = [first, *(replace(turn, desired=2) for turn in others)]
    found = backtest(turns, spec(50), BOOT)
    # Alike at every turn, but the fleet of four would have become one of two.
    assert found.otherwise == 0
    assert found.parts == SECOND
    assert [turn.own_size for turn in found.turns] == [4, 4, 2, 2]


@pytest.mark.parametrize(
    ("size", "proposed", "ago", "expected"),
    [
        (3, 5, 99, (5, "why", ())),
        (3, 9, 99, (6, "why", ("maximum",))),
        (6, 9, 99, (6, "at maximum", ("maximum",))),
        (2, 1, 99, (2, "at minimum", ("minimum",))),
        (3, 5, 1, (3, "cooldown", ("cooldown",))),
        (3, 9, 1, (3, "cooldown", ("maximum", "cooldown"))),
        (1, 1, 1, (2, "below minimum", ("minimum",))),
        (1, 4, 1, (4, "below minimum", ())),
        (8, 3, 1, (6, "above maximum", ("maximum",))),
        (8, 6, 1, (6, "above maximum", ())),
    ],
)
def test_what_limits_make_of_a_proposal(
    size: int, proposed: int, ago: int, expected: tuple[int, str, tuple[str, ...]]
) -> None:
    settings = spec(50, minimum=2, maximum=6, cooldown=10 * SECOND)
    now = FleetView(100 * SECOND, (ServerView("a", None),) * size, last_action=(100 - ago) * SECOND)
    assert limited(settings, now, Proposal(proposed, "why")) == expected
