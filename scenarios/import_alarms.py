"""CloudWatch's alarms and their metrics as the alarms of ``step`` and ``simple``, and as the periods of ``target_tracking_aws``."""

from dataclasses import dataclass, field
from typing import Any

from .import_metrics import Meaning, Meanings, advice, spell
from .import_part import Part

Settings = dict[str, Any]

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": (True, True), "GreaterThanThreshold": (True, False),
    "LessThanOrEqualToThreshold": (False, True), "LessThanThreshold": (False, False),
}  # fmt: skip
"""Whether it is above, and whether the threshold itself breaches."""
_MISSING = {"missing": "missing", "ignore": "ignore", "breaching": "breaching", "notBreaching": "not_breaching"}  # fmt: skip
_STATES = (
    "AlarmArn", "AlarmName", "AlarmDescription", "AlarmConfigurationUpdatedTimestamp", "AlarmActions", "OKActions", "InsufficientDataActions",
    "StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp", "Dimensions", "Unit", "Namespace",
)  # fmt: skip
_MINUTE = 60


@dataclass(slots=True)
class Alarms:
    """The outputs of ``aws cloudwatch describe-alarms`` that were given, by the alarms' ARNs and names."""

    by_name: dict[str, Part] = field(default_factory=dict)

    def add(self, document: Part) -> None:
        """Those of one output."""
        for alarm in document.parts("MetricAlarms"):
            for key in ("AlarmArn", "AlarmName"):
                name = alarm.text(key)
                if name:
                    self.by_name[name] = alarm

    def of(self, policy: Part) -> tuple[list[Part], list[str]]:
        """The alarms that *policy* answers, and the names of those that no output has."""
        found, missing = [], []
        for one in policy.parts("Alarms"):
            name = one.text("AlarmName") or ""
            alarm = self.by_name.get(one.text("AlarmARN") or "") or self.by_name.get(name)
            if alarm is None:
                missing.append(name or "(no name)")
            else:
                found.append(alarm)
        return found, missing


def is_above(alarm: Part) -> bool | None:
    """Whether it watches for values above its threshold; None, noted, if it is no such alarm (anomaly detection)."""
    word = alarm.text("ComparisonOperator") or alarm.required("ComparisonOperator")
    if word not in _COMPARISONS:
        alarm.note("ComparisonOperator", f"not carried over: {word}: there is no band here, only a threshold; its policy is left out")  # fmt: skip
        return None
    return _COMPARISONS[word][0]


def import_alarm(alarm: Part, meanings: Meanings) -> tuple[Settings, Meaning] | None:
    """The settings of an alarm, and what its metric means; None, noted, for one that cannot be carried over."""
    if not alarm.flag("ActionsEnabled", True):
        alarm.note("ActionsEnabled", "false: it does nothing; its policy is left out")
        return None
    meaning = meaning_of(alarm, meanings, alarm.whole("Period", 1))
    if meaning is None:
        return None
    threshold = alarm.number("Threshold")
    if threshold is None:
        alarm.required("Threshold")
    if threshold < 0:
        alarm.fail("Threshold", f"expected a threshold at or above 0, got {threshold}")
    try:
        spelled, changed = spell(meaning, threshold)
    except ValueError as error:
        alarm.fail("Threshold", str(error))
    if changed:
        alarm.note("Threshold", changed)
    word = alarm.text("ComparisonOperator") or ""
    found: Settings = {
        "metric": meaning.metric,
        "threshold": spelled,
        "inclusive": _COMPARISONS[word][1],
        "period": alarm.seconds("Period") or alarm.required("Period"),
        "evaluation_periods": alarm.whole("EvaluationPeriods", 1) or 1,
        "datapoints_to_alarm": alarm.whole("DatapointsToAlarm", 1),
        "missing_data": _MISSING[alarm.text("TreatMissingData", _MISSING) or "missing"],
    }
    alarm.known(*_STATES)
    alarm.rest()
    return {key: value for key, value in found.items() if value is not None}, meaning


def meaning_of(part: Part, meanings: Meanings, period: int | None) -> Meaning | None:
    """What the metric of an alarm, or of a customized metric specification, means here; None, noted, if nothing.

    Without a word of the user's two are known, of namespaces that nobody else writes to: AWS/EC2 CPUUtilization, and AWS/ApplicationELB
    RequestCountPerTarget, whose Sum is a count per period.
    """
    if part.has("Metrics"):
        part.note("Metrics", "not carried over: metric math; left out")
        part.known("Metrics")
        return None
    name = part.text("MetricName") or part.required("MetricName")
    space, statistic = part.text("Namespace"), part.text("Statistic") or part.text("ExtendedStatistic")
    if name not in meanings and space == "AWS/ApplicationELB" and name == "RequestCountPerTarget":
        if statistic not in (None, "Sum"):
            part.note(
                "Statistic", f"not carried over: {statistic} of {name}: only its Sum is a rate; left out"
            )
            return None
        return Meaning("requests", period or _MINUTE)
    meaning = meanings.get(name)
    if meaning is None and space == "AWS/EC2" and name == "CPUUtilization":
        meaning = Meaning("cpu")
    if meaning is None:
        part.note("MetricName", f"not carried over: {space or 'a metric'} {name}, of which nothing here is known to be the same; left out ({advice(name)})")  # fmt: skip
    elif statistic not in (None, "Average"):
        part.note("Statistic" if part.has("Statistic") else "ExtendedStatistic", f"{statistic}: here the average over the servers and the period")  # fmt: skip
    return meaning


def import_periods(policy: Part, alarms: Alarms, target: float) -> Settings:
    """Period, datapoints and margin of a target tracking policy as its own two alarms have them; nothing of alarms that no output has."""
    found: Settings = {}
    mine, _ = alarms.of(policy)
    # The high one last: where they differ, its period is the one that decides how soon servers come.
    for alarm in sorted(mine, key=lambda one: is_above(one) is True):
        above, period, count = (
            is_above(alarm),
            alarm.seconds("Period", 1),
            alarm.whole("EvaluationPeriods", 1),
        )
        threshold = alarm.number("Threshold")
        if period and found.get("period", period) != period:
            alarm.note(
                "Period", f"{period}, but {found['period']} of the other alarm: {period} is taken for both"
            )
        if period:
            found["period"] = period
        if count:
            found["out_datapoints" if above else "in_datapoints"] = count
        if above is False and threshold is not None and 0 < threshold < target:
            found["scale_in_margin"] = f"{round(100 * (1 - float(threshold) / target), 6):g}%"
    return found
