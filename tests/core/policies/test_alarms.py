"""Alarms over periods against CloudWatch's tables, and their datapoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.model import SECOND
from windtunnel.core.policies.alarms import Alarm, AlarmState, MissingData, observe
from windtunnel.core.policies.memory import read_memory, write_memory
from windtunnel.core.policies.view import NOTHING, Memory

OK, ALARM, NO_DATA = AlarmState
MINUTE = 60 * SECOND
VALUES = {"0": 0.0, "X": 9.0, "-": None}
TREATMENTS: tuple[MissingData, ...] = ("missing", "ignore", "breaching", "not_breaching")

THREE_OF_THREE = [
    ("0-X-X", (OK, OK, OK, OK)),
    ("0----", (OK, OK, OK, OK)),
    ("-----", (NO_DATA, None, ALARM, OK)),
    ("0XX-X", (ALARM, ALARM, ALARM, ALARM)),
    ("----X", (NO_DATA, None, ALARM, OK)),
    ("X----", (ALARM, None, ALARM, OK)),
]
TWO_OF_THREE = [
    ("0-X-X", (ALARM, ALARM, ALARM, ALARM)),
    ("00X0X", (ALARM, ALARM, ALARM, ALARM)),
    ("0-X--", (OK, OK, ALARM, OK)),
    ("----0", (OK, OK, ALARM, OK)),
    ("----X", (NO_DATA, None, ALARM, OK)),
]
"""CloudWatch user guide, "How alarm state is evaluated when data is missing", both tables; None: retain current state."""


@pytest.mark.parametrize(
    ("needed", "row", "states"), [(3, *row) for row in THREE_OF_THREE] + [(2, *row) for row in TWO_OF_THREE]
)
def test_the_tables_of_missing_data(needed: int, row: str, states: tuple[AlarmState | None, ...]) -> None:
    datapoints = tuple(VALUES[mark] for mark in row)
    for treatment, state in zip(TREATMENTS, states, strict=True):
        alarm = Alarm(5.0, evaluation_periods=3, datapoints_to_alarm=needed, missing_data=treatment)
        for before in AlarmState:
            assert alarm.judge(datapoints, before) == (before if state is None else state), treatment


@pytest.mark.parametrize(
    ("above", "inclusive", "breaching"),
    [(True, True, (5, 6)), (True, False, (6,)), (False, True, (4, 5)), (False, False, (4,))],
)
def test_the_threshold_itself(above: bool, inclusive: bool, breaching: tuple[int, ...]) -> None:
    alarm = Alarm(5.0, above=above, inclusive=inclusive)
    assert tuple(value for value in (4, 5, 6) if alarm.breaches(value)) == breaching


def test_the_threshold_is_met_in_spite_of_rounding() -> None:
    assert Alarm(0.3).breaches(0.1 + 0.1 + 0.1)
    assert Alarm(0.3, above=False).breaches(0.1 + 0.2)


def test_a_datapoint_is_the_average_of_a_period_and_a_period_without_samples_misses() -> None:
    memory: Memory = NOTHING
    seen = []
    for second, samples in ((0, [1, 2]), (30, [6]), (60, []), (90, []), (125, [4.0]), (180, [0])):
        found = observe(memory, "m", second * SECOND, samples, period=MINUTE, reach=3)
        memory = read_memory(write_memory(found.memory))
        seen.append((found.closed, found.datapoints))
    assert seen == [
        (False, (None, None, None)),
        (False, (None, None, None)),
        (True, (None, None, 3.0)),
        (False, (None, None, 3.0)),
        (True, (None, 3.0, None)),
        (True, (3.0, None, 4.0)),
    ]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_datapoints_do_not_depend_on_the_order_of_servers(samples: list[float], shuffle: object) -> None:
    def datapoint(values: list[float]) -> float | None:
        first = observe(NOTHING, "m", 0, values, period=MINUTE, reach=1)
        return observe(first.memory, "m", MINUTE, [], period=MINUTE, reach=1).last

    shuffled = list(samples)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    assert datapoint(shuffled) == datapoint(samples)


def test_whole_numbers_are_as_good_as_others() -> None:
    whole, other = (
        observe(NOTHING, "m", 0, values, period=MINUTE, reach=1) for values in ([1, 2], [1.0, 2.0])
    )
    assert whole.memory == other.memory
    assert write_memory(whole.memory) == write_memory(other.memory)
