"""Simple scaling as EC2 Auto Scaling documents it: one adjustment for each alarm, then a cooldown.

Source: Amazon EC2 Auto Scaling user guide, "Simple scaling policies" and "Scaling cooldowns": while anything launches or terminates, and until the cooldown after it
is over, alarms are not answered. The cooldown is that of the rule that acted, and begins when the last instance has finished launching or terminating (draining included).

Decided here: a change that the rules did not ask for (a bound that was corrected) is followed by the cooldown of the rule that acted last, else by the longer of both.
If both alarms are in ALARM the larger capacity wins. There is no warm-up: an instance is in the metric as soon as it is ready.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .adjustments import AdjustmentType, adjusted
from .alarms import MINUTE, Alarm, AlarmState, watch
from .group import asking, decided, standing, without_standing
from .view import FleetView, Memory, Proposal

COOLDOWN = 5 * MINUTE
"""Unless another is given."""

_BUSY, _SETTLED, _ACTED = "busy", "settled", "acted"


@dataclass(frozen=True, slots=True)
class SimpleRule:
    """A simple scaling policy of EC2 Auto Scaling: *adjustment* (servers or per cent, see core.policies.adjustments), *cooldown* in ns."""

    alarm: Alarm
    adjustment: int
    adjustment_type: AdjustmentType = "change"
    min_magnitude: int = 0
    cooldown: int = COOLDOWN

    def after(self, capacity: int) -> int:
        """The capacity that the adjustment makes of *capacity*."""
        return adjusted(self.adjustment_type, self.adjustment, capacity, self.min_magnitude)


@dataclass(frozen=True, slots=True)
class SimpleScaling:
    """A rule for each direction, or for one."""

    scale_out: SimpleRule | None = None
    scale_in: SimpleRule | None = None
    kind: Literal["simple"] = "simple"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Apply the adjustment of an alarm whose period has just closed in ALARM, unless something is in progress or the cooldown runs."""
        return asking(view, self._propose(view, memory))

    def _propose(self, view: FleetView, memory: Memory) -> Proposal:
        blind = view.unknown > 0
        closed, silent = False, False
        found: list[tuple[int, int, str, float]] = []
        for number, (name, rule) in enumerate(self._rules()):
            seen, state = watch(rule.alarm, memory, name, view.now, view.servers)
            memory, closed = seen.memory, closed or seen.closed
            silent = silent or state == AlarmState.INSUFFICIENT_DATA
            if seen.closed and state == AlarmState.ALARM:
                found.append((rule.after(view.size), number, name, rule.alarm.threshold))
        blind = blind or silent
        busy = bool(view.booting) or view.draining > 0
        memory = _progress(view, memory, busy)
        if not closed or not view.size:
            return standing(view, memory, hold=busy, blind=blind)
        if not found:
            reason = "insufficient data" if silent else "within"
            return decided(view, memory, view.size, reason, {}, blind=blind)
        if busy:
            return Proposal(view.size, "in progress", without_standing(memory), blind=blind)
        figures = {"left": max(self._until(view, memory) - view.now, 0) / 1e9}
        if figures["left"]:
            return Proposal(view.size, "cooldown", without_standing(memory), figures, blind)
        desired, number, name, threshold = max(found, key=lambda one: one[0])
        memory = {**memory, _ACTED: (number,)}
        return decided(view, memory, desired, name, {"threshold": threshold}, blind=blind)

    def _rules(self) -> tuple[tuple[str, SimpleRule], ...]:
        pairs = (("scale_out", self.scale_out), ("scale_in", self.scale_in))
        return tuple((name, rule) for name, rule in pairs if rule is not None)

    def _until(self, view: FleetView, memory: Memory) -> int:
        """When the cooldown is over (ns); in the past if there is none."""
        acted = memory.get(_ACTED, ())
        lengths = [rule.cooldown for _, rule in self._rules()]
        length = lengths[int(acted[0])] if acted else max(lengths)
        ready = max((server.since for server in view.servers), default=-1)
        begun = max(view.last_action, ready, int(memory.get(_SETTLED, (-1,))[0]))
        return begun + length if begun >= 0 else -1

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        return tuple(
            (rule.alarm.threshold, name.replace("_", " "))
            for name, rule in self._rules()
            if rule.alarm.metric == metric
        )


def _progress(view: FleetView, memory: Memory, busy: bool) -> Memory:
    """When what was in progress has come to an end: the turn that first finds nothing."""
    if busy:
        return {**memory, _BUSY: (1,)}
    if _BUSY in memory:
        kept = {name: series for name, series in memory.items() if name != _BUSY}
        return {**kept, _SETTLED: (view.now,)}
    return memory
