"""The policy ``scheduled`` in the scenario file: what the run's clock shows when it begins, and what changes when."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ..core.policies import Scheduled
from ..core.policies.scheduled import OPEN
from .cron import parse_cron
from .schedule import Entry, check_moment, compile_steps, moment, parse_zone
from .schema_base import Count, FieldError, Model


def _cron(text: str) -> str:
    parse_cron(text)
    return text


def _zone(text: str) -> str:
    parse_zone(text)
    return text


Moment = Annotated[str, BeforeValidator(check_moment)]

_AFTER_THE_END = timedelta(days=1)
"""A run goes on after its last arrival, until the last answer."""


class ScheduleEntry(Model):
    """When, by `cron` or `at`, and what holds from then on: `size`, or `min` or `max` or both."""

    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        None, description="minute, hour, day of month, month, day of week, such as `0 9 * * mon-fri`"
    )
    at: Moment | None = Field(None, description="once, at a date and time such as `2026-03-02T12:00:00`")
    min: Count | None = Field(None, description="at least so many servers")
    max: Count | None = Field(None, description="at most so many servers")
    size: Count | None = Field(None, description="exactly so many servers")

    @model_validator(mode="after")
    def _one_time_and_something(self) -> Self:
        if (self.cron is None) == (self.at is None):
            both = "both" if self.cron is not None else "neither"
            raise FieldError(f"expected cron or at, got {both}", without=(("cron",), ("at",)))
        if self.size is None and self.min is None and self.max is None:
            raise FieldError("expected size, min or max, got none", without=(("size",), ("min",), ("max",)))
        if self.size is not None and (self.min is not None or self.max is not None):
            raise FieldError("expected size alone: it is minimum and maximum", at=("size",))
        if self.min is not None and self.max is not None and self.min > self.max:
            raise FieldError(f"expected max no less than min, got {self.max}", at=("max",))
        return self


class ScheduledPolicy(Model):
    """Sizes and bounds by the calendar: each entry holds until the next one is due."""

    starts: Moment = Field(
        description="date and time at second 0 of the run, such as `2026-03-02T08:00:00` (by the clocks of timezone, unless with an offset)"
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="of all times: a name of the IANA database such as `Europe/Berlin`"
    )
    entries: list[ScheduleEntry] = Field(min_length=1, description="what changes when")

    @model_validator(mode="after")
    def _exactly_once(self) -> Self:
        zone = parse_zone(self.timezone)
        places: list[tuple[tuple[str | int, ...], str | None]] = [(("starts",), self.starts)]
        places += [(("entries", number, "at"), entry.at) for number, entry in enumerate(self.entries)]
        for place, text in places:
            try:
                if text is not None:
                    moment(text, zone)
            except ValueError as error:
                raise FieldError(str(error), at=place) from error
        return self

    def resolve(self, duration: int) -> Scheduled:
        """The engine's policy, for a run so long (ns). Raises ValueError if too many entries are due in it."""
        zone = parse_zone(self.timezone)
        entries = []
        for entry in self.entries:
            when = moment(entry.at, zone) if entry.at is not None else parse_cron(entry.cron)
            entries.append(Entry(when, _or_open(entry.min), _or_open(entry.max), _or_open(entry.size)))
        length = timedelta(microseconds=duration // 1000) + _AFTER_THE_END
        return Scheduled(compile_steps(entries, zone, moment(self.starts, zone), length))


def _or_open(value: int | None) -> int:
    return OPEN if value is None else value
