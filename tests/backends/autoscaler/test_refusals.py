"""A cloud that refuses terminations and lists: it is asked ever more rarely, and the autoscaler goes on meanwhile."""

import itertools
from dataclasses import replace

import pytest
from windtunnel.core.model import SECOND
from windtunnel.core.ports import CloudError
from windtunnel.core.scaling_decision import REFUSED, Decision
from windtunnel.tests.backends.autoscaler.fleet import SPEC, Fleet


class Refusing:
    """Refuses calls of the cloud named *name* in some seconds; *asked* are the seconds of all calls."""

    def __init__(self, fleet: Fleet, name: str, seconds: range) -> None:
        self.asked: list[int] = []
        self._fleet = fleet
        self._name = name
        self._seconds = seconds

    def __call__(self, name: str, after: bool) -> None:
        if name != self._name or after:
            return
        self.asked.append(self._fleet.now // SECOND)
        if self.asked[-1] in self._seconds:
            raise CloudError("RequestLimitExceeded", "slow down")


def fly(fleet: Fleet, refusing: Refusing, end: int, reconcile_interval: int = 300 * SECOND) -> list[Decision]:
    """Turns 1 to *end*; the load falls at 3 s."""
    driver = fleet.driver("one", refusing, replace(SPEC, reconcile_interval=reconcile_interval))
    decided = []
    for second in range(1, end):
        fleet.now = second * SECOND
        if second == 3:
            fleet.load = 10
        fleet.live()
        decided.append(driver.turn(fleet.now))
    return decided


def assert_ever_more_rarely(asked: list[int]) -> None:
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    # 1 s, 2 s, 4 s, 8 s, each less by up to a half, and at whole turns.
    for gap, longest in zip(gaps, (1, 2, 4, 8, 16), strict=False):
        assert longest / 2 <= gap <= longest, gaps


def test_a_refused_termination_waits() -> None:
    fleet = Fleet()
    refusing = Refusing(fleet, "terminate", range(26))
    fly(fleet, refusing, 45)
    refused = [time // SECOND for time, name, _ in fleet.events if name == "terminate_refused"]
    assert refusing.asked[: len(refused)] == refused
    assert len(refused) in (4, 5)
    assert_ever_more_rarely(refusing.asked[: len(refused) + 1])
    assert len(refusing.asked) == len(refused) + 1, "the next one was granted"
    assert [one.number for one in fleet.cloud.list()] == [1]


def test_a_refused_list_waits_and_the_books_go_on() -> None:
    fleet = Fleet()
    refusing = Refusing(fleet, "list", range(5, 40))
    decided = fly(fleet, refusing, 60, reconcile_interval=10 * SECOND)
    refused = [time // SECOND for time, name, _ in fleet.events if name == "list_refused"]
    assert refused[0] == 11
    assert len(refused) in (5, 6)
    assert_ever_more_rarely(refused)
    assert all(one.reason != REFUSED for one in decided)
    drained = [time // SECOND for time, name, _ in fleet.events if name == "draining"]
    assert drained
    assert [one.number for one in fleet.cloud.list()] == [1], "it scaled in all the same"
    assert refusing.asked[-1] > 40, "and is reconciled again"


def test_where_the_books_are_in_doubt_nothing_is_decided_without_a_list() -> None:
    fleet = Fleet()
    refusing = Refusing(fleet, "list", range(8))
    decided = fly(fleet, refusing, 20)
    begins = next(number for number, one in enumerate(decided, 1) if one.reason != REFUSED)
    assert begins >= 8
    assert len(refusing.asked) <= 5
    assert refusing.asked[-1] == begins
    assert next(fields["reason"] for _, name, fields in fleet.events if name == "decision") == REFUSED


@pytest.mark.parametrize("name", ["terminate", "list"])
def test_the_same_seed_waits_the_same(name: str) -> None:
    asked = []
    for _ in range(2):
        fleet = Fleet()
        refusing = Refusing(fleet, name, range(30))
        fly(fleet, refusing, 40)
        asked.append(refusing.asked)
    assert asked[0] == asked[1]
