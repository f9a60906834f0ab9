"""Scheduled: sizes and bounds that change at given times.

The times are already on the run's clock: calendar, time zone and cron expressions are resolved when the scenario is compiled
(scenarios/schedule.py). What an entry says holds until the next one. A size is a proposal like any other; a minimum or maximum only bounds
what there is, or, within ``combine``, what the other parts decide.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import ClassVar, Literal

from .view import UNLIMITED, FleetView, Memory, Proposal

OPEN = -1
"""No such setting."""


@dataclass(frozen=True, slots=True)
class Step:
    """From *at* (ns, before the run: negative) on: an exact *size*, or bounds; OPEN: none."""

    at: int
    minimum: int = OPEN
    maximum: int = OPEN
    size: int = OPEN


@dataclass(frozen=True, slots=True)
class Scheduled:
    """*steps*, in the order of time; of two at the same time the latter holds."""

    steps: tuple[Step, ...]
    kind: Literal["scheduled"] = "scheduled"
    needs_proxy: ClassVar[bool] = False

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Propose the scheduled size, or what there is within the scheduled bounds."""
        found = bisect_right(self.steps, view.now, key=lambda step: step.at)
        if not found:
            return Proposal(view.size, "nothing scheduled yet", bounds=(0, UNLIMITED))
        step = self.steps[found - 1]
        if step.size != OPEN:
            return Proposal(step.size, "scheduled size", figures={"size": float(step.size)})
        least, most = max(step.minimum, 0), step.maximum
        desired, reason = max(view.size, least), "scheduled minimum"
        if desired == view.size:
            reason = "within schedule"
        if 0 <= most < desired:
            desired, reason = most, "scheduled maximum"
        figures = {
            name: float(value) for name, value in (("minimum", step.minimum), ("maximum", most)) if value >= 0
        }
        return Proposal(desired, reason, figures=figures, bounds=(least, most))

    def marks(self, metric: str) -> tuple[tuple[float, str], ...]:
        """See Policy."""
        return ()
