"""How deploys ended, by the event log, and whether as expected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .spec import DeploySpec

ENDS = {
    "deploy_promoted": "promoted",
    "deploy_rolled_back": "rolled_back",
    "deploy_failed": "failed",
    "deploy_superseded": "superseded",
}
"""What the events say."""

UNFINISHED, NEVER = "unfinished", "never begun"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A deploy: when it began and ended (ns, -1: it did not), how (see ENDS), why, and whether that is what was expected."""

    spec: DeploySpec
    began: int
    ended: int
    end: str
    reason: str

    @property
    def held(self) -> bool:
        """Whether it ended as expected, or nothing was expected."""
        return self.spec.expect in ("", self.end)


def outcomes(deploys: Iterable[DeploySpec], events: Iterable[Mapping[str, Any]]) -> tuple[Outcome, ...]:
    """What became of each of *deploys*."""
    began: dict[str, int] = {}
    ends: dict[str, tuple[int, str, str]] = {}
    for event in events:
        if event["event"] == "deploy_started":
            began[event["deploy"]] = event["t"]
        elif event["event"] in ENDS:
            ends[event["deploy"]] = (event["t"], ENDS[event["event"]], event.get("reason", ""))
    found = []
    for spec in deploys:
        start = began.get(spec.name, -1)
        time, end, reason = ends.get(spec.name, (-1, NEVER if start < 0 else UNFINISHED, ""))
        found.append(Outcome(spec, start, time, end, reason))
    return tuple(found)
