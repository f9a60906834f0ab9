"""Outputs of the AWS CLI, as its documentation shows them, as the policies target_tracking_aws, step and simple."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.scenarios.import_metrics import parse_meanings
from windtunnel.scenarios.import_policy import Imported, import_policy
from windtunnel.scenarios.problems import ScenarioError

from ..support import run, steady

Json = dict[str, Any]


def tracking(name: str, metric: Json, target: float, **more: Any) -> Json:
    return {
        "AutoScalingGroupName": "my-asg",
        "PolicyName": name,
        "PolicyARN": f"arn:aws:autoscaling:us-west-2:123456789012:scalingPolicy:3065d9c8:autoScalingGroupName/my-asg:policyName/{name}",
        "PolicyType": "TargetTrackingScaling",
        "StepAdjustments": [],
        "Alarms": [{"AlarmName": f"TargetTracking-my-asg-Alarm{side}-{name}", "AlarmARN": f"arn:{side}:{name}"} for side in ("High", "Low")],
        "TargetTrackingConfiguration": {**metric, "TargetValue": target, "DisableScaleIn": False},
        "Enabled": True,
        **more,
    }  # fmt: skip


ALB = {"PredefinedMetricSpecification": {
    "PredefinedMetricType": "ALBRequestCountPerTarget",
    "ResourceLabel": "app/my-alb/778d41231b141a0f/targetgroup/my-alb-target-group/943f017f100becff",
}}  # fmt: skip
CPU = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}
TWO = {"ScalingPolicies": [tracking("alb1000", ALB, 1000.0), tracking("cpu40", CPU, 40.0)]}
"""The AWS CLI's reference, describe-policies, example 1."""

GROUP = {"AutoScalingGroups": [{
    "AutoScalingGroupARN": "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:930d940e:autoScalingGroupName/my-asg",
    "AutoScalingGroupName": "my-asg", "HealthCheckGracePeriod": 0, "SuspendedProcesses": [], "DesiredCapacity": 2, "Tags": [], "EnabledMetrics": [],
    "LoadBalancerNames": [], "DefaultCooldown": 120, "MinSize": 1, "MaxSize": 5, "VPCZoneIdentifier": None, "TerminationPolicies": ["Default"],
    "Instances": [{"InstanceId": "i-4ba0837f", "LifecycleState": "InService"}], "LaunchConfigurationName": "my-launch-config",
    "CreatedTime": "2013-08-19T20:53:25.584Z", "AvailabilityZones": ["us-west-2c"], "HealthCheckType": "EC2", "NewInstancesProtectedFromScaleIn": False,
}]}  # fmt: skip
"""The AWS CLI's reference, describe-auto-scaling-groups, with other figures."""


def alarm(name: str, operator: str, threshold: float, **more: Any) -> Json:
    """As the AWS CLI's reference of describe-alarms shows one."""
    return {
        "AlarmName": name, "AlarmArn": f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}", "ActionsEnabled": True, "OKActions": [],
        "AlarmActions": [], "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Dimensions": [],
        "Period": 60, "EvaluationPeriods": 2, "Threshold": threshold, "ComparisonOperator": operator, "StateValue": "OK", **more,
    }  # fmt: skip


