"""The scaling policies of an EC2 Auto Scaling group as ``target_tracking_aws``, ``step`` and ``simple``.

Read are outputs of ``aws autoscaling describe-policies`` and, where there are some, ``describe-auto-scaling-groups`` (bounds, warm-up, cooldown) and
``aws cloudwatch describe-alarms`` (thresholds and periods, which policies do not have). Defaults are those of the Amazon EC2 Auto Scaling API reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .import_alarms import Alarms, import_alarm, import_periods, is_above, meaning_of
from .import_metrics import Meaning, Meanings, spell
from .import_part import Part
from .problems import ScenarioError

Settings = dict[str, Any]

POLICIES, GROUPS, ALARMS = "ScalingPolicies", "AutoScalingGroups", "MetricAlarms"
"""The key by which each output is known."""
TYPES = ("TargetTrackingScaling", "StepScaling", "SimpleScaling", "PredictiveScaling")
_PREDEFINED = {"ASGAverageCPUUtilization": Meaning("cpu"), "ALBRequestCountPerTarget": Meaning("requests", 60)}  # fmt: skip
"""The latter is counted per minute: the metric's Sum in the one minute that target tracking looks at."""
_ADJUSTMENTS = {"ChangeInCapacity": "change", "ExactCapacity": "exact", "PercentChangeInCapacity": "percent"}
_ABOUT_A_GROUP = (
    "AutoScalingGroupName", "AutoScalingGroupARN", "CreatedTime", "Instances", "Tags", "EnabledMetrics", "LoadBalancerNames", "TargetGroupARNs",
    "LaunchTemplate", "LaunchConfigurationName", "AvailabilityZones", "AvailabilityZoneIds", "VPCZoneIdentifier", "ServiceLinkedRoleARN",
    "TrafficSources", "HealthCheckType", "Status", "Context", "PlacementGroup", "PredictedCapacity",
)  # fmt: skip


@dataclass(slots=True)
class Rule:
    """One direction of a step or simple policy."""

    part: Part
    kind: str
    above: bool
    settings: Settings
    warmup: str | None


@dataclass(slots=True)
class _Group:
    """What policies fall back to."""

    warmup: str = "300s"
    cooldown: str = "300s"


def import_asg(
    policies: Sequence[Part], group: Part | None, alarms: Alarms, meanings: Meanings, name: str
) -> Settings:
    """The sections ``fleet`` (if *group* is given) and ``autoscaler`` for the *policies* of the group called *name*. Raises ScenarioError."""
    notes = policies[0].notes
    before = len(notes)
    fleet, defaults = _group(group, policies[0], name)
    tracking: list[Settings] = []
    rules: list[Rule] = []
    for policy in policies:
        kind = policy.text("PolicyType", TYPES) or "SimpleScaling"
        if not policy.flag("Enabled", True):
            policy.note("Enabled", "false: the policy is left out")
        elif kind == "PredictiveScaling":
            policy.note("PolicyType", "not carried over: predictive scaling; forecasts have no counterpart yet; left out")  # fmt: skip
        elif kind == "TargetTrackingScaling":
            found = _target_tracking(policy, alarms, meanings, defaults)
            if found:
                tracking.append({"target_tracking_aws": found})
        else:
            rules += _rules(policy, kind, alarms, meanings, defaults)
    parts = [*tracking, *_paired(rules)]
    if not parts:
        where = policies[0].source.problem(("ScalingPolicies",), f"expected a policy of {name} that can be carried over, got none")  # fmt: skip
        raise ScenarioError([*notes[before:], where])
    if len(parts) > 1:
        _note_combination(policies[0], parts)
    policy_settings = parts[0] if len(parts) == 1 else {"combine": {"by": "max", "of": parts}}
    autoscaler = {"interval": "10s", "cooldown": "0s", "policy": policy_settings}
    return {**({"fleet": {"app": fleet}} if fleet else {}), "autoscaler": autoscaler}


def _note_combination(policy: Part, parts: list[Settings]) -> None:
    """How several policies of a group come together here, and where that is not EC2's way."""
    said = "several policies: the greatest of the sizes that are asked for counts; those of target tracking must all agree to a scale-in, and a step or simple policy has no say while it asks for nothing"
    if not all("target_tracking_aws" in part for part in parts):
        said += "; on EC2 a step or simple policy also scales in alone, here not while a target tracking policy keeps the size or wants more"
    policy.notes.append(policy.source.problem((POLICIES,), said))


