"""EC2 Auto Scaling's policies at work, through the scenario file, with short periods."""

import itertools
from typing import Any

from windtunnel.core.model import SECOND
from windtunnel.tests.support import happened, outcomes, run, steady

SECONDS = {"period": "2s"}


def rehearse(policy: dict[str, Any], stages: list[tuple[str, str]], initial: int = 2, **more: Any) -> Any:
    fleet = {"app": {"initial": initial, "min": 1, "max": 9, "workers": 8, "boot_time": {"constant": "1s"}}}
    document = steady(length="40s", fleet=fleet, autoscaler={"policy": policy}, **more)
    document["traffic"][0]["stages"] = [{"for": length, "rate": rate} for length, rate in stages]
    document["traffic"][0]["arrivals"] = "constant"
    found = run(document)
    assert set(outcomes(found)) == {"ok"}, "no request is lost to a scale-in"
    return found


def launches(found: Any) -> list[float]:
    return [event["t"] / SECOND for event in happened(found, "launched") if event["t"] > 0]


def test_step_launches_once_for_a_breach_and_again_for_a_larger_one() -> None:
    """Two servers at 150/s each want 50% more, once; 300/s each want twice as many; alone it takes off a server a period."""
    policy = {
        "step": {
            "warmup": "30s",
            "scale_out": {
                "threshold": "120/s", **SECONDS, "adjustment_type": "percent",
                "steps": [{"lower": 0, "upper": "80/s", "adjustment": 50}, {"lower": "80/s", "adjustment": 100}],
            },
        }
    }  # fmt: skip
    found = rehearse(policy, [("12s", "300/s"), ("28s", "600/s")])
    times = launches(found)
    assert len(times) == 2
    assert times[0] < 8, "the initial fleet is warm"
    assert times[1] > 12
    assert found.summary["fleet"]["last"] == 4


def test_step_scales_in_when_all_are_warm() -> None:
    policy = {
        "step": {
            "warmup": "3s",
            "scale_in": {"threshold": "50/s", **SECONDS, "steps": [{"upper": 0, "adjustment": -1}]},
            "scale_out": {"threshold": "120/s", **SECONDS, "steps": [{"lower": 0, "adjustment": 1}]},
        }
    }
    found = rehearse(policy, [("10s", "300/s"), ("30s", "20/s")])
    assert launches(found)
    assert found.summary["fleet"]["last"] == 1
    assert {event["reason"] for event in happened(found, "terminated")} == {"drained"}


def test_simple_waits_for_the_boot_and_its_cooldown() -> None:
    policy = {"simple": {"scale_out": {"threshold": "50/s", **SECONDS, "adjustment": 1, "cooldown": "6s"}}}
    found = rehearse(policy, [("40s", "300/s")])
    times = launches(found)
    assert len(times) >= 3
    for earlier, later in itertools.pairwise(times):
        assert 7 <= later - earlier <= 11, "a boot of 1 s, 6 s, and at most a period more"


def test_target_tracking_aws_reaches_its_target_and_comes_back_later() -> None:
    policy = {
        "target_tracking_aws": {
            "target": "60/s", **SECONDS, "out_datapoints": 2, "in_datapoints": 5, "warmup": "3s",
        }
    }  # fmt: skip
    found = rehearse(policy, [("15s", "270/s"), ("25s", "50/s")])
    assert found.summary["fleet"]["most"] == 5, "ceil(270 / 60)"
    assert found.summary["fleet"]["last"] == 1
    drained = [event["t"] / SECOND for event in happened(found, "draining")]
    assert min(drained) >= 15 + 5 * 2, "five datapoints"
