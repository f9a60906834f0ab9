"""crash_loop, zombie, spot_interruption."""

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, growing, times
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_a_crash_loop_dies_and_comes_back_until_it_is_over() -> None:
    loop = fault("crash_loop", "2010ms", length="5s", attributes={"lives": "1500ms", "restart": "500ms"})
    document = even("20/s", "12s", loop, fleet={"app": {"workers": 4}})
    document["autoscaler"] = {"policy": {"threshold": {"requests_high": "1000/s"}}, "dead_after": "3s"}
    found = run(document)
    assert times(found, "restarting") == [2.01, 4.01, 6.01]
    assert times(found, "restarted") == [2.51, 4.51, 6.51]
    assert happened(found, "terminated") == [], "its monitor speaks"
    assert outcomes(found) == {"ok": 210, "connect_failed": 30}
    failed = [row["time_ns"] for row in found.requests.to_pylist() if row["outcome"] != "ok"]
    assert max(failed) < 6510 * MS


def test_what_hung_hangs_when_it_is_back() -> None:
    loop = fault("crash_loop", "2s", length="100ms")
    found = run(even("10/s", "8s", loop, fault("pause", "1s", length="4s")))
    assert times(found, "restarted") == [3.0]
    served = [
        row["time_ns"] + row["latency_ns"] for row in found.requests.to_pylist() if row["outcome"] == "ok"
    ]
    assert not [time for time in served if SECOND <= time < 5 * SECOND]


def test_a_zombie_serves_nobody_and_is_replaced() -> None:
    document = even("60/s", "20s", fault("zombie", "3s", length="10s", target={"address": "http://10.0.0.1"}))
    document["fleet"] = {"app": {"initial": 2, "min": 2, "max": 4}, "registry": {"reregister": "1s"}}
    document["autoscaler"] = {
        "policy": {"threshold": {"requests_high": "1000/s", "requests_low": "1/s"}},
        "cooldown": 0,
    }
    found = run(document)
    assert times(found, "launched") == [0.0, 0.0, 3.0]
    assert outcomes(found) == {"ok": 1200}
    # The proxy reads each second; at 3 s it has read before.
    by_zombie = [row["time_ns"] / SECOND for row in found.requests.to_pylist() if row["server"] == 1]
    assert not [time for time in by_zombie if 4 < time < 13]
    assert [time for time in by_zombie if time > 14], "it comes back by itself"
    assert happened(found, "terminated") == []


def test_a_spot_instance_drains_within_its_notice() -> None:
    spot = fault(
        "spot_interruption", "3s", target={"address": "http://10.0.0.1"}, attributes={"notice": "5s"}
    )
    document = even("60/s", "15s", spot, endpoints=[{"path": "/", "io": {"constant": "400ms"}}])
    document["fleet"] = {"app": {"initial": 2, "min": 2, "workers": 50, "boot_time": {"constant": "2s"}}}
    document["autoscaler"] = {
        "policy": {"threshold": {"requests_high": "1000/s", "requests_low": "1/s"}},
        "reconcile_interval": "1s",
    }
    found = run(document)
    assert outcomes(found) == {"ok": 900}, "nobody notices"
    assert [(event["t"] // SECOND, event["until"] // SECOND) for event in happened(found, "spot_notice")] == [
        (3, 8)
    ]
    assert [
        (event["server"], event["t"] // SECOND, event["reason"], event["lost"])
        for event in happened(found, "terminated")
    ] == [(1, 8, "spot interruption", 0)]
    assert times(found, "launched") == [0.0, 0.0, 3.0]


def test_a_spot_instance_that_does_not_listen_takes_its_requests_along() -> None:
    attributes = {"notice": "5s", "handler": "none"}
    spot = fault("spot_interruption", "3s", target={"address": "http://10.0.0.1"}, attributes=attributes)
    document = even("60/s", "15s", spot, endpoints=[{"path": "/", "io": {"constant": "400ms"}}])
    document["fleet"] = {"app": {"initial": 2, "min": 2, "workers": 50, "boot_time": {"constant": "1s"}}}
    document["autoscaler"] = {
        "policy": {"threshold": {"requests_high": "1000/s", "requests_low": "1/s"}},
        "reconcile_interval": "2s",
    }
    found = run(document)
    kinds = outcomes(found)
    assert kinds["upstream_reset"] == 12, "30 a second for 400 ms"
    assert kinds["connect_failed"] > 0
    failed = [
        row["time_ns"] / SECOND for row in found.requests.to_pylist() if row["outcome"] == "connect_failed"
    ]
    assert min(failed) >= 8
    assert max(failed) < 11, "the cloud's list says that it is gone"
    assert len(happened(found, "launched")) == 3


def test_a_spot_instance_is_gone_when_the_autoscaler_is_faster() -> None:
    """The scale-in ends it before its notice is over: nothing happens then."""
    document = growing(fault("spot_interruption", "1s", attributes={"notice": "8s"}))
    document["fleet"]["app"].update(initial=2)
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "5/s"}]
    document["autoscaler"]["reconcile_interval"] = "1s"
    found = run(document)
    assert len(happened(found, "terminated")) <= 2
    assert len({event["server"] for event in happened(found, "terminated")}) == len(
        happened(found, "terminated")
    )
