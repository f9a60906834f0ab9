"""autoscaler_crash, monitor_silent, monitor_stuck."""

import pytest
from windtunnel.tests.sim.faults.support import even, fault, growing, times
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_a_new_autoscaler_waits_for_the_lease_and_adopts() -> None:
    document = growing(cooldown="3s")
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "350/s"}]
    assert times(run(document), "launched") == [0.0, 1.0, 4.0, 7.0]
    document["faults"] = [fault("autoscaler_crash", "3500ms", length="3s")]
    found = run(document)
    # The lease, taken at 1 s and due to be renewed at 4.33 s, runs out at 11 s; then the books say when the last action was.
    assert times(found, "launched") == [0.0, 1.0, 12.0, 15.0]


def test_a_new_autoscaler_knows_who_drains() -> None:
    document = even(
        "2/s", "40s", endpoints=[{"path": "/", "cpu": {"constant": "1ms"}, "io": {"constant": "6s"}}]
    )
    document["fleet"] = {"app": {"initial": 2, "min": 1, "workers": 40}}
    document["autoscaler"] = {
        "policy": {"threshold": {"requests_high": "100/s", "requests_low": "50/s"}},
        "drain_timeout": "60s",
        "boot_timeout": "5s",
    }
    document["faults"] = [fault("autoscaler_crash", "2s", length="300ms")]
    found = run(document)
    assert times(found, "draining") == [1.0]
    assert [event["reason"] for event in happened(found, "terminated")] == ["drained"]
    assert outcomes(found) == {"ok": 80}


def test_silent_monitors_make_servers_unknown() -> None:
    found = run(growing(fault("monitor_silent", "500ms", length="8s")))
    assert times(found, "launched")[1] == 9.0
    assert outcomes(found) == {"ok": 3000}


def test_stuck_monitors_hide_the_load() -> None:
    document = growing(fault("monitor_stuck", "4500ms", length="8s"))
    document["traffic"][0]["stages"] = [{"for": "4s", "rate": "50/s"}, {"for": "16s", "rate": "150/s"}]
    found = run(document)
    assert times(found, "launched")[1] == 13.0
    shown = [row["requests"] for row in found.metrics.to_pylist() if row["server"] == 1]
    assert shown[8] == 150, "the run's own metrics say what was"
