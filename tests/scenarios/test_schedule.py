"""Cron expressions, time zones, and the hours that do not exist or exist twice."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from windtunnel import ScenarioError
from windtunnel.core.policies import Scheduled, Step
from windtunnel.scenarios.cron import parse_cron
from windtunnel.scenarios.schedule import occurrences, parse_zone
from windtunnel.tests.support import plan

MARCH = [date(2026, 3, 1) + timedelta(days=n) for n in range(31)]


def days(expression: str) -> list[int]:
    return [day.day for day in MARCH if parse_cron(expression).on(day)]


def times(expression: str) -> list[str]:
    return [f"{hour}:{minute:02}" for hour, minute in parse_cron(expression).times]


def test_the_examples_of_crontab_5() -> None:
    """Its EXAMPLE CRON FILE, and the note on days: 30 4 1,15 * 5."""
    assert times("5 0 * * *") == ["0:05"]
    assert (times("15 14 1 * *"), days("15 14 1 * *")) == (["14:15"], [1])
    assert (times("0 22 * * 1-5"), days("0 22 * * 1-5")[:6]) == (["22:00"], [2, 3, 4, 5, 6, 9])
    assert times("23 0-23/2 * * *") == [f"{hour}:23" for hour in range(0, 24, 2)]
    assert (times("5 4 * * sun"), days("5 4 * * sun")) == (["4:05"], [1, 8, 15, 22, 29])
    assert (times("30 4 1,15 * 5"), days("30 4 1,15 * 5")) == (["4:30"], [1, 6, 13, 15, 20, 27])


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("0 0 13 * fri", [6, 13, 20, 27]),
        ("0 0 * * 0", [1, 8, 15, 22, 29]),
        ("0 0 * * 7", [1, 8, 15, 22, 29]),
        ("0 0 * * SAT-SUN", [1, 7, 8, 14, 15, 21, 22, 28, 29]),
        ("0 0 * * mon,Wed", [2, 4, 9, 11, 16, 18, 23, 25, 30]),
        ("0 0 */10 * *", [1, 11, 21, 31]),
        ("0 0 10-20/5 mar *", [10, 15, 20]),
        ("0 0 1 jan-feb *", []),
        # A field that begins with * is no restriction: both must match (Vixie cron's DOM_STAR and DOW_STAR).
        ("0 0 */2 * sun", [1, 15, 29]),
        ("0 0 1-7 * */7", [1]),
    ],
)
def test_days(expression: str, due: list[int]) -> None:
    assert days(expression) == due


def test_steps_and_lists_of_times() -> None:
    assert times("*/20 8,9 * * *") == ["8:00", "8:20", "8:40", "9:00", "9:20", "9:40"]
    assert times("5-15/5,59 0 * * *") == ["0:05", "0:10", "0:15", "0:59"]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("0 9 * *", "expected five fields (minute, hour, day of month, month, day of week) such as '0 9 * * mon-fri', got '0 9 * *'"),
        ("@daily", "expected five fields (minute, hour, day of month, month, day of week) such as '0 9 * * mon-fri', got '@daily'"),
        ("60 9 * * *", "expected 0 to 59 as minute, got '60'"),
        ("0 -1 * * *", "expected 0 to 23 as hour, got '-1'"),
        ("0 9 0 * *", "expected 1 to 31 as day of month, got '0'"),
        ("0 9 L * *", "expected 1 to 31 as day of month, got 'L'"),
        ("0 9 * mai *", "expected 1 to 12 or jan to dec as month, got 'mai'"),
        ("0 9 * * 1,8", "expected 0 to 7 or sun to sat as day of week, got '8'"),
        ("0 9 * * fri-mon", "expected a range of day of week from less to more, got 'fri-mon'"),
        ("5/15 9 * * *", "expected * or a range before the step of minute, got '5/15'"),
        ("*/0 9 * * *", "expected a whole number above 0 as the step of minute, got '*/0'"),
        ("0 9, * * *", "expected 0 to 23 as hour, got ''"),
        ("0 9 ² * *", "expected 1 to 31 as day of month, got '²'"),
        ("0 9 31 feb,apr *", "expected a day that exists, got '0 9 31 feb,apr *'"),
    ],
)  # fmt: skip
def test_mistakes_in_an_expression(expression: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        parse_cron(expression)
    assert str(raised.value) == sentence


def test_a_leap_day_is_a_day_that_exists() -> None:
    assert parse_cron("0 0 29 2 *").on(date(2104, 2, 29))


def policy(starts: str, *entries: dict[str, Any], zone: str = "UTC", length: str = "48h") -> dict[str, Any]:
    scheduled = {"starts": starts, "timezone": zone, "entries": list(entries)}
    return {"duration": length, "autoscaler": {"policy": {"scheduled": scheduled}}}


def steps(
    starts: str, *entries: dict[str, Any], zone: str = "UTC", length: str = "48h"
) -> list[tuple[float, int]]:
    """(hour of the run, size); entries have sizes."""
    made = plan(policy(starts, *entries, zone=zone, length=length)).fleet.autoscaler
    assert made is not None
    assert isinstance(made.policy, Scheduled)
    return [(step.at / 3600e9, step.size) for step in made.policy.steps if step.at <= 48 * 3600e9]


NINE = {"cron": "0 9 * * *", "size": 9}
SIX = {"cron": "0 18 * * *", "size": 6}


def test_what_held_before_the_run_holds_at_its_begin() -> None:
    assert steps("2026-03-02T08:00:00", NINE, SIX)[:3] == [(-14, 6), (1, 9), (10, 6)]
    assert steps("2026-03-02T09:00:00", NINE, SIX)[:2] == [(0, 9), (9, 6)]
    leap = {"cron": "0 0 29 2 *", "size": 29}
    assert steps("2026-03-02T08:00:00", leap, length="1h") == [
        ((datetime(2024, 2, 29) - datetime(2026, 3, 2, 8)) / timedelta(hours=1), 29)
    ]
    past = {"at": "2026-03-01T00:00:00", "size": 1}
    assert steps("2026-03-02T08:00:00", past) == [(-32, 1)]


def test_of_two_at_once_the_later_in_the_list_holds() -> None:
    other = {"at": "2026-03-02T09:00:00", "size": 1}
    assert steps("2026-03-02T08:30:00", NINE, other, length="1h") == [(-23.5, 9), (0.5, 1), (24.5, 9)]
    assert steps("2026-03-02T08:30:00", other, NINE, length="1h") == [(-23.5, 9)]


def test_each_entry_stands_for_itself() -> None:
    made = plan(
        policy("2026-03-02T08:00:00", {"cron": "0 8 * * *", "min": 2}, {"cron": "0 9 * * *", "max": 5})
    )
    assert made.fleet.autoscaler is not None
    assert isinstance(made.fleet.autoscaler.policy, Scheduled)
    hour = 3600 * 10**9
    assert made.fleet.autoscaler.policy.steps[:2] == (Step(0, minimum=2), Step(hour, maximum=5))


BERLIN = "Europe/Berlin"


def begin(starts: str) -> dict[str, Any]:
    """What holds at the begin, so that nothing of the year before does."""
    return {"at": starts, "size": 0}


def test_a_time_in_the_hour_that_does_not_exist_is_due_right_after_it() -> None:
    """cron(8): "If time has moved forward, those jobs that would have run in the interval that has been skipped will be run immediately"."""
    starts = "2026-03-29T00:00:00"
    fixed = [{"cron": "30 2 29 3 *", "size": 2}, {"cron": "15 2 29 3 *", "size": 1}]
    assert steps(starts, begin(starts), *fixed, zone=BERLIN)[1:] == [(2, 2)], (
        "02:00 is 03:00; the later of both holds"
    )
    assert steps(starts, begin(starts), {"cron": "0 4 29 3 *", "size": 4}, zone=BERLIN)[1:] == [(3, 4)]
    wild = {"cron": "*/30 2 29 3 *", "size": 3}
    assert len(steps(starts, begin(starts), wild, zone=BERLIN)) == 1, "with * it is not due at all"


def test_a_time_in_the_hour_that_exists_twice_is_due_the_first_time() -> None:
    """cron(8): "If time has moved backward, those jobs that fall into the repeated time will not be re-run", but for wildcards."""
    starts = "2026-10-25T00:00:00"
    once = [{"cron": "0 2 25 10 *", "size": 2}, {"cron": "30 2 25 10 *", "size": 3}]
    assert steps(starts, begin(starts), *once, zone=BERLIN)[1:] == [(2, 2), (2.5, 3)]
    both = [{"cron": "0 * 25 10 *", "size": 2}, {"cron": "30 * 25 10 *", "size": 3}]
    hours = [(number / 2, 2 + number % 2) for number in range(9)]
    assert steps(starts, begin(starts), *both, zone=BERLIN)[:9] == hours, "02:00 and 02:30 come twice"
    assert steps(starts, begin(starts), {"cron": "0 9 * * *", "size": 9}, zone=BERLIN)[1] == (10, 9)


def test_a_zone_may_change_by_half_an_hour_or_skip_a_day() -> None:
    half, day = "2026-10-04T00:00:00", "2011-12-29T00:00:00"
    due = steps(half, begin(half), {"cron": "15 2 4 10 *", "size": 1}, zone="Australia/Lord_Howe")
    assert due[1:] == [(2, 1)]
    due = steps(day, begin(day), {"cron": "0 12 30 12 *", "size": 1}, zone="Pacific/Apia")
    assert due[1:] == [(24, 1)]


def test_an_offset_names_one_moment() -> None:
    first = {"at": "2026-10-25T02:30:00+02:00", "size": 1}
    second = {"at": "2026-10-25T02:30:00+01:00", "size": 2}
    assert steps("2026-10-25T00:00:00", begin("2026-10-25T00:00:00"), first, second, zone=BERLIN)[1:] == [
        (2.5, 1),
        (3.5, 2),
    ]
    assert steps("2026-10-24T22:00:00Z", first, zone=BERLIN) == [(2.5, 1)], "nothing holds before it"


WEEKS = [
    (BERLIN, date(2026, 3, 27)), (BERLIN, date(2026, 10, 23)), ("America/New_York", date(2026, 3, 6)),
    ("Australia/Lord_Howe", date(2026, 4, 3)), ("Africa/Casablanca", date(2026, 2, 13)), ("UTC", date(2026, 2, 27)),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "first"), WEEKS)
@pytest.mark.parametrize("expression", ["*/7 * * * *", "0 */5 1 * mon", "17 * */2 * 0-3"])
def test_with_wildcards_it_is_due_whenever_clocks_show_it(zone: str, first: date, expression: str) -> None:
    """The oracle asks a clock in each minute of five days."""
    cron, where = parse_cron(expression), parse_zone(zone)
    begin = datetime(first.year, first.month, first.day, tzinfo=where).astimezone(UTC)
    minutes = [begin + timedelta(minutes=n) for n in range(5 * 1440)]
    shown = {minute: minute.astimezone(where) for minute in minutes}
    expected = [
        m for m, local in shown.items() if cron.on(local.date()) and (local.hour, local.minute) in cron.times
    ]
    found = sorted(at for at, _ in occurrences(cron, where, first - timedelta(days=1), 8))
    assert [at for at in found if at in shown] == expected
    assert expected


@pytest.mark.parametrize(("zone", "first"), WEEKS)
def test_at_fixed_times_it_is_due_once_a_day(zone: str, first: date) -> None:
    cron, where = parse_cron("5,35 1-3 * * *"), parse_zone(zone)
    found = list(occurrences(cron, where, first, 5))
    assert len(found) == len(set(found)) == 5 * 6
    assert all(at.astimezone(where).date() == wall.date() for at, wall in found)
    assert all(at <= later for (at, _), (later, _) in pairwise(found))


SIZE = {"at": "2026-03-02T12:00:00", "size": 1}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (policy("yesterday", SIZE), "starts: expected a date and time such as 2026-03-02T08:00:00, got 'yesterday'"),
        (policy("2026-02-30T08:00:00", SIZE), "starts: expected a date and time such as 2026-03-02T08:00:00, got '2026-02-30T08:00:00'"),
        (policy("1926-03-02T08:00:00", SIZE), "starts: expected a year from 1970 to 2200, got '1926-03-02T08:00:00'"),
        (policy("2026-03-29T02:30:00", SIZE, zone=BERLIN),
         "starts: expected a time with its offset from UTC, got '2026-03-29T02:30:00', which is not at all in Europe/Berlin"),
        (policy("2026-10-25T00:00:00", {"at": "2026-10-25T02:30:00", "size": 1}, zone=BERLIN),
         "entries[0].at: expected a time with its offset from UTC, got '2026-10-25T02:30:00', which is twice in Europe/Berlin"),
        (policy("2026-03-02T08:00:00", SIZE, zone="Europe"), "timezone: expected a time zone such as Europe/Berlin or UTC, got 'Europe'"),
        (policy("2026-03-02T08:00:00", SIZE, zone="../passwd"), "timezone: expected a time zone such as Europe/Berlin or UTC, got '../passwd'"),
        (policy("2026-03-02T08:00:00", {"cron": "61 * * * *", "size": 1}), "entries[0].cron: expected 0 to 59 as minute, got '61'"),
        (policy("2026-03-02T08:00:00", {**SIZE, "cron": "1 * * * *"}), "entries[0]: expected cron or at, got both"),
        (policy("2026-03-02T08:00:00", {"size": 1}), "entries[0]: expected cron or at, got neither"),
        (policy("2026-03-02T08:00:00", {"cron": "1 * * * *"}), "entries[0]: expected size, min or max, got none"),
        (policy("2026-03-02T08:00:00", {**SIZE, "min": 1}), "entries[0].size: expected size alone: it is minimum and maximum"),
        (policy("2026-03-02T08:00:00", {"cron": "1 * * * *", "min": 3, "max": 2}), "entries[0].max: expected max no less than min, got 2"),
    ],
)  # fmt: skip
def test_mistakes_in_a_schedule(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        plan(document)
    assert sentence in str(raised.value)


def test_too_many_changes_are_refused_before_the_run() -> None:
    every = {"cron": "* * * * *", "size": 1}
    with pytest.raises(ScenarioError, match="expected at most 20000 scheduled times within the run"):
        plan(policy("2026-03-02T08:00:00", every, {**every, "size": 2}, length="9000h"))


@pytest.mark.parametrize(
    "name", ["", "localtime", "posix/Europe/Berlin", "Europe", "Europe/Berlin/", "Nowhere/Town", "E\0", None]
)
def test_what_is_no_zone(name: object) -> None:
    with pytest.raises(ValueError, match="expected a time zone such as Europe/Berlin or UTC, got "):
        parse_zone(name)


def test_utc_is_there_without_a_database() -> None:
    assert parse_zone("UTC") is UTC
