"""Cron expressions, as crontab(5) has them: ``minute hour day-of-month month day-of-week``.

A field is ``*`` or a list of numbers and ranges with commas; ``*`` and ranges may have a step (``*/15``, ``8-18/2``). Months and days of the week
also have names, of three letters in either case, in lists and ranges too; Sunday is 0 and 7, and ``sun`` at the end of a range is 7 (``sat-sun``).
If neither day of month nor day of week begins with ``*``, a day matches when either does; else when both do (so that ``*/2`` is no restriction in this sense, as in
Vixie cron).
"""

from dataclasses import dataclass
from datetime import date, timedelta

from .units import show

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

LONGEST_WAIT = 8 * 366
"""In so many days everything occurs that ever does: 29 February has eight years between 1896 and 1904, and 2096 and 2104."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    greatest: int
    names: tuple[str, ...] = ()
    first: int = 0
    """The number of the first name."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """When something is due, on a calendar without a zone.

    *times*: (hour, minute), in order. *wildcard*: minute or hour begins with ``*``. *weekdays*: 0 is Sunday. *either*: one of day of month and day of week is enough.
    """

    times: tuple[tuple[int, int], ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    wildcard: bool

    def on(self, day: date) -> bool:
        """Whether anything is due on *day*."""
        if day.month not in self.months:
            return False
        by_date, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_date or by_week if self.either else by_date and by_week


def parse_cron(text: object) -> Cron:
    """The expression's meaning. Raises ValueError: a sentence that says what is wrong, also of what is never due."""
    if not isinstance(text, str) or len(parts := text.split()) != len(_FIELDS):
        raise ValueError(
            "expected five fields (minute, hour, day of month, month, day of week) such as '0 9 * * mon-fri', "
            f"got {show(text)}"
        )
    minutes, hours, days, months, weekdays = (
        _field(field, part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    cron = Cron(
        times=tuple((hour, minute) for hour in sorted(hours) for minute in sorted(minutes)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either=not parts[2].startswith("*") and not parts[4].startswith("*"),
        wildcard=parts[0].startswith("*") or parts[1].startswith("*"),
    )
    leap = date(2096, 1, 1)
    if not any(cron.on(leap + timedelta(days=n)) for n in range(LONGEST_WAIT)):
        raise ValueError(f"expected a day that exists, got {show(text)}")
    return cron


def _field(field: _Field, text: str) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _part(field, part))


def _part(field: _Field, text: str) -> range:
    span, slash, step = text.partition("/")
    low, dash, high = span.partition("-")
    if slash and span != "*" and not dash:
        raise ValueError(f"expected * or a range before the step of {field.name}, got {show(text)}")
    if slash and (not _is_number(step) or int(step) == 0):
        raise ValueError(f"expected a whole number above 0 as the step of {field.name}, got {show(text)}")
    first, last = field.least, field.greatest
    if span != "*":
        first = _value(field, low, text)
        last = _value(field, high, text) if dash else first
        if dash and last == 0 and field.names == _DAYS:
            last = 7
    if first > last:
        raise ValueError(f"expected a range of {field.name} from less to more, got {show(text)}")
    return range(first, last + 1, int(step) if slash else 1)


def _value(field: _Field, word: str, text: str) -> int:
    if word.lower() in field.names:
        return field.names.index(word.lower()) + field.first
    if not _is_number(word) or not field.least <= int(word) <= field.greatest:
        names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise ValueError(
            f"expected {field.least} to {field.greatest}{names} as {field.name}, got {show(text)}"
        )
    return int(word)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 4
