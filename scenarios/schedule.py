"""From a schedule on the wall clock to steps on the run's: time zones, and hours that do not exist or exist twice.

Where clocks are put forward, a cron time that does not exist is due at the first moment after the gap; where they are put back, one that exists twice is due the
first time only. With ``*`` in minute or hour it is the other way, as cron(8) of Vixie cron has it ("jobs which are specified with wildcards are run based on the
new time immediately"): not due in the gap, due both times. A single moment (``at``, ``starts``) that does not exist or exists twice is refused; with an
offset from UTC (``2026-10-25T02:30:00+01:00``) it is always one moment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from ..core.policies import Step
from .cron import LONGEST_WAIT, Cron
from .units import show

_SECOND = timedelta(seconds=1)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?\Z", re.ASCII)

MOST_STEPS = 20_000
"""So many are enough for one a minute over two weeks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cron expression or a moment (in UTC), and what holds from then on."""

    when: Cron | datetime
    minimum: int
    maximum: int
    size: int


def parse_zone(name: object) -> tzinfo:
    """A zone of the IANA database (the system's, else the package tzdata's), or UTC. Raises ValueError."""
    if name == "UTC":
        return UTC
    wrong = f"expected a time zone such as Europe/Berlin or UTC, got {show(name)}"
    if not isinstance(name, str) or not name[:1].isupper():
        # In lower case lie this machine's own zone (localtime), other tables (posix, right) and files that are no zones.
        raise ValueError(wrong)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # KeyError: no such zone; the others: a folder of zones, or no name of one.
        raise ValueError(wrong) from error


def check_moment(text: object) -> str:
    """*text* if it is a date and time such as 2026-03-02T08:00:00, with or without an offset. Raises ValueError."""
    wrong = f"expected a date and time such as 2026-03-02T08:00:00, got {show(text)}"
    if not isinstance(text, str) or not _MOMENT.match(text):
        raise ValueError(wrong)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(wrong) from error
    if not 1970 <= found.year <= 2200:
        raise ValueError(f"expected a year from 1970 to 2200, got {show(text)}")
    return text


def moment(text: str, zone: tzinfo) -> datetime:
    """The moment, in UTC, of what :func:`check_moment` accepts. Raises ValueError where the zone's clocks do not show it exactly once."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    times = _moments(found, zone)
    if len(times) != 1:
        often = "twice" if times else "not at all"
        raise ValueError(
            f"expected a time with its offset from UTC, got {text!r}, which is {often} in {zone}"
        )
    return times[0]


def compile_steps(
    entries: list[Entry], zone: tzinfo, starts: datetime, length: timedelta
) -> tuple[Step, ...]:
    """What changes when, on the clock of a run that begins at *starts* (UTC) and lasts *length*; the first step is what holds at its begin.

    Of entries due at the same moment the one whose wall time is later holds, else the later one in the list. Raises ValueError if there are
    more than MOST_STEPS.
    """
    due: list[tuple[datetime, datetime, int]] = []
    for number, entry in enumerate(entries):
        if isinstance(entry.when, datetime):
            if entry.when <= starts + length:
                due.append((entry.when, entry.when.astimezone(zone).replace(tzinfo=None), number))
            continue
        before = _last_before(entry.when, zone, starts)
        if before is not None:
            due.append((*before, number))
        first = starts.astimezone(zone).date() - timedelta(days=1)
        for at, wall in occurrences(entry.when, zone, first, length.days + 3):
            if starts < at <= starts + length:
                due.append((at, wall, number))
                if len(due) > MOST_STEPS:
                    raise ValueError(
                        f"expected at most {MOST_STEPS} scheduled times within the run, got more"
                    )
    steps: list[Step] = []
    for at, _, number in sorted(due):
        entry = entries[number]
        step = Step((at - starts) // _SECOND * 10**9, entry.minimum, entry.maximum, entry.size)
        if steps and (steps[-1].at == step.at or max(steps[-1].at, step.at) <= 0):
            steps.pop()
        if not steps or steps[-1] != Step(steps[-1].at, step.minimum, step.maximum, step.size):
            steps.append(step)
    return tuple(steps)


def _last_before(cron: Cron, zone: tzinfo, starts: datetime) -> tuple[datetime, datetime] | None:
    """When *cron* was due last, not after *starts*: the moment and the wall time."""
    today = starts.astimezone(zone).date()
    for back in range(-1, LONGEST_WAIT):
        day = today - timedelta(days=back)
        found = [one for one in occurrences(cron, zone, day, 1) if one[0] <= starts]
        if found:
            return max(found)
    return None


def occurrences(cron: Cron, zone: tzinfo, first: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """(moment in UTC, wall time) of all that is due on so many days from *first*."""
    for n in range(days):
        day = first + timedelta(days=n)
        if not cron.on(day):
            continue
        for hour, minute in cron.times:
            wall = datetime.combine(day, time(hour, minute))
            times = _moments(wall, zone)
            if cron.wildcard:
                yield from ((at, wall) for at in times)
            else:
                yield times[0] if times else _after_gap(wall, zone), wall


def _moments(wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """The moments, in UTC, at which clocks of *zone* show *wall*: none, one or two."""
    both = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return tuple(sorted(at for at in both if at.astimezone(zone).replace(tzinfo=None) == wall))


def _after_gap(wall: datetime, zone: tzinfo) -> datetime:
    """The first moment after the gap in which *wall* lies: when the offset changes, found by halving."""
    before, after = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    new = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == new:
            after = middle
        else:
            before = middle
    return after