def _group(group: Part | None, policy: Part, name: str) -> tuple[Settings, _Group]:
    if group is None:
        policy.notes.append(policy.source.problem(
            (POLICIES,), f"the bounds of {name} are not in it: fleet.app.min and max are for you to give, or the output of aws autoscaling describe-auto-scaling-groups; "
            "so are its warm-up and cooldown: 300s unless a policy has its own"
        ))  # fmt: skip
        return {}, _Group()
    least, most = group.whole("MinSize"), group.whole("MaxSize")
    if least is None or most is None:
        group.required("MinSize" if least is None else "MaxSize")
    if least > most:
        group.fail("MaxSize", f"expected no less than MinSize ({least}), got {most}")
    initial = group.whole("DesiredCapacity", 0, most)
    cooldown = group.seconds("DefaultCooldown") or "300s"
    warmup = group.whole("DefaultInstanceWarmup", -1)
    _told(group)
    bounds = {"min": least, "max": most}
    fleet = {"initial": initial, **bounds} if initial is not None else bounds
    return fleet, _Group(cooldown if warmup in (None, -1) else f"{warmup}s", cooldown)


def _told(group: Part) -> None:
    """What a group has besides bounds."""
    ends = group.get("TerminationPolicies")
    if ends:
        said = ", ".join(str(one) for one in ends) if isinstance(ends, list) else ends
        group.note("TerminationPolicies", f"not carried over: {said}: who leaves is the autoscaler's own rule here: what still boots, then the youngest")  # fmt: skip
    for key, said in (
        ("NewInstancesProtectedFromScaleIn", "no server is protected from a scale-in here"),
        ("CapacityRebalance", "no server is taken back by the cloud here unless a fault says so"),
        ("MaxInstanceLifetime", "no server is replaced for its age"),
        ("MixedInstancesPolicy", "all servers are alike but for fleet.app.weights"),
        ("WarmPoolConfiguration", "fleet.app.standby has servers that wait running; none wait stopped"),
        ("SuspendedProcesses", "nothing is suspended"),
        ("HealthCheckGracePeriod", "see fleet.app.boot_time and autoscaler.boot_timeout"),
        ("InstanceMaintenancePolicy", "no server is replaced but a dead one"),
    ):
        if group.get(key) not in (None, False, [], {}):
            group.note(key, f"not carried over: {said}")
    group.known(*_ABOUT_A_GROUP, "WarmPoolSize")
    group.rest()


def _target_tracking(policy: Part, alarms: Alarms, meanings: Meanings, group: _Group) -> Settings | None:
    settings = policy.part("TargetTrackingConfiguration") or policy.required("TargetTrackingConfiguration")
    target = settings.number("TargetValue")
    if target is None:
        settings.required("TargetValue")
    predefined, customized = (
        settings.part(f"{kind}MetricSpecification") for kind in ("Predefined", "Customized")
    )
    period = None
    if predefined:
        predefined.known("ResourceLabel")
        word = predefined.text("PredefinedMetricType") or predefined.required("PredefinedMetricType")
        meaning = _PREDEFINED.get(word) or meanings.get(word)
        if meaning is None:
            predefined.note("PredefinedMetricType", f"not carried over: {word} has no counterpart; the policy is left out")  # fmt: skip
    elif customized:
        period = customized.seconds("Period", 1)
        customized.known("Dimensions", "Unit")
        meaning = meaning_of(customized, meanings, customized.whole("Period", 1))
    else:
        settings.required("PredefinedMetricSpecification")
    if meaning is None:
        return None
    spelled = _target(settings, meaning, target)
    warmup = policy.seconds("EstimatedInstanceWarmup") or group.warmup
    found: Settings = {"metric": meaning.metric, "target": spelled, **({"period": period} if period else {})}
    found |= {**import_periods(policy, alarms, float(target)), "warmup": warmup}
    if settings.flag("DisableScaleIn"):
        found["disable_scale_in"] = True
    policy.known(
        "AutoScalingGroupName", "PolicyName", "PolicyARN", "Alarms", "Cooldown", "MetricAggregationType"
    )
    for one in (policy, settings, predefined, customized):
        if one is not None:
            one.rest()
    return found


