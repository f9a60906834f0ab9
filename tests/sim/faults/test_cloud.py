"""boot_failure, slow_boot, capacity_error, api_throttling."""

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.run import Run
from windtunnel.tests.sim.faults.support import fault, growing, times
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_boots_fail_and_are_given_up() -> None:
    found = run(growing(fault("boot_failure", "0s", length="6s"), boot_timeout="5s"))
    assert times(found, "boot_failed") == [3.0]
    assert next(event["reason"] for event in happened(found, "terminated")) == "boot timeout"
    assert len(happened(found, "ready")) >= 2


def test_boots_take_longer() -> None:
    found = run(growing(fault("slow_boot", "0s", length="2s", attributes={"factor": 4})))
    assert times(found, "launched")[1] == 1.0
    assert times(found, "ready")[1] == 9.0


def test_the_cloud_has_no_capacity() -> None:
    found = run(growing(fault("capacity_error", "0s", length="6s")))
    assert [event["code"] for event in happened(found, "launch_refused")] == [
        "InsufficientInstanceCapacity"
    ] * 3
    assert times(found, "launch_refused") == [1.0, 2.0, 4.0], "ever more rarely"
    assert 7.0 <= times(found, "launched")[1] <= 8.0


def test_the_clouds_api_throttles() -> None:
    document = growing(fault("api_throttling", "0s", attributes={"rate": "6/m", "burst": 1}))
    document["fleet"]["app"]["min"] = 4
    document["autoscaler"]["reconcile_interval"] = "10m"
    found = run(document)
    # The reconciliation takes the only token; one comes every ten seconds, and the autoscaler asks 1, 2, 3 to 4 and 5 to 8 s after each refusal.
    assert times(found, "launched") == [0.0, 13.0]
    assert {event["code"] for event in happened(found, "launch_refused")} == {"RequestLimitExceeded"}


def test_overlapping_throttles_take_a_token_of_each_or_of_none() -> None:
    slow = {**fault("api_throttling", "0s", attributes={"rate": "3/m", "burst": 1}), "name": "slow"}
    fast = {**fault("api_throttling", "0s", attributes={"rate": "6/m", "burst": 1}), "name": "fast"}
    document = growing(slow, fast, reconcile_interval="10m")
    document["fleet"]["app"]["min"] = 4
    document["duration"] = "30s"
    # The list at 1 s takes both tokens; the slower throttle has another 20 s later, and then the faster one has one too.
    found = run(document)
    assert times(found, "launched")[1] == min(time for time in _asked(found) if time >= 21.0)


def _asked(found: Run) -> list[float]:
    """When the autoscaler asked for an instance."""
    return [*times(found, "launch_refused"), *times(found, "launched")[1:]]


def test_launches_that_never_come_up_are_given_up() -> None:
    found = run(growing(fault("stuck_launch", "0s", length="6s"), boot_timeout="5s", cooldown="3s"))
    assert times(found, "launch_stuck") == [1.0]
    assert [(event["reason"], event["t"]) for event in happened(found, "terminated")] == [
        ("boot timeout", 6 * SECOND)
    ]
    assert times(found, "launched")[2] == 6.0
    assert len(happened(found, "ready")) == 2


def test_terminations_that_do_not_happen_are_asked_for_again() -> None:
    document = growing(
        fault("stuck_termination", "2s", length="10s"), drain_grace="2s", reconcile_interval="4s"
    )
    document["fleet"]["app"]["initial"] = 2
    document["traffic"][0]["stages"] = [{"for": "30s", "rate": "5/s"}]
    document["duration"] = "30s"
    found = run(document)
    stuck = times(found, "termination_stuck")
    assert len(stuck) >= 2, "the next reconciliation finds it again"
    (ended,) = times(found, "terminated")
    assert ended > 12.0
    assert outcomes(found) == {"ok": 150}, "it was drained before"


def test_a_list_that_lags_makes_the_fleet_overshoot() -> None:
    """A server is ready after 2 s and listed after 20 s: each reconciliation forgets it, and it is launched anew."""
    calm = growing(reconcile_interval="5s", cooldown="4s")
    calm["fleet"]["app"]["max"] = 12
    assert len(happened(run(calm), "launched")) == 2
    found = run({**calm, "faults": [fault("stale_listing", "500ms", attributes={"lag": "20s"})]})
    assert len(happened(found, "launched")) >= 4
    assert times(found, "launched")[1] == 1.0


def test_a_list_that_lags_names_what_has_gone() -> None:
    document = growing(
        fault("stale_listing", "500ms", length="15s", attributes={"lag": "6s"}), reconcile_interval="2s"
    )
    document["fleet"]["app"]["initial"] = 2
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "5/s"}]
    found = run(document)
    (ended,) = [event["server"] for event in happened(found, "terminated")]
    assert ended == 2
    assert outcomes(found) == {"ok": 100}
