"""Alarms over periods, as CloudWatch evaluates them, and the datapoints that they are judged by, kept in a policy's memory.

A period's datapoint is the average of all samples seen in it; one without samples is missing. Periods begin at multiples of their length.
A turn at the very end of a period belongs to the next one, and closes it. Whoever acts on alarms does so once in a period: when one closes ("For Amazon EC2 Auto Scaling
actions, the alarm continues to invoke the action for every period that the alarm remains in the new state",
CloudWatch user guide, "Using Amazon CloudWatch alarms").
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from .view import SECOND, Memory, ServerView

MINUTE = 60 * SECOND
"""In ns."""

MARGIN = 2
"""So many datapoints more than the evaluation periods are looked at when some are missing: CloudWatch's examples retrieve 5 for 3."""

MissingData = Literal["missing", "ignore", "breaching", "not_breaching"]
"""What stands for a missing datapoint: nothing, the alarm's present state, a breach, or none."""

Datapoints = tuple[float | None, ...]
"""Of consecutive periods, the oldest first; None: missing."""


class AlarmState(IntEnum):
    """An alarm's state; a whole number, so that memory can hold it."""

    OK = 0
    ALARM = 1
    INSUFFICIENT_DATA = 2


@dataclass(frozen=True, slots=True)
class Alarm:
    """A threshold on the average of *metric* over the servers, in the metric's own unit.

    *above*: values above it breach, else those below; *inclusive*: the threshold itself breaches as well. *period* is in ns. In ALARM while
    *datapoints_to_alarm* of the last *evaluation_periods* datapoints breach.
    """

    threshold: float
    metric: str = "requests"
    above: bool = True
    inclusive: bool = True
    period: int = MINUTE
    evaluation_periods: int = 1
    datapoints_to_alarm: int = 1
    missing_data: MissingData = "missing"

    @property
    def reach(self) -> int:
        """How many periods back datapoints are looked at."""
        return self.evaluation_periods + MARGIN

    def breaches(self, value: float) -> bool:
        """Whether *value* is beyond the threshold."""
        if is_close(value, self.threshold):
            return self.inclusive
        return (value > self.threshold) == self.above

    def judge(self, datapoints: Datapoints, before: AlarmState = AlarmState.INSUFFICIENT_DATA) -> AlarmState:
        """The state, from the last :attr:`reach` datapoints and the state *before*.

        CloudWatch user guide, "How alarm state is evaluated when data is missing": enough real datapoints are judged alone; else missing ones are filled in.
        With missing_data "missing", breaching ones alone raise the alarm once the oldest is as old as *datapoints_to_alarm* periods, however few they are.
        """
        datapoints = datapoints[-self.reach :]
        found = [self.breaches(value) for value in datapoints if value is not None]
        breaching = sum(found[-self.evaluation_periods :])
        lacking = max(self.evaluation_periods - len(found), 0)
        if self.missing_data == "breaching":
            breaching += lacking
        if breaching >= self.datapoints_to_alarm:
            return AlarmState.ALARM
        if not lacking or self.missing_data in ("breaching", "not_breaching") or not all(found):
            return AlarmState.OK
        if self.missing_data == "ignore":
            return before
        ages = [len(datapoints) - place for place, value in enumerate(datapoints) if value is not None]
        if ages and ages[0] >= self.datapoints_to_alarm:
            return AlarmState.ALARM
        return AlarmState.INSUFFICIENT_DATA


@dataclass(frozen=True, slots=True)
class Observed:
    """A metric after a turn: *memory* holds it, *datapoints* are those of the periods before this one, *closed* says that a period has just ended."""

    memory: Memory
    datapoints: Datapoints
    closed: bool

    @property
    def last(self) -> float | None:
        """The newest datapoint there is."""
        return next((value for value in reversed(self.datapoints) if value is not None), None)


def observe(
    memory: Memory, name: str, now: int, samples: Iterable[float], *, period: int, reach: int
) -> Observed:
    """Take note of a turn's *samples* under *name*, and close what has ended by *now* (ns).

    Only the last *reach* periods are remembered.
    """
    index = now // period
    opened, total, count = (*memory.get(f"{name}.open", ()), index, 0.0, 0)[:3]
    known = dict(
        zip(map(int, memory.get(f"{name}.periods", ())), memory.get(f"{name}.values", ()), strict=True)
    )
    closed = opened < index
    if closed:
        if count:
            known[int(opened)] = total / count
        opened, total, count = index, 0.0, 0
    found = list(samples)
    known = {place: value for place, value in sorted(known.items()) if place >= index - reach}
    kept = {
        **memory,
        f"{name}.open": (opened, total + math.fsum(found), count + len(found)),
        f"{name}.periods": tuple(known),
        f"{name}.values": tuple(known.values()),
    }
    return Observed(kept, tuple(known.get(place) for place in range(index - reach, index)), closed)


def watch(
    alarm: Alarm, memory: Memory, name: str, now: int, servers: Sequence[ServerView]
) -> tuple[Observed, AlarmState]:
    """:func:`observe` the alarm's metric on *servers* and judge it when a period closes; between, the state is the last one."""
    seen = observe(
        memory, name, now, metric_of(servers, alarm.metric), period=alarm.period, reach=alarm.reach
    )
    before = AlarmState(int(memory.get(f"{name}.state", (AlarmState.INSUFFICIENT_DATA,))[0]))
    state = alarm.judge(seen.datapoints, before) if seen.closed else before
    kept = {**seen.memory, f"{name}.state": (int(state),)}
    return Observed(kept, seen.datapoints, seen.closed), state


def metric_of(servers: Sequence[ServerView], metric: str) -> list[float]:
    """What the servers with a usable sample say of *metric*."""
    known: list[Mapping[str, float]] = [server.metrics for server in servers if server.metrics is not None]
    return [float(metrics[metric]) for metrics in known if metric in metrics]


def is_close(one: float, other: float) -> bool:
    """Equal but for the rounding of sums and shares (0.5 + 0.1 is the 0.6 that a scenario says)."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