def rule(name: str, answers: str, kind: str = "StepScaling", **more: Any) -> Json:
    return {
        "AutoScalingGroupName": "my-asg", "PolicyName": name, "PolicyARN": f"arn:{name}", "PolicyType": kind, "AdjustmentType": "ChangeInCapacity",
        "Alarms": [{"AlarmName": answers, "AlarmARN": f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{answers}"}], "Enabled": True, **more,
    }  # fmt: skip


ABOVE, BELOW = "GreaterThanOrEqualToThreshold", "LessThanOrEqualToThreshold"
STEPS = {"ScalingPolicies": [
    rule("out", "high", AdjustmentType="PercentChangeInCapacity", MinAdjustmentMagnitude=2, EstimatedInstanceWarmup=60, MetricAggregationType="Average", StepAdjustments=[
        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 0},
        {"MetricIntervalLowerBound": 10.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 10},
        {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 30},
    ]),
    rule("in", "low", AdjustmentType="PercentChangeInCapacity", EstimatedInstanceWarmup=60, StepAdjustments=[
        {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 0},
        {"MetricIntervalLowerBound": -20.0, "MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -10},
        {"MetricIntervalUpperBound": -20.0, "ScalingAdjustment": -30},
    ]),
]}  # fmt: skip
"""Amazon EC2 Auto Scaling user guide, "Step and simple scaling policies": the two policies of its example, around 50% of the CPU."""
ALARMS = {"MetricAlarms": [alarm("high", ABOVE, 50.0, TreatMissingData="notBreaching"), alarm("low", BELOW, 50.0, DatapointsToAlarm=1)]}  # fmt: skip

SIMPLE = {"ScalingPolicies": [
    rule("out", "high", "SimpleScaling", ScalingAdjustment=30, AdjustmentType="PercentChangeInCapacity", MinAdjustmentMagnitude=2, Cooldown=180),
    rule("in", "low", "SimpleScaling", ScalingAdjustment=-1),
]}  # fmt: skip
"""The same guide, "Create a simple scaling policy"."""


def imported(folder: Path, *outputs: Json, words: tuple[str, ...] = (), name: str | None = None) -> Imported:
    files = [folder / f"{number}.json" for number in range(len(outputs))]
    for file, output in zip(files, outputs, strict=True):
        file.write_text(json.dumps(output, indent=4))
    return import_policy(files, parse_meanings(words), name)


def settings_of(found: Imported) -> Json:
    settings: Json = yaml.safe_load(found.text)
    return settings


def policy_of(found: Imported) -> Json:
    policy: Json = settings_of(found)["autoscaler"]["policy"]
    return policy


def said(found: Imported) -> str:
    return "\n".join(map(str, found.notes))


def test_two_target_tracking_policies_become_one_and_say_how(tmp_path: Path) -> None:
    found = imported(tmp_path, TWO)
    assert settings_of(found) == {
        "autoscaler": {
            "interval": "10s",
            "cooldown": "0s",
            "policy": {"combine": {"by": "max", "of": [
                {"target_tracking_aws": {"metric": "requests", "target": "1000/m", "warmup": "300s"}},
                {"target_tracking_aws": {"metric": "cpu", "target": "40%", "warmup": "300s"}},
            ]}},
        }
    }  # fmt: skip
    assert "those of target tracking must all agree to a scale-in" in said(found)
    assert "the bounds of my-asg are not in it" in said(found)
    assert "NOTHING" not in said(found)


def test_the_group_has_bounds_and_what_policies_leave_out(tmp_path: Path) -> None:
    one = {"ScalingPolicies": TWO["ScalingPolicies"][1:]}
    found = imported(tmp_path, one, GROUP)
    assert settings_of(found)["fleet"] == {"app": {"initial": 2, "min": 1, "max": 5}}
    # Without a warm-up of its own a policy has the group's default cooldown.
    assert policy_of(found)["target_tracking_aws"]["warmup"] == "120s"
    assert [note.message.partition(":")[0] for note in found.notes] == ["not carried over"]
    assert "AutoScalingGroups[0].TerminationPolicies" in said(found)
    default = {"AutoScalingGroups": [{**GROUP["AutoScalingGroups"][0], "DefaultInstanceWarmup": 30}]}
    assert policy_of(imported(tmp_path, one, default))["target_tracking_aws"]["warmup"] == "30s"
    own = {"ScalingPolicies": [{**one["ScalingPolicies"][0], "EstimatedInstanceWarmup": 200}]}
    assert policy_of(imported(tmp_path, own, default))["target_tracking_aws"]["warmup"] == "200s"


def test_a_groups_other_settings_are_named(tmp_path: Path) -> None:
    told = {
        "NewInstancesProtectedFromScaleIn": True, "SuspendedProcesses": [{"ProcessName": "AlarmNotification"}], "MaxInstanceLifetime": 604800,
        "MixedInstancesPolicy": {"LaunchTemplate": {}}, "CapacityRebalance": True, "WarmPoolConfiguration": {"MinSize": 1},
        "HealthCheckGracePeriod": 300, "TerminationPolicies": ["OldestInstance"], "SomethingNew": 1,
    }  # fmt: skip
    group = {"AutoScalingGroups": [{**GROUP["AutoScalingGroups"][0], **told}]}
    hooks = {"LifecycleHooks": [{"LifecycleHookName": "drain"}]}
    text = said(imported(tmp_path, TWO, group, hooks))
    for key in told:
        assert f"AutoScalingGroups[0].{key}: not carried over" in text
    assert (
        "a mapping with LifecycleHooks: not carried over: launches and terminations wait for nothing" in text
    )


def test_alarms_of_target_tracking_have_its_periods(tmp_path: Path) -> None:
    one = {"ScalingPolicies": TWO["ScalingPolicies"][1:]}
    own = {"MetricAlarms": [
        alarm("TargetTracking-my-asg-AlarmHigh-cpu40", "GreaterThanThreshold", 40.0, EvaluationPeriods=4, Period=30),
        alarm("TargetTracking-my-asg-AlarmLow-cpu40", "LessThanThreshold", 34.0, EvaluationPeriods=10),
    ]}  # fmt: skip
    found = imported(tmp_path, one, own)
    assert policy_of(found)["target_tracking_aws"] == {
        "metric": "cpu", "target": "40%", "period": "30s", "out_datapoints": 4, "in_datapoints": 10, "scale_in_margin": "15%", "warmup": "300s",
    }  # fmt: skip
    assert "Period: 30s, but 60s of the other alarm" in said(found)


def test_the_guides_step_policies(tmp_path: Path) -> None:
    found = imported(tmp_path, STEPS, ALARMS)
    common = {"metric": "cpu", "threshold": "50%", "inclusive": True, "period": "60s", "evaluation_periods": 2, "adjustment_type": "percent"}  # fmt: skip
    assert policy_of(found) == {"step": {
        "scale_out": {**common, "missing_data": "not_breaching", "min_adjustment_magnitude": 2, "steps": [
            {"lower": "0%", "upper": "10%", "adjustment": 0}, {"lower": "10%", "upper": "20%", "adjustment": 10}, {"lower": "20%", "adjustment": 30},
        ]},
        "scale_in": {**common, "missing_data": "missing", "datapoints_to_alarm": 1, "steps": [
            {"lower": "-10%", "upper": "0%", "adjustment": 0}, {"lower": "-20%", "upper": "-10%", "adjustment": -10}, {"upper": "-20%", "adjustment": -30},
        ]},
        "warmup": "60s",
    }}  # fmt: skip
    assert len(found.notes) == 1


def test_the_guides_simple_policies(tmp_path: Path) -> None:
    policy = policy_of(imported(tmp_path, SIMPLE, ALARMS, GROUP))["simple"]
    out, into = policy["scale_out"], policy["scale_in"]
    assert (out["adjustment_type"], out["adjustment"], out["min_adjustment_magnitude"]) == ("percent", 30, 2)
    assert (into["adjustment_type"], into["adjustment"]) == ("change", -1)
    # The second has the group's default.
    assert (out["cooldown"], into["cooldown"]) == ("180s", "120s")


def test_requests_of_an_alarm_are_a_count_per_period(tmp_path: Path) -> None:
    counted = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCountPerTarget", "Statistic": "Sum"}
    one = {"ScalingPolicies": [rule("out", "high", StepAdjustments=[
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 150, "ScalingAdjustment": 1}, {"MetricIntervalLowerBound": 150, "ScalingAdjustment": 2},
    ])]}  # fmt: skip
    for period, threshold, bound in ((60, "600/m", "150/m"), (300, "2/s", "0.5/s")):
        alarms = {"MetricAlarms": [alarm("high", "GreaterThanThreshold", 600, Period=period, **counted)]}
        found = policy_of(imported(tmp_path, one, alarms))["step"]["scale_out"]
        assert (found["metric"], found["threshold"], found["inclusive"]) == ("requests", threshold, False)
        assert found["steps"][0]["upper"] == bound


@pytest.mark.parametrize(
    ("metric", "words", "expected"),
    [
        ({"MetricName": "mem_used_percent", "Namespace": "CWAgent", "Statistic": "Average"}, ("mem_used_percent=memory",), ("memory", "40%")),
        ({"MetricName": "InFlight", "Namespace": "Mine", "Statistic": "Average", "Period": 10}, ("InFlight=in_flight",), ("in_flight", 40)),
        ({"MetricName": "Hits", "Namespace": "Mine", "Statistic": "Sum", "Dimensions": [], "Unit": "Count"}, ("Hits=requests/m",), ("requests", "40/m")),
        ({"MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average"}, (), ("cpu", "40%")),
    ],
)  # fmt: skip
def test_customized_metrics(tmp_path: Path, metric: Json, words: tuple[str, ...], expected: Any) -> None:
    one = {"ScalingPolicies": [tracking("mine", {"CustomizedMetricSpecification": metric}, 40.0)]}
    found = policy_of(imported(tmp_path, one, words=words))["target_tracking_aws"]
    assert (found["metric"], found["target"]) == expected
    assert found.get("period") == ("10s" if "Period" in metric else None)


@pytest.mark.parametrize(
    ("policy", "path", "expected"),
    [
        ({"PolicyName": "forecast", "PolicyType": "PredictiveScaling", "AutoScalingGroupName": "my-asg", "PredictiveScalingConfiguration": {"Mode": "ForecastOnly"}},
         "PolicyType", "predictive scaling"),
        (tracking("net", {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageNetworkIn"}}, 1e6),
         "TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType", "ASGAverageNetworkIn has no counterpart"),
        (tracking("math", {"CustomizedMetricSpecification": {"Metrics": [{"Id": "a", "Expression": "b/c"}]}}, 10),
         "TargetTrackingConfiguration.CustomizedMetricSpecification.Metrics", "metric math"),
        (tracking("queue", {"CustomizedMetricSpecification": {"MetricName": "Backlog", "Namespace": "Mine", "Statistic": "Average"}}, 10),
         "TargetTrackingConfiguration.CustomizedMetricSpecification.MetricName", "--metric Backlog="),
        (tracking("off", CPU, 30.0, Enabled=False), "Enabled", "the policy is left out"),
        (rule("step", "nowhere", StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]), "Alarms", "--alarm-names nowhere"),
        (rule("least", "high", "SimpleScaling", ScalingAdjustment=1, MinAdjustmentMagnitude=2), "MinAdjustmentMagnitude", "PercentChangeInCapacity alone"),
        (rule("most", "high", "SimpleScaling", ScalingAdjustment=1, MetricAggregationType="Maximum"), "MetricAggregationType", "here the average"),
    ],
)  # fmt: skip
def test_what_is_not_carried_over_is_named_and_the_rest_stays(
    tmp_path: Path, policy: Json, path: str, expected: str
) -> None:
    found = imported(tmp_path, {"ScalingPolicies": [policy, TWO["ScalingPolicies"][1]]}, ALARMS)
    (note,) = [note for note in found.notes if str(note).startswith(f"{tmp_path / '0.json'}: ScalingPolicies[0].{path}: ")]  # fmt: skip
    assert expected in note.message
    assert "{metric: cpu, target: 40%, warmup: 300s}" in found.text


def test_a_part_that_only_scales_out_has_no_say_in_a_scale_in(tmp_path: Path) -> None:
    """Amazon EC2 Auto Scaling user guide, "Multiple scaling policies"."""
    never = tracking("cpu40", {**CPU}, 40.0)
    never["TargetTrackingConfiguration"]["DisableScaleIn"] = True
    found = imported(tmp_path, {"ScalingPolicies": [never, *STEPS["ScalingPolicies"]]}, ALARMS)
    assert policy_of(found)["combine"]["of"][0]["target_tracking_aws"]["disable_scale_in"] is True
    assert "has no say while it asks for nothing" in said(found)
    assert "on EC2 a step or simple policy also scales in alone" in said(found)
    tracked = imported(tmp_path, {"ScalingPolicies": [never, TWO["ScalingPolicies"][0]]}, ALARMS)
    assert "also scales in alone" not in said(tracked)


def test_of_several_groups_the_one_that_is_meant(tmp_path: Path) -> None:
    both = {"ScalingPolicies": [TWO["ScalingPolicies"][0], {**TWO["ScalingPolicies"][1], "AutoScalingGroupName": "other"}]}  # fmt: skip
    assert policy_of(imported(tmp_path, both, name="other"))["target_tracking_aws"]["metric"] == "cpu"
    with pytest.raises(ScenarioError, match="or --name with one of them, got my-asg, other"):
        imported(tmp_path, both)
    with pytest.raises(ScenarioError, match="expected policies of 'third', got my-asg, other"):
        imported(tmp_path, both, name="third")


def test_what_a_terminal_could_not_show_stays_in_its_comment(tmp_path: Path) -> None:
    group = {**GROUP["AutoScalingGroups"][0], "TerminationPolicies": ["Oldest\nfleet: {}\x1b[2J"]}
    found = imported(tmp_path, TWO, {"AutoScalingGroups": [group]})
    assert all(str(note).isprintable() for note in found.notes)
    assert settings_of(found)["fleet"] == {"app": {"initial": 2, "min": 1, "max": 5}}


def test_outputs_in_yaml_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "asg.yaml").write_text(yaml.safe_dump(TWO))
    assert "combine" in policy_of(import_policy([tmp_path / "asg.yaml"], {}))


BAD = tracking("bad", CPU, 40.0)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([{"ScalingPolicies": [{**BAD, "PolicyType": "Magic"}]}], r"0.json: ScalingPolicies\[0\].PolicyType: expected one of TargetTrackingScaling, .*, got 'Magic'"),
        ([{"ScalingPolicies": [{**BAD, "TargetTrackingConfiguration": None}]}], r"TargetTrackingConfiguration: required, but missing"),
        ([{"ScalingPolicies": [tracking("bad", CPU, 140)]}], r"TargetValue: expected at most 100%, got 140"),
        ([{"ScalingPolicies": [tracking("bad", CPU, 0)]}], r"TargetValue: expected a target above 0, got 0"),
        ([{"ScalingPolicies": []}], r"ScalingPolicies: expected policies of one group, or --name with one of them, got none"),
        ([{"ScalingPolicies": [rule("lost", "nowhere", StepAdjustments=[])]}], r"expected a policy of my-asg that can be carried over, got none"),
        ([{"ScalingPolicies": [rule("out", "high", AdjustmentType="Double")]}, ALARMS], r"AdjustmentType: expected one of ChangeInCapacity, .*, got 'Double'"),
        ([{"ScalingPolicies": [rule("out", "high")]}, ALARMS], r"StepAdjustments: required, but missing"),
        ([{"ScalingPolicies": [rule("out", "high", StepAdjustments=[
            {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1}, {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 2}])]}, ALARMS],
         r"0.json, as imported: autoscaler.policy.step.scale_out.steps: expected steps that meet, got a gap"),
        ([STEPS, {"MetricAlarms": [{**alarm("high", ABOVE, 50), "Threshold": "much"}]}], r"1.json: MetricAlarms\[0\].Threshold: expected a number .*, got 'much'"),
        ([TWO, {"AutoScalingGroups": [{**GROUP["AutoScalingGroups"][0], "MaxSize": 0}]}], r"1.json: AutoScalingGroups\[0\].MaxSize: expected no less than MinSize \(1\), got 0"),
        ([GROUP], r"0.json: expected a HorizontalPodAutoscaler, or the output of aws autoscaling describe-policies, got neither"),
        ([TWO, {"kind": "HorizontalPodAutoscaler"}], r"expected the files of one autoscaler, got Kubernetes' and EC2's"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, outputs: list[Json], expected: str) -> None:
    with pytest.raises(ScenarioError, match=expected):
        imported(tmp_path, *outputs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ScalingPolicies": [', r"asg.json:1:\d+: not valid JSON"),
        ('{"ScalingPolicies": NaN}', r"expected plain JSON, got the number NaN"),
        ("[" * 100_000, r"nested too deeply"),
    ],
)
def test_what_is_no_json(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "asg.json").write_text(text)
    with pytest.raises(ScenarioError, match=expected):
        import_policy([tmp_path / "asg.json"], {})


