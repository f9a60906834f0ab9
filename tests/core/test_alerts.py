"""Alerts: conditions, `for` and `clear_after`, what is not known, grouping, state, expectations."""

from dataclasses import replace

import pytest
from windtunnel.core.alerts import (
    FIRED,
    OVER,
    Alerts,
    AlertSpec,
    AtMaximum,
    BurnRate,
    Change,
    Condition,
    ExpectSpec,
    OrphanFound,
    ProxyMetric,
    ServerCount,
    ServerMetric,
    judge_expectation,
)
from windtunnel.core.model import SECOND
from windtunnel.core.policies.view import FleetView, ServerView

BUSY = ServerMetric("requests", 300.0)


def view(second: int, *requests: float | None, **more: object) -> FleetView:
    """Servers 1, 2, ... with so many requests (None: no usable sample)."""
    servers = tuple(
        ServerView(f"a{number}", None if value is None else {"requests": value}, number=number)
        for number, value in enumerate(requests, 1)
    )
    return replace(FleetView(second * SECOND, servers), **more)  # type: ignore[arg-type]


def alerts(when: Condition, hold: int = 0, clear: int = 0) -> Alerts:
    return Alerts((AlertSpec("x", when, "", hold * SECOND, clear * SECOND),))


def told(engine: Alerts, *views: FleetView) -> list[tuple[int, str]]:
    """(second, event) of each change."""
    return [(one.now // SECOND, change.event) for one in views for change in engine.judge(one)]


def test_it_fires_once_after_its_time_and_ends_after_the_other() -> None:
    load = [301, 301, 100, 301, 301, 301, 301, 300, 301, 300, 300, 300, 300]
    found = told(alerts(BUSY, hold=2, clear=3), *(view(second, value) for second, value in enumerate(load)))
    # A break at 2 begins the time anew, as one at 8 does for the end; the bound itself is not above it.
    assert found == [(5, FIRED), (12, OVER)]


def test_several_servers_are_one_alert() -> None:
    engine = alerts(BUSY, hold=1)
    assert not engine.judge(view(0, 400, 400, 10))
    (fired,) = engine.judge(view(1, 400, 500, 400))
    # The third has not been so for long enough; the figure is the worst.
    assert fired == Change(FIRED, {"name": "x", "servers": [1, 2], "value": "500", "held": SECOND})
    assert not engine.judge(view(2, 10, 10, 600)), "another server is the same alert"
    (over,) = engine.judge(view(3, 10, 10, 10))
    assert over == Change(OVER, {"name": "x", "lasted": 2 * SECOND})


def test_two_servers_in_turn_are_not_one_for_long() -> None:
    found = told(alerts(BUSY, hold=2), *(view(s, *((400, 0) if s % 2 else (0, 400))) for s in range(9)))
    assert found == []


def test_foreign_servers_are_named_by_address() -> None:
    (fired,) = alerts(BUSY).judge(
        FleetView(
            0, (ServerView("b:80", {"requests": 999.0}), ServerView("a:80", {"requests": 999.0}, number=7))
        )
    )
    assert fired.fields["servers"] == [7, "b:80"]


def test_unknown_is_neither() -> None:
    engine = alerts(BUSY, hold=2, clear=2)
    assert told(engine, view(0, 400), view(1, None), view(2, 400), view(3, 400)) == []
    assert told(engine, view(4, 400)) == [(4, FIRED)]
    assert told(engine, view(5, 0), view(6, None), view(7, 0), view(8, 0)) == []
    assert told(engine, view(9, 0)) == [(9, OVER)]


def test_a_turn_that_saw_nothing_begins_the_times_anew() -> None:
    engine = alerts(BUSY, hold=2, clear=2)
    engine.judge(view(0, 400))
    engine.blind()
    assert told(engine, view(2, 400), view(3, 400), view(4, 400)) == [(4, FIRED)]
    engine.judge(view(5, 0))
    engine.blind()
    assert told(engine, view(7, 0), view(8, 0), view(9, 0)) == [(9, OVER)]


@pytest.mark.parametrize(
    ("servers", "above", "requests", "fires"),
    [
        ("any", True, (10, 400), True),
        ("any", True, (10, None, 400), True),
        ("any", True, (), False),
        ("any", False, (400, 10), True),
        ("all", True, (10, 400), False),
        ("all", True, (301, 400), True),
        ("all", True, (400, None), False),
        ("all", True, (), False),
        ("all", False, (10, 20), True),
        ("mean", True, (200, 401), True),
        ("mean", True, (200, 400), False),
        ("mean", True, (400, None), False),
        ("mean", False, (), False),
    ],
)
def test_any_all_and_mean(servers: str, above: bool, requests: tuple[float | None, ...], fires: bool) -> None:
    when = ServerMetric("requests", 300.0, above, servers)  # type: ignore[arg-type]
    assert bool(alerts(when).judge(view(0, *requests))) == fires


def test_order_of_servers_does_not_matter() -> None:
    values = (0.1, 1e16, 301.7, -1e16, 0.3)
    mean = alerts(ServerMetric("requests", 1.0, servers="mean"))
    (one,), (two,) = (
        mean.judge(view(0, *values)),
        alerts(ServerMetric("requests", 1.0, servers="mean")).judge(view(0, *reversed(values))),
    )
    assert one.fields["value"] == two.fields["value"] == "60.42"


@pytest.mark.parametrize(
    ("when", "seen", "fires"),
    [
        (ServerCount("standby", 1), view(0, standby=0), True),
        (ServerCount("standby", 1), view(0, standby=1), False),
        (ServerCount("serving", 3, above=True), view(0, 1, 1, 1, 1), True),
        (AtMaximum(), view(0, 1, 1, maximum=3, booting=(0,)), True),
        (AtMaximum(), view(0, 1, 1, maximum=3), False),
        (AtMaximum(), view(0, 1, 1), False),
        (ProxyMetric("waiting", 5.0), view(0, proxy={"waiting": 6.0}), True),
        (ProxyMetric("waiting", 5.0), view(0), False),
        (ServerMetric("queue", 5.0), view(0, 999), False),
    ],
)
def test_other_conditions(when: Condition, seen: FleetView, fires: bool) -> None:
    assert bool(alerts(when).judge(seen)) == fires


def test_orphans_are_named() -> None:
    engine = alerts(OrphanFound())
    (fired,) = engine.judge(view(0, 1), (99,))
    assert fired.fields["servers"] == [99]
    assert told(engine, view(1, 1)) == [(1, OVER)]


def proxy(second: int, requests: float, unserved: float) -> FleetView:
    return view(second, 1, proxy={"requests": requests, "unserved": unserved})


def test_burn_rate_is_over_the_window() -> None:
    """An objective of 99%: a budget of 1%. 5% unserved burns it five times too fast (Site Reliability Workbook, chapter 5: burn rate = error rate / budget)."""
    engine = alerts(BurnRate("o", 0.01, 4.9, 10 * SECOND))
    assert told(engine, *(proxy(second, 100, 0) for second in range(10))) == []
    # 50 of 1000 in the window, at the sixth second with 10 unserved, is 5.
    found = told(engine, *(proxy(second, 100, 10) for second in range(10, 20)))
    assert found == [(14, FIRED)]
    assert told(engine, *(proxy(second, 100, 0) for second in range(20, 40)))[0][1] == OVER
    assert told(alerts(BurnRate("o", 0.01, 1.0, SECOND)), proxy(0, 0, 0)) == [], "nothing arrived"


def test_a_successor_knows_what_fires() -> None:
    first = alerts(BUSY)
    first.judge(view(3, 400))
    second = alerts(BUSY)
    second.recall(first.state())
    assert second.judge(view(4, 400)) == ()
    assert second.judge(view(5, 0)) == (Change(OVER, {"name": "x", "lasted": 2 * SECOND}),)
    assert second.state() == {}


@pytest.mark.parametrize(
    ("fires", "fired", "value", "held"),
    [
        (True, [12], 2, True),
        (True, [15], 5, True),
        (True, [16], 6, False),
        (True, [], None, False),
        (True, [9], None, False),
        (True, [9, 11], 1, True),
        (False, [], 0, True),
        (False, [9, 16], 0, True),
        (False, [9, 10, 15], 2, False),
    ],
)
def test_expectations(fires: bool, fired: list[int], value: int | None, held: bool) -> None:
    verdict = judge_expectation(ExpectSpec("x", fires, 10, 5, ""), fired)
    assert (verdict.value, verdict.held) == (value, held)
