"""Step scaling as EC2 Auto Scaling documents it: an alarm's breach, by its size, adds or removes servers.

Source: Amazon EC2 Auto Scaling user guide, "Step and simple scaling policies". Each time a period closes with an alarm in ALARM, the step in which the newest datapoint
falls is applied. Warming instances are not in the metric and not in the current capacity that is adjusted, but they are in
the desired capacity that the result is compared with: repeated breaches of one step launch once. Scaling in, draining
instances are still in the current capacity; nothing is removed while an instance boots or warms up.

Where both alarms are in ALARM the larger capacity wins ("Multiple dynamic scaling policies"). Decided here: a datapoint in no step,
or none at all, changes nothing; the metric is the average of those that report, whoever is silent, as CloudWatch's is (the proposal is then marked blind).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .adjustments import AdjustmentType, StepAdjustment, adjusted, step_for
from .alarms import MINUTE, Alarm, AlarmState, Observed, watch
from .group import asking, decided, standing, warm, warming
from .view import FleetView, Memory, Proposal

WARMUP = 5 * MINUTE
"""The default cooldown of a group, which is the warm-up of policies that are not told theirs."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """A step scaling policy of EC2 Auto Scaling: an alarm, and what to do by how far the metric is beyond its threshold.

    *min_magnitude*: least change, in servers, of a percentage.
    """

    alarm: Alarm
    steps: tuple[StepAdjustment, ...]
    adjustment_type: AdjustmentType = "change"
    min_magnitude: int = 0

    def adjustment(self, value: float) -> StepAdjustment | None:
        """The step for the metric's *value*."""
        return step_for(self.steps, self.alarm.threshold, value, self.alarm.above)

    def after(self, step: StepAdjustment, capacity: int) -> int:
        """The capacity that *step* makes of *capacity*."""
        return adjusted(self.adjustment_type, step.adjustment, capacity, self.min_magnitude)


@dataclass(frozen=True, slots=True)
class StepScaling:
    """A rule for each direction, or for one; *warmup* (ns): from ready until an instance counts."""

    scale_out: StepRule | None = None
    scale_in: StepRule | None = None
    warmup: int = WARMUP
    kind: Literal["step"] = "step"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Apply the steps of the alarms whose period has just closed in ALARM; between, what was last decided stands."""
        return asking(view, self._propose(view, memory))

    def _propose(self, view: FleetView, memory: Memory) -> Proposal:
        counted = warm(view, self.warmup)
        blind = view.unknown > 0
        closed, found, silent = False, list[tuple[int, str, dict[str, float]]](), False
        for name, rule in self._rules():
            seen, state = watch(rule.alarm, memory, name, view.now, counted)
            memory, closed = seen.memory, closed or seen.closed
            silent = silent or state == AlarmState.INSUFFICIENT_DATA
            if seen.closed and state == AlarmState.ALARM:
                found.append(self._apply(view, name, rule, seen))
        blind = blind or silent
        if not closed or not view.size:
            return standing(view, memory, hold=warming(view, self.warmup) > 0, blind=blind)
        if not found:
            reason = "insufficient data" if silent else "within"
            return decided(view, memory, view.size, reason, {}, blind=blind)
        desired, reason, figures = max(found, key=lambda one: one[0])
        return decided(view, memory, desired, reason, figures, blind=blind)

    def _rules(self) -> tuple[tuple[str, StepRule], ...]:
        pairs = (("scale_out", self.scale_out), ("scale_in", self.scale_in))
        return tuple((name, rule) for name, rule in pairs if rule is not None)

    def _apply(
        self, view: FleetView, name: str, rule: StepRule, seen: Observed
    ) -> tuple[int, str, dict[str, float]]:
        value = seen.last
        if value is None:
            return view.size, "no datapoint", {}
        figures = {"average": value, "threshold": rule.alarm.threshold}
        step = rule.adjustment(value)
        if step is None:
            return view.size, "no step", figures
        figures["adjustment"] = float(step.adjustment)
        unready = warming(view, self.warmup)
        current = view.size - unready
        enlarged = rule.after(step, current)
        if enlarged > current:
            return max(view.size, enlarged), name if enlarged > view.size else "warming up", figures
        reduced = rule.after(step, view.size + view.draining)
        if reduced >= view.size:
            return view.size, "within", figures
        return (view.size, "warming up", figures) if unready else (reduced, name, figures)

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        return tuple(
            (rule.alarm.threshold, name.replace("_", " "))
            for name, rule in self._rules()
            if rule.alarm.metric == metric
        )
