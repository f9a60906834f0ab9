"""The HorizontalPodAutoscaler in a scenario file: its defaults, and a sentence for what Kubernetes would refuse."""

from typing import Any

import pytest
from windtunnel.core.policies import TargetTrackingHpa
from windtunnel.core.policies.hpa_behavior import SCALE_IN, SCALE_OUT, ScalingRate
from windtunnel.core.policies.hpa_metrics import Tolerances
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.support import plan, scenario, steady

SECOND = 1_000_000_000
BARE: dict[str, Any] = {"metrics": [{"target": "50/s"}]}


def resolved(**policy: Any) -> TargetTrackingHpa:
    spec = plan(steady(autoscaler={"policy": {"target_tracking_hpa": {**BARE, **policy}}})).fleet.autoscaler
    assert spec is not None
    assert isinstance(spec.policy, TargetTrackingHpa)
    return spec.policy


def test_no_behavior_unless_a_direction_is_given() -> None:
    assert (resolved().behavior.scale_out, resolved().behavior.scale_in) == (None, None)


def test_defaults_of_a_behavior() -> None:
    """TestGenerateScaleUpRules, TestGenerateScaleDownRules (kubernetes/kubernetes, pkg/apis/autoscaling/v2/defaults_test.go)."""
    for direction in ("scale_up", "scale_down"):
        found = resolved(**{direction: {}})
        assert (found.behavior.scale_out, found.behavior.scale_in) == (SCALE_OUT, SCALE_IN)
    found = resolved(scale_down={"policies": [{"pods": 2, "period": "1m"}]}, downscale_stabilization="10m")
    assert found.behavior.scale_in is not None
    assert found.behavior.scale_in.window == 600 * SECOND
    assert found.behavior.scale_in.rates == (ScalingRate(2, "pods", 60 * SECOND),)


def test_a_direction_may_have_a_tolerance_of_its_own() -> None:
    assert resolved(tolerance="5%", scale_down={"tolerance": "20%"}).tolerances == Tolerances(0.05, 0.2)


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ({"metrics": []}, "metrics: expected at least one entry, got none"),
        ({"metrics": [{"metric": "cpu", "target": "33.3%"}]}, "metrics[0].target: expected a whole percentage, as Kubernetes has, got 33.3%"),
        ({"metrics": [{"metric": "cpu", "target": "50%", "total": True}]}, "metrics[0].total: expected metric requests or in_flight for a total"),
        ({"metrics": [{"target": "5/s"}, {"target": "9/s"}]}, "metrics: expected each metric once, got 'requests' more than once"),
        ({"scale_up": {"policies": [{"period": "1m"}]}}, "scale_up.policies[0]: expected exactly one of pods and percent, got none"),
        ({"scale_up": {"policies": [{"pods": 1, "percent": 3}]}}, "scale_up.policies[0]: expected exactly one of pods and percent, got both"),
        ({"scale_up": {"policies": []}}, "scale_up.policies: expected at least one entry, got none"),
        ({"scale_up": {"policies": [{"pods": 1, "period": "31m"}]}}, "period: expected a period above 0 and at most 30m, got 31m"),
        ({"scale_down": {"stabilization_window": "2h"}}, "expected a stabilization window of at most 1h, got 2h"),
        ({"scale_up": {"select_policy": "Max"}}, "expected 'max', 'min' or 'disabled', got 'Max'"),
    ],
)  # fmt: skip
def test_what_kubernetes_refuses(policy: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(steady(autoscaler={"policy": {"target_tracking_hpa": {**BARE, **policy}}}))
    assert complaint in str(caught.value)
