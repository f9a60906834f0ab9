"""The policy scheduled: what holds when. (tests/scenarios/test_schedule.py: when it is due.)"""

import pytest
from windtunnel.core.policies import Scheduled, Step
from windtunnel.core.policies.view import NOTHING, FleetView, Proposal, ServerView

STEPS = (
    Step(10, minimum=4),
    Step(20, maximum=2),
    Step(30, minimum=3, maximum=5),
    Step(40, size=0),
    Step(50, size=7),
)


def at(now: int, size: int) -> Proposal:
    servers = tuple(ServerView(f"10.0.0.{n}:80", None) for n in range(size - 1))
    return Scheduled(STEPS).propose(FleetView(now, servers, (0,)), NOTHING)


@pytest.mark.parametrize(
    ("now", "size", "desired", "reason"),
    [
        (9, 3, 3, "nothing scheduled yet"),
        (10, 3, 4, "scheduled minimum"),
        (10, 9, 9, "within schedule"),
        (19, 4, 4, "within schedule"),
        (20, 9, 2, "scheduled maximum"),
        (20, 1, 1, "within schedule"),
        (30, 1, 3, "scheduled minimum"),
        (30, 6, 5, "scheduled maximum"),
        (40, 6, 0, "scheduled size"),
        (10**18, 6, 7, "scheduled size"),
    ],
)
def test_an_entry_holds_until_the_next(now: int, size: int, desired: int, reason: str) -> None:
    found = at(now, size)
    assert (found.desired, found.reason, found.blind) == (desired, reason, False)


def test_bounds_are_told_and_a_size_is_a_proposal() -> None:
    assert [at(now, 3).bounds for now in (0, 10, 20, 30, 40)] == [(0, -1), (4, -1), (0, 2), (3, 5), None]
    assert at(30, 3).figures == {"minimum": 3.0, "maximum": 5.0}