def _target(settings: Part, meaning: Meaning, target: Decimal) -> str | int:
    if target <= 0:
        settings.fail("TargetValue", f"expected a target above 0, got {target}")
    try:
        spelled, changed = spell(meaning, target)
    except ValueError as error:
        settings.fail("TargetValue", str(error))
    if spelled == 0:
        settings.fail("TargetValue", f"expected a target that is 1 or more as a whole number of requests in flight, got {target}")  # fmt: skip
    if changed:
        settings.note("TargetValue", changed)
    return spelled


def _rules(policy: Part, kind: str, alarms: Alarms, meanings: Meanings, group: _Group) -> list[Rule]:
    """The rules of a step or simple policy: one for each alarm that it answers."""
    found, missing = alarms.of(policy)
    for name in missing:
        policy.note("Alarms", f"not carried over: the threshold is the alarm's, {name}, which no output given has: left out (give that of aws cloudwatch describe-alarms --alarm-names {name})")  # fmt: skip
    if not found and not missing:
        policy.note("Alarms", "not carried over: no alarm brings the policy about; left out")
    adjusted = _adjusted(policy)
    aggregation = policy.text("MetricAggregationType")
    if aggregation not in (None, "Average"):
        policy.note("MetricAggregationType", f"{aggregation}: here the average")
    steps = policy.parts("StepAdjustments")
    warmup = (policy.seconds("EstimatedInstanceWarmup") or group.warmup) if kind == "StepScaling" else None
    cooldown = policy.seconds("Cooldown")
    change = policy.whole("ScalingAdjustment", -1_000_000)
    rules = []
    for alarm in found:
        above = is_above(alarm)
        imported = import_alarm(alarm, meanings) if above is not None else None
        if imported is None or above is None:
            continue
        settings, meaning = {**imported[0], **adjusted}, imported[1]
        if kind == "StepScaling":
            settings["steps"] = [_step(one, meaning) for one in steps] or policy.required("StepAdjustments")
        else:
            settings["adjustment"] = policy.required("ScalingAdjustment") if change is None else change
            settings["cooldown"] = cooldown or group.cooldown
        rules.append(Rule(policy, "step" if kind == "StepScaling" else "simple", above, settings, warmup))
    policy.known("AutoScalingGroupName", "PolicyName", "PolicyARN", "PolicyType", "Enabled")
    policy.rest()
    return rules


def _adjusted(policy: Part) -> Settings:
    kind = _ADJUSTMENTS[policy.text("AdjustmentType", _ADJUSTMENTS) or policy.required("AdjustmentType")]
    least = policy.whole("MinAdjustmentMagnitude") or policy.whole("MinAdjustmentStep") or 0
    if least and kind != "percent":
        policy.note("MinAdjustmentMagnitude", "not carried over: it is of a PercentChangeInCapacity alone")
        least = 0
    return {"adjustment_type": kind, **({"min_adjustment_magnitude": least} if least else {})}


def _step(part: Part, meaning: Meaning) -> Settings:
    change = part.whole("ScalingAdjustment", -1_000_000)
    if change is None:
        part.required("ScalingAdjustment")
    found: Settings = {}
    for ours, theirs in (("lower", "MetricIntervalLowerBound"), ("upper", "MetricIntervalUpperBound")):
        bound = part.number(theirs)
        if bound is not None:
            try:
                found[ours], changed = spell(meaning, bound)
            except ValueError as error:
                part.fail(theirs, str(error))
            if changed:
                part.note(theirs, changed)
    part.rest()
    return {**found, "adjustment": change}


def _paired(rules: list[Rule]) -> list[Settings]:
    """Policies of one direction each, two by two: the first for a high alarm with the first for a low one, and so on."""
    parts = []
    for kind in ("step", "simple"):
        out, into = (
            [one for one in rules if one.kind == kind and one.above is above] for above in (True, False)
        )
        for number in range(max(len(out), len(into))):
            pair = [side[number] for side in (out, into) if number < len(side)]
            settings: Settings = {"scale_out" if one.above else "scale_in": one.settings for one in pair}
            if kind == "step":
                settings["warmup"] = pair[0].warmup
                if pair[-1].warmup != pair[0].warmup:
                    pair[-1].part.note("EstimatedInstanceWarmup", f"{pair[-1].warmup}: both directions have one warm-up here, {pair[0].warmup}")  # fmt: skip
            parts.append({kind: settings})
    return parts
