"""The HorizontalPodAutoscaler at work, from the scenario file to the fleet."""

from itertools import pairwise
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.support import happened, outcomes, run

TRAFFIC = {"name": "users", "arrivals": "constant", "client": {"timeout": "3s"},
           "stages": [{"for": "20s", "rate": "50/s"}, {"for": "60s", "rate": "250/s"}, {"for": "70s", "rate": "20/s"}]}  # fmt: skip


def flown(policy: dict[str, Any], **scaler: Any) -> Any:
    fleet: dict[str, Any] = {
        "app": {"initial": 1, "min": 1, "max": 9, "workers": 8, "boot_time": {"constant": "2s"}},
    }
    return run({
        "duration": "150s", "fleet": fleet, "traffic": [TRAFFIC],
        "endpoints": [{"path": "/", "cpu": {"constant": "1ms"}}],
        "autoscaler": {"policy": {"target_tracking_hpa": policy}, "interval": "5s", "cooldown": "0s", **scaler},
    })  # fmt: skip


def times(found: Any, name: str) -> list[int]:
    """Whole seconds at which it happened, without the fleet that was there from the start."""
    return [event["t"] // SECOND for event in happened(found, name) if event["t"] > 0]


def test_rates_and_windows_shape_the_fleet() -> None:
    found = flown(
        {
            "metrics": [{"metric": "requests", "target": "50/s"}, {"metric": "cpu", "target": "70%"}],
            "scale_up": {"policies": [{"pods": 1, "period": "10s"}]},
            "scale_down": {"stabilization_window": "30s", "policies": [{"percent": 50, "period": "20s"}]},
        }
    )
    launched = times(found, "launched")
    assert len(launched) == 4, "250/s at 50/s each are 5 servers"
    assert all(later - earlier >= 10 for earlier, later in pairwise(launched))
    drained = times(found, "draining")
    assert drained[0] >= 80 + 30, "the most of the last 30 s"
    assert len(drained) == 4
    assert drained[:3] == [drained[0]] * 3, "half of 5 is truncated to 2"
    assert drained[3] >= drained[0] + 20, "the next period"
    assert set(outcomes(found)) == {"ok"}


def test_without_a_behavior_it_doubles_and_waits_for_its_window() -> None:
    found = flown({"metrics": [{"metric": "requests", "target": "40/s"}], "downscale_stabilization": "40s"})
    launched = times(found, "launched")
    assert len(launched) == 6
    assert launched.count(launched[0]) == 1, "50/s: 2 servers"
    assert launched.count(launched[1]) == 2, "7 are wanted, and 4 at most at first"
    assert launched[3] <= launched[1] + 10
    assert times(found, "draining")[0] >= 80 + 40


def test_a_cooldown_of_the_autoscaler_leaves_no_trace_in_its_history() -> None:
    policy = {
        "metrics": [{"metric": "requests", "target": "60/s"}],
        "scale_up": {"policies": [{"pods": 1, "period": "30s"}]},
    }
    with_cooldown = times(flown(policy, cooldown="30s"), "launched")
    assert with_cooldown == pytest.approx(times(flown(policy), "launched"), abs=1)
    assert len(with_cooldown) >= 2
