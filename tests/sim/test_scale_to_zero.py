"""A fleet that has no server while nobody asks for anything: the policy ``queue`` on both engines, through the scenario file."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.run import Run
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

NIGHT: dict[str, Any] = {
    "duration": "60s",
    "fleet": {"app": {"initial": 0, "min": 0, "max": 5, "workers": 8, "boot_time": {"constant": "3s"}}},
    "endpoints": [{"path": "/", "cpu": {"constant": "5ms"}}],
    "traffic": [
        {
            "name": "users",
            "stages": [{"for": "5s", "rate": "0/s"}, {"for": "20s", "rate": "60/s"}, {"for": "35s", "rate": "0/s"}],
        }
    ],
}  # fmt: skip


def night(*, proxy: Any = None, faults: Any = (), **changes: Any) -> Run:
    policy = {
        "target": "30/s",
        "polling": "2s",
        "sync": "1s",
        "cooldown": "10s",
        "downscale_stabilization": "5s",
    }
    scaler = {"policy": {"queue": {**policy, **changes}}}
    fleet = {**NIGHT["fleet"], "proxy": proxy or {}}
    return run({**NIGHT, "fleet": fleet, "autoscaler": scaler, "faults": list(faults)})


def sizes(found: Run) -> list[int]:
    """Servers wanted, whenever that changed."""
    return [event["desired"] for event in happened(found, "decision")]


def test_up_from_zero_and_down_again() -> None:
    found = night()
    woken, *_ = happened(found, "decision")
    assert (woken["reason"], woken["actual"], woken["desired"]) == ("active", 0, 1)
    assert 5 * SECOND < woken["t"] <= 7 * SECOND, "the poll after the first requests"
    assert max(sizes(found)) == 3
    assert sizes(found)[-1] == 0
    last = happened(found, "draining")[-1]["t"]
    assert 25 * SECOND + 10 * SECOND < last <= 25 * SECOND + 10 * SECOND + 2 * 2 * SECOND
    assert len(happened(found, "terminated")) == len(happened(found, "launched")) == 3
    # Whoever came before the first server was up was turned away; nobody else was.
    up = happened(found, "ready")[0]["t"]
    turned_away = [row["time_ns"] for row in found.requests.to_pylist() if row["outcome"] == "no_server"]
    assert set(outcomes(found)) == {"ok", "no_server"}
    assert len(turned_away) > 100
    assert max(turned_away) < up + SECOND


def test_requests_turned_away_wake_a_fleet_that_is_measured_by_what_is_in_flight() -> None:
    found = night(metric="in_flight", target=4)
    assert happened(found, "decision")[0]["reason"] == "active"
    assert outcomes(found)["ok"] > 500


def test_too_little_to_be_active() -> None:
    found = night(activation="100/s")
    assert happened(found, "launched") == []
    assert set(outcomes(found)) == {"no_server"}


def test_without_the_proxys_sample_the_size_is_held_and_then_falls_back() -> None:
    dies = {"name": "dies", "type": "kill", "at": "20s", "target": {"role": "proxy"}}
    away = {"restart_after": "30s"}
    held = night(proxy=away, faults=[dies])
    # A sample counts for 5 s.
    unseen = range(25 * SECOND, 50 * SECOND)
    assert not [event for event in happened(held, "draining") if event["t"] in unseen]
    assert "unknown" in [event["reason"] for event in happened(held, "decision")]
    fallen = night(proxy=away, faults=[dies], fallback={"servers": 5, "failure_threshold": 2})
    assert max(sizes(fallen)) == 5
    grown = next(event for event in happened(fallen, "decision") if event["desired"] == 5)
    assert grown["reason"] == "fallback"
    # The sample grows too old at 25 s; two polls fail, and the third.
    assert 28 * SECOND <= grown["t"] <= 34 * SECOND
