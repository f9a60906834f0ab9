"""What of an autoscaler's decisions is news: the lines of its log."""

from collections.abc import Callable, Mapping
from typing import Any

from .limits import HINDRANCES
from .scaling_decision import Decision


class DecisionLog:
    """Of one autoscaler's process; *emit* logs an event."""

    def __init__(self, emit: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._emit = emit
        self._reason = ""
        self._proposed: tuple[object, ...] = ()

    def held(self, reason: str, error: str) -> None:
        """Without registry or cloud nothing is decided, which is said once."""
        if self._reason != reason:
            self._reason = reason
            self._emit("decision", {"reason": reason, "error": error})

    def decided(self, decision: Decision) -> None:
        """A line for each decision that does something, or that something begins to prevent."""
        # Of a combined policy the part comes first: "panic: unknown".
        hinders = decision.reason.rpartition(": ")[2] in HINDRANCES
        news = hinders and decision.reason != self._reason
        self._reason = decision.reason
        if decision.actions or news:
            fields = {"desired": decision.desired, "actual": decision.actual, "reason": decision.reason}
            self._emit("decision", {**fields, "actions": len(decision.actions)})

    def proposed(self, decision: Decision, last_action: int) -> None:
        """Nothing is carried out in a dry run, so that some is proposed at each tick: a line when it is another than before."""
        before, self._proposed = self._proposed, (last_action, decision.actions)
        if self._proposed != before or not decision.actions:
            self.decided(decision)
