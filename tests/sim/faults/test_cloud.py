"""boot_failure, slow_boot, capacity_error, api_throttling."""

import pytest
from windtunnel.reports.run import Run
from windtunnel.tests.sim.faults.support import fault, growing, times
from windtunnel.tests.support import both_engines, happened, run

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
