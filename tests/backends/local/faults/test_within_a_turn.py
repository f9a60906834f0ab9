"""What the conductor does with an autoscaler that is to be struck in the middle of a turn."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest
from windtunnel.backends.local.faults.control import ControlFaults
from windtunnel.core.model import FaultSpec

CAUGHT = FaultSpec("caught", "autoscaler_pause", 0, "autoscaler", 5, attributes=(("caught", "deciding"),))
AGAIN = FaultSpec("again", "autoscaler_pause", 0, "autoscaler", 5, attributes=(("caught", "between"),))
DIES = FaultSpec("dies", "autoscaler_crash", 0, "autoscaler", 5, attributes=(("during", "launch"),))
WHO: list[Any] = ["autoscaler"]


class Process:
    """As much of a RoleProcess as is needed; *said*: all that happened to it, in order."""

    pid = 4711
    returncode = None

    def __init__(self) -> None:
        self.said: list[Any] = []

    def send(self, command: Any) -> None:
        self.said.append(tuple(command.values()))

    def signal(self, number: int) -> None:
        self.said.append(signal.Signals(number).name)


class Flight:
    """The autoscaler's process, and the family that strikes it."""

    def __init__(self) -> None:
        self.process = process = Process()
        say = lambda who, topic, command: process.send(command)  # noqa: E731
        scaler = SimpleNamespace(
            process=process,
            strike=lambda away: process.said.append(("strike", away)),
            recall=lambda: process.said.append("recall"),
        )
        guardian = SimpleNamespace(
            hold=lambda pid: process.said.append("hold"), release=lambda pid: process.said.append("release")
        )
        parts: Any = SimpleNamespace(
            troubles=None,
            scaler=scaler,
            guardian=guardian,
            standing=SimpleNamespace(put=say, lift=say),
        )
        self.faults = ControlFaults(parts)

    def halted(self, at: str, halt: int) -> None:
        self.faults.halted(self.process, at, halt)  # type: ignore[arg-type]

    def took(self) -> list[Any]:
        """What happened to the process since this was asked."""
        said, self.process.said = self.process.said, []
        return said


@pytest.fixture
def flight() -> Flight:
    return Flight()


def test_it_hangs_where_it_was_caught_until_the_pause_is_over(flight: Flight) -> None:
    flight.faults.begin(CAUGHT, WHO)
    assert flight.took() == [("halt", "decided", True)]
    flight.halted("decided", 1)
    assert flight.took() == ["hold", "SIGSTOP"]
    flight.faults.end(CAUGHT, WHO)
    assert flight.took() == [("halt", "decided", False), ("go_on", 1), "SIGCONT", "release"]


def test_a_pause_that_was_over_before_any_turn_catches_nobody(flight: Flight) -> None:
    flight.faults.begin(CAUGHT, WHO)
    flight.faults.end(CAUGHT, WHO)
    assert flight.took() == [("halt", "decided", True), ("halt", "decided", False)]
    # It had come to the point before it heard.
    flight.halted("decided", 1)
    assert flight.took() == [("go_on", 1)]


def test_with_another_pause_it_hangs_until_both_are_over(flight: Flight) -> None:
    flight.faults.begin(CAUGHT, WHO)
    flight.halted("decided", 1)
    flight.faults.begin(AGAIN, WHO)
    flight.took()
    flight.faults.end(CAUGHT, WHO)
    assert flight.took() == [("halt", "decided", False)]
    flight.faults.end(AGAIN, WHO)
    assert flight.took() == [("go_on", 1), "SIGCONT", "release"]


def test_it_dies_when_a_launch_is_granted_and_comes_back_afterwards(flight: Flight) -> None:
    flight.faults.begin(DIES, WHO)
    assert flight.took() == [("halt", "launched", True)]
    flight.halted("launched", 1)
    assert flight.took() == [("halt", "launched", False), ("strike", -1)]
    flight.faults.end(DIES, WHO)
    assert flight.took() == ["recall"]


def test_it_never_dies_of_a_launch_that_does_not_come(flight: Flight) -> None:
    flight.faults.begin(DIES, WHO)
    flight.faults.end(DIES, WHO)
    assert flight.took() == [("halt", "launched", True), ("halt", "launched", False)]
    flight.halted("launched", 1)
    assert flight.took() == [("go_on", 1)]
