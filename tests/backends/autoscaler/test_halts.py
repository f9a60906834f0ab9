"""The autoscaler is caught at a point within its turn, and stopped or killed just there."""

import time

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.backends.autoscaler.processes import INTERVAL, Flight, eventually


def test_caught_when_it_has_decided_it_carries_that_out_when_it_goes_on() -> None:
    with Flight() as flight:
        scaler = flight.autoscaler()
        eventually(lambda: len(scaler.ticks) >= 2, "some turns")
        scaler.tell(command="halt", at="decided", on=True)
        eventually(lambda: scaler.halts, "it is caught")
        flight.load = 150
        scaler.tell(command="go_on", halt=1)
        eventually(lambda: len(scaler.halts) == 2, "it is caught at its next turn too")
        before = len(scaler.ticks)
        time.sleep(5 * INTERVAL / SECOND)
        assert flight.api.launches == []
        assert len(scaler.ticks) == before, "no turn while it is held up"
        scaler.tell(command="halt", at="decided", on=False)
        scaler.tell(command="go_on", halt=2)
        eventually(lambda: flight.api.launches == [2, 3], "it goes on as before")
        assert len(scaler.halts) == 2
        assert not [line for line in scaler.logs if "missed" in line], "the turns of that time are nobody's"


def test_a_role_whose_conductor_is_gone_does_not_wait_for_its_word() -> None:
    with Flight() as flight:
        scaler = flight.autoscaler()
        scaler.tell(command="halt", at="decided", on=True)
        eventually(lambda: scaler.halts, "it is caught")
        flight.load = 150
        assert scaler.end() == 0
        assert flight.api.launches == []


@pytest.mark.long
def test_killed_when_a_launch_is_granted_its_successor_finds_the_instance() -> None:
    with Flight() as flight:
        first = flight.autoscaler()
        eventually(lambda: len(first.ticks) >= 2, "some turns")
        first.tell(command="halt", at="launched", on=True)
        flight.load = 150
        eventually(lambda: first.halts, "it is caught")
        assert (flight.api.launches, flight.registry.instances()) == ([2], ("local-1",))
        first.kill()
        flight.autoscaler()
        eventually(lambda: flight.serving() == [1, 2, 3], "as many as allowed")
        assert flight.api.launches == [2, 3], "none is launched twice"
        assert flight.registry.instances() == ("local-1", "local-2", "local-3")
