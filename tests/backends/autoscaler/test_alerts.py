"""Alerts at the driver's turns, on the twins, and of the role as a process."""

from dataclasses import replace

from windtunnel.core.alerts import (
    FIRED,
    OVER,
    AlertSpec,
    AtMaximum,
    Email,
    OrphanFound,
    ServerMetric,
    Webhook,
)
from windtunnel.core.model import SECOND
from windtunnel.tests.backends.autoscaler.fleet import SPEC, CrashNow, Fleet
from windtunnel.tests.backends.autoscaler.processes import Flight, eventually
from windtunnel.tests.backends.autoscaler.receivers import Hook, MailServer

OVERLOAD = AlertSpec(
    "overload", ServerMetric("requests", 120.0), "requests of any server above 120/s", SECOND, 2 * SECOND
)
ORPHAN = AlertSpec("orphan", OrphanFound(), "an orphan was found")


def changes(fleet: Fleet) -> list[tuple[int, str, str]]:
    return [
        (now // SECOND, name, fields["name"]) for now, name, fields in fleet.events if name in (FIRED, OVER)
    ]


def test_orphans_are_found_once_and_the_first_fleet_is_none() -> None:
    fleet = Fleet()
    driver = fleet.driver("one", spec=replace(SPEC, reconcile_interval=3 * SECOND), alerts=(ORPHAN,))
    for second in range(1, 20):
        fleet.now = second * SECOND
        if second == 8:
            fleet.load = 150
        if second == 5:
            fleet.cloud.launch(99, "serving", "by hand")
        fleet.live()
        driver.turn(fleet.now)
    assert fleet.launches, "what it launches itself is no orphan"
    assert [(what, name) for _, what, name in changes(fleet)] == [(FIRED, "orphan"), (OVER, "orphan")]
    (fired,) = (fields for _, name, fields in fleet.events if name == FIRED)
    assert fired["servers"] == [99]


def test_a_successor_goes_on_where_the_first_died() -> None:
    fleet = Fleet(load=150)
    driver = fleet.driver("one", alerts=(OVERLOAD,))
    for second in range(1, 30):
        fleet.now = second * SECOND
        if second == 5:
            driver = fleet.driver("two", alerts=(OVERLOAD,))
        if second == 20:
            fleet.load = 10
        fleet.live()
        driver.turn(fleet.now)
    assert changes(fleet) == [(2, FIRED, "overload"), (22, OVER, "overload")]


def test_a_death_at_any_call_loses_no_alert() -> None:
    """It may be told twice, if the process dies between telling and noting it; never is it lost, and it ends as often as it begins."""
    calls = 0
    for fatal in range(200):
        fleet, seen = Fleet(load=150), 0

        def meddle(name: str, after: bool, fatal: int = fatal) -> None:
            nonlocal seen
            seen += 1
            if seen == fatal + 1:
                raise CrashNow

        driver = fleet.driver("one", meddle, alerts=(OVERLOAD,))
        # A successor waits ten seconds for the lease.
        for second in range(1, 36):
            fleet.now = second * SECOND
            fleet.load = 10 if second >= 18 else 150
            fleet.live()
            try:
                driver.turn(fleet.now)
            except CrashNow:
                driver = fleet.driver("two", alerts=(OVERLOAD,))
        told = [what for _, what, _ in changes(fleet)]
        assert told[0] == FIRED, (fatal, changes(fleet))
        assert told[-1] == OVER, (fatal, changes(fleet))
        assert len(told) <= 4, (fatal, changes(fleet))
        calls = fatal
        if seen <= fatal:
            break
    assert calls > 50


def test_the_role_logs_and_delivers_while_a_receiver_hangs() -> None:
    with Hook() as hangs, MailServer() as mails, Flight() as flight:
        hangs.gate.clear()
        told = (Webhook(hangs.url), Email("ops@example.org", "127.0.0.1", mails.port, "x@localhost"))
        flight.alerts = (AlertSpec("full", AtMaximum(), "fleet at its maximum", notify=told),)
        scaler = flight.autoscaler()
        flight.load = 150
        eventually(lambda: scaler.named(FIRED), "the alert fires")
        assert hangs.asked.wait(20)
        turns = len(scaler.ticks)
        eventually(lambda: len(scaler.ticks) >= turns + 5, "it goes on deciding")
        eventually(lambda: mails.mails, "the other receiver is told")
        flight.load = 10
        eventually(lambda: scaler.named(OVER), "the alert is over")
        (fired,), (over,) = scaler.named(FIRED), scaler.named(OVER)
        assert (fired["name"], fired["servers"], fired["value"]) == ("full", [], "3")
        assert over["lasted"] > 0
        assert "full: firing" in mails.mails[0][2]
        assert scaler.end() == 0, "and ends in time"