@pytest.mark.parametrize(
    ("outputs", "grows"),
    [([TWO, GROUP], True), ([STEPS, ALARMS, GROUP], False), ([SIMPLE, ALARMS, GROUP], False)],
)
def test_what_is_imported_runs(tmp_path: Path, outputs: list[Json], grows: bool) -> None:
    """100 requests/s are 3,000 a minute for each of two servers: three times what the load balancer's policy wants."""
    settings = settings_of(imported(tmp_path, *outputs))
    length = "200s" if grows else "5s"
    flown = run({**steady("100/s", length), **settings})
    assert flown.summary["fleet"]["most"] == (5 if grows else 2)
    assert flown.summary["outcomes"] == {"ok": flown.summary["planned"]}


def test_a_part_that_only_scales_out_keeps_the_size_as_its_note_says(tmp_path: Path) -> None:
    """Two servers with a request now and then: target tracking alone goes to one."""
    track = tracking("cpu40", CPU, 40.0, EstimatedInstanceWarmup=0)
    periods = [alarm("TargetTracking-my-asg-AlarmLow-cpu40", "LessThanThreshold", 36.0, Period=10, EvaluationPeriods=2)]  # fmt: skip
    alarms = {"MetricAlarms": [*periods, *ALARMS["MetricAlarms"]]}
    for policies, last in (([track], 1), ([track, STEPS["ScalingPolicies"][0]], 2)):
        settings = settings_of(imported(tmp_path, {"ScalingPolicies": policies}, alarms, GROUP))
        assert run({**steady("1/s", "60s"), **settings}).summary["fleet"]["last"] == last
