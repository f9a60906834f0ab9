"""EC2 Auto Scaling's policies in the scenario file: what is understood, and what is refused in which words."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.core.model import SECOND
from windtunnel.core.policies import SimpleScaling, StepScaling, TargetTrackingAws
from windtunnel.core.policies.adjustments import StepAdjustment
from windtunnel.core.policies.alarms import Alarm
from windtunnel.core.policies.simple import SimpleRule
from windtunnel.core.policies.step import StepRule
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.core.policies.test_adjustments import IN, OUT
from windtunnel.tests.support import plan, scenario, steady

MINUTE = 60 * SECOND


def document(policy: dict[str, Any]) -> dict[str, Any]:
    return steady(autoscaler={"policy": policy})


def resolved(policy: dict[str, Any]) -> Any:
    found = plan(document(policy)).fleet.autoscaler
    assert found is not None
    return found.policy


def test_step() -> None:
    policy = {
        "step": {
            "warmup": "90s",
            "scale_out": {
                "metric": "cpu", "threshold": "50%", "evaluation_periods": 3, "datapoints_to_alarm": 2, "inclusive": False,
                "adjustment_type": "percent", "min_adjustment_magnitude": 2, "missing_data": "ignore",
                "steps": [{"lower": "10%", "adjustment": 30}, {"lower": 0, "upper": "10%", "adjustment": 10}],
            },
            "scale_in": {"threshold": "40/s", "period": "5m", "steps": [
                {"lower": "-20/s", "upper": 0, "adjustment": -1}, {"upper": "-20/s", "adjustment": -2}]},
        }
    }  # fmt: skip
    steps = (StepAdjustment(30, 0.1, None), StepAdjustment(10, 0.0, 0.1))
    below = (StepAdjustment(-1, -20.0, 0.0), StepAdjustment(-2, None, -20.0))
    assert resolved(policy) == StepScaling(
        StepRule(Alarm(0.5, "cpu", True, False, MINUTE, 3, 2, "ignore"), steps, "percent", 2),
        StepRule(Alarm(40.0, "requests", False, True, 5 * MINUTE), below),
        90 * SECOND,
    )


def test_simple_and_target_tracking_aws() -> None:
    assert resolved({"simple": {"scale_in": {"metric": "in_flight", "threshold": 3, "adjustment": -1}}}) == (
        SimpleScaling(None, SimpleRule(Alarm(3.0, "in_flight", above=False), -1))
    )
    assert resolved(
        {"target_tracking_aws": {"metric": "cpu", "target": "40%", "disable_scale_in": True}}
    ) == (TargetTrackingAws(0.4, "cpu", MINUTE, 3, 15, 0.1, 5 * MINUTE, False))


def test_what_is_written_can_be_read_again() -> None:
    rule = {"metric": "in_flight", "threshold": 8, "adjustment": 1}
    found = scenario(document({"simple": {"scale_out": rule, "scale_in": {**rule, "adjustment": -1}}}))
    again = scenario(found.document.model_dump(by_alias=True, exclude_unset=True, mode="json"))
    assert again.document == found.document


RULE: dict[str, Any] = {"metric": "cpu", "threshold": "50%", "steps": [{"lower": 0, "adjustment": 1}]}


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ({"threshold": "5/s"}, "threshold", "expected a percentage such as 5%, got '5/s'"),
        ({"datapoints_to_alarm": 2}, "datapoints_to_alarm", "expected at most evaluation_periods (1), got 2"),
        ({"evaluation_periods": 1500}, "evaluation_periods", "expected periods of at most one day in all"),
        ({"min_adjustment_magnitude": 2}, "min_adjustment_magnitude", "with adjustment_type percent only"),
        ({"steps": []}, "steps", "expected at least one entry, got none"),
        ({"steps": [{"adjustment": 1}]}, "steps", "expected lower or upper in each step, got neither"),
        (
            {"steps": [{"lower": "3/s", "adjustment": 1}]},
            "steps[0].lower",
            "expected a percentage such as 5%",
        ),
        ({"steps": [{"lower": "5%", "upper": "5%", "adjustment": 1}]}, "steps", "expected lower below upper"),
        ({"steps": [{"lower": 0, "upper": "5%", "adjustment": 1}]}, "steps", "a step without upper"),
        ({"steps": [{"lower": "-5%", "upper": 0, "adjustment": 1}]}, "steps", "a step without lower"),
        (
            {"steps": [{"lower": 0, "upper": "5%", "adjustment": 1}, {"lower": "6%", "adjustment": 1}]},
            "steps",
            "a gap or an overlap",
        ),
        (
            {"steps": [{"lower": 0, "adjustment": 1}, {"lower": "6%", "adjustment": 1}]},
            "steps",
            "a gap or an overlap",
        ),
        (
            {"adjustment_type": "exact", "steps": [{"lower": 0, "adjustment": -1}]},
            "steps[0].adjustment",
            "expected a number of servers, 0 or more, got -1",
        ),
    ],
)
def test_mistakes_are_named_where_they_are(change: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(document({"step": {"scale_out": {**RULE, **change}}}))
    (problem,) = caught.value.problems
    assert f"autoscaler.policy.step.scale_out.{place}: " in str(problem)
    assert message in problem.message
    assert problem.line


def test_the_page_shows_the_guides_example() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    (block,) = re.findall(r"## step\n.*?```yaml\n(.*?)```", page, re.DOTALL)
    found = resolved(yaml.safe_load(block)["autoscaler"]["policy"])
    assert found.scale_out.steps == OUT[1:]
    assert found.scale_in.steps == IN[1:]


def test_the_autoscaler_looks_in_each_period() -> None:
    seldom = document({"target_tracking_aws": {"target": "5/s", "period": "10s"}})
    seldom["autoscaler"]["interval"] = "11s"
    with pytest.raises(ScenarioError, match=r"autoscaler.interval: expected at most .* \(10s\)"):
        scenario(seldom)
    seldom["autoscaler"]["policy"] = {"combine": {"of": [seldom["autoscaler"]["policy"]]}}
    with pytest.raises(ScenarioError, match=r"autoscaler.interval: expected at most .* \(10s\)"):
        scenario(seldom)
    seldom["autoscaler"]["interval"] = "10s"
    assert plan(seldom).fleet.autoscaler


@pytest.mark.parametrize("kind", ["step", "simple"])
def test_one_direction_at_least(kind: str) -> None:
    with pytest.raises(ScenarioError, match="expected scale_out or scale_in, got neither"):
        scenario(document({kind: {}}))
