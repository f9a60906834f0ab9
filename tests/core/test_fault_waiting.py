"""What faults wait for: when conditions hold, and what begins and is over by them."""

from functools import partial

import pytest
from windtunnel.core.fault_waiting import Change, Seen, Waiting, holds
from windtunnel.core.faults import CONDITIONS
from windtunnel.core.lifecycle import State
from windtunnel.core.model import (
    SECOND,
    AppSpec,
    AutoscalerSpec,
    FaultSpec,
    FleetSpec,
    ProxySpec,
    TriggeredFault,
)
from windtunnel.core.policies import Threshold

SPEC = AutoscalerSpec(Threshold(), minimum=1, maximum=3)
EMPTY: list[tuple[State, str]] = []
ONE = [(State.SERVING, "serving")]
THREE = [*ONE, (State.BOOTING, "serving"), (State.PENDING, "serving")]


def seen(*instances: tuple[State, str], deploying: bool = False, proxy_down: bool = False) -> Seen:
    return Seen.of(instances, deploying, proxy_down)


def waits(condition: str, of: str = "", at: int = 0) -> TriggeredFault:
    return TriggeredFault(FaultSpec("slow", "slow", at, "app"), condition, of)


@pytest.mark.parametrize(
    ("condition", "true", "false"),
    [
        ("at_maximum", seen(*THREE), seen(*THREE[:2], (State.BOOTING, "canary"), (State.DRAINING, "serving"))),
        ("at_minimum", seen(*ONE, (State.DRAINING, "serving"), (State.FAILED, "serving")), seen(*THREE[:2])),
        ("booting", seen((State.PENDING, "canary")), seen(*ONE)),
        ("draining", seen((State.DRAINING, "serving")), seen(*THREE)),
        ("deploying", seen(deploying=True), seen(*THREE)),
        ("proxy_down", seen(proxy_down=True), seen(*THREE)),
    ],
)  # fmt: skip
def test_conditions(condition: str, true: Seen, false: Seen) -> None:
    assert holds(waits(condition), SPEC, true, ())
    assert not holds(waits(condition), SPEC, false, ())


def test_a_fault_is_in_force_when_an_occurrence_of_it_is() -> None:
    assert {condition for condition in CONDITIONS if condition != "fault"} == {
        "at_maximum", "at_minimum", "booting", "draining", "deploying", "proxy_down"
    }  # fmt: skip
    for names, expected in ((["a"], True), (["a#2"], True), (["ab", "a#b", "a#"], False), ([], False)):
        assert holds(waits("fault", "a"), None, seen(), names) is expected


def told(changes: list[Change]) -> list[tuple[str, bool]]:
    return [(change.fault.name, change.begins) for change in changes]


def test_what_waits_begins_and_is_over_and_begins_again() -> None:
    fleet = FleetSpec(
        "f", 1, 60 * SECOND, 0, AppSpec(), ProxySpec(),
        triggered=(
            waits("booting", at=2 * SECOND),
            TriggeredFault(FaultSpec("then", "slow", 0, "app"), after="slow", delay=7, length=5),
        ),
    )  # fmt: skip
    waiting = Waiting(fleet)
    assert waiting.looks
    found = [
        told([*waiting.look(second * SECOND, partial(seen, *instances), ())])
        for second, instances in enumerate([THREE, THREE, THREE, ONE, THREE], 1)
    ]
    assert found == [[], [("slow#1", True)], [], [("slow#1", False)], [("slow#2", True)]]
    (follower,) = waiting.follow("slow", 4 * SECOND)
    assert (follower.place, follower.family, follower.begins) == (1, "then", True)
    assert (follower.fault.name, follower.fault.at, follower.fault.until) == (
        "then#1", 4 * SECOND + 7, 4 * SECOND + 12
    )  # fmt: skip
    assert [*waiting.follow("then", 0)] == []
    assert not Waiting(FleetSpec("f", 1, 0, 0, AppSpec(), ProxySpec())).looks


def test_each_change_is_carried_out_before_the_next_is_looked_at() -> None:
    fleet = FleetSpec(
        "f", 1, 60 * SECOND, 0, AppSpec(), ProxySpec(),
        triggered=(waits("proxy_down"), TriggeredFault(FaultSpec("with", "slow", 0, "app"), "fault", "slow")),
    )  # fmt: skip
    waiting = Waiting(fleet)
    in_force: set[str] = set()

    def look(second: int, down: bool) -> list[tuple[str, bool]]:
        found = []
        for change in waiting.look(second * SECOND, lambda: seen(proxy_down=down), in_force):
            found.append((change.fault.name, change.begins))
            in_force.discard(change.fault.name)
        in_force.update(name for name, begins in found if begins)
        return found

    assert look(1, True) == [("slow#1", True)]
    assert look(2, True) == [("with#1", True)]
    assert look(3, False) == [("slow#1", False), ("with#1", False)]
