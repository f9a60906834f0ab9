"""The panel of what happened: faults, deploys, decisions and alerts on one time axis."""

from typing import Any

from ..core.model import SECOND
from ..core.rollout.outcome import outcomes
from .drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, YELLOW, nothing
from .evidence import Evidence
from .violations import fault_spans

MARKS = {
    "fault": (RED, "fault", "v"),
    "killed": (RED, "killed", "X"),
    "out_of_memory": (RED, "out of memory", "X"),
    "proxy_down": (RED, "proxy down", "v"),
    "proxy_up": (GREEN, "proxy up", "^"),
    "registry_unreachable": (RED, "registry away", "v"),
    "registry_reachable": (GREEN, "registry back", "^"),
    "launch_refused": (RED, "launch refused", "x"),
    "terminate_refused": (RED, "end refused", "x"),
    "orphan_found": (PURPLE, "orphan", "D"),
    "boot_failed": (RED, "boot failed", "x"),
    "ejected": (PURPLE, "eject", "D"),
    "unhealthy": (PURPLE, "unhealthy", "s"),
    "breaker_opened": (ORANGE, "breaker", "s"),
    "deploy_started": (BLUE, "deploy", ">"),
    "weight_set": (BLUE, "canaries' share", "D"),
    "analysis": (YELLOW, "analysis", "o"),
    "rollback_started": (RED, "rollback", "<"),
    "deploy_promoted": (GREEN, "deploy promoted", "*"),
    "deploy_rolled_back": (ORANGE, "deploy rolled back", "*"),
    "deploy_failed": (RED, "deploy failed", "X"),
    "deploy_superseded": (GREY, "deploy superseded", "x"),
    "proxy_handed_over": (BLUE, "proxy handed over", "D"),
    "registry_restarted": (BLUE, "registry restarted", "D"),
    "crashed": (RED, "crashed", "X"),
    "updating": (PURPLE, "update", "v"),
    "registered": (GREEN, "registered", "o"),
    "launched": (BLUE, "launch", "^"),
    "promoted": (BLUE, "promote", "P"),
    "ready": (GREEN, "ready", "o"),
    "draining": (ORANGE, "drain", "v"),
    "terminated": (INK, "terminate", "|"),
}
"""Colour, label and mark by event, in the order in which the rows are drawn."""

QUIET = frozenset({
    "run", "end", "fault_over", "booting", "healthy", "unejected", "breaker_closed", "decision", "deploy_step", "deploy_paused", "updated",
})  # fmt: skip
"""Events without a row of their own: they end, or repeat, what another shows."""

ENDS = {"promoted": GREEN, "rolled_back": ORANGE, "failed": RED}
"""Colour of a deploy's bar by how it ended."""

UNFILLED = "|x"
"""Marks that are lines."""

HARD = frozenset({"fault", "proxy_down"})
"""Events that are also drawn as lines through the panels above."""


def shown(evidence: Evidence) -> dict[str, list[int]]:
    """Times (ns) by event that has a row: known ones in the order of MARKS, then others (alerts, say) by name.

    The initial fleet's launches at the very start are left out.
    """
    found: dict[str, list[int]] = {}
    for event in evidence.events:
        name = event["event"]
        if name not in QUIET and not (name in ("launched", "ready") and event["t"] == 0):
            found.setdefault(name, []).append(int(event["t"]))
    order = [*MARKS, *sorted(set(found) - set(MARKS))]
    return {name: found[name] for name in order if name in found}


def event_height(evidence: Evidence) -> float:
    """Inches that the rows need."""
    return max(0.7, 0.25 + 0.2 * len(shown(evidence)))


def happenings(axis: Any, evidence: Evidence) -> None:
    """A row per kind of event; faults also as lines through every panel above, lasting ones and deploys as bars."""
    rows = shown(evidence)
    labels = []
    for place, (name, times) in enumerate(rows.items()):
        colour, label, mark = MARKS.get(name, (YELLOW, name.replace("_", " "), "*"))
        labels.append(label)
        seconds = [time / SECOND for time in times]
        edge = {} if mark in UNFILLED else {"edgecolors": INK}
        axis.scatter(seconds, [place] * len(times), marker=mark, s=34, color=colour, linewidths=1.1, **edge)
        if name in HARD:
            for other in (other for other in axis.figure.axes if other.get_xlim() == axis.get_xlim()):
                other.vlines(
                    seconds, 0, 1, transform=other.get_xaxis_transform(), color=RED, linewidth=0.8, alpha=0.6
                )
    if "fault" in rows:
        place = list(rows).index("fault")
        for _, start, stop in fault_spans(evidence.events, evidence.end):
            axis.barh(place, (stop - start) / SECOND, left=start / SECOND, height=0.5, color=RED, alpha=0.35)
    if "deploy_started" in rows:
        place = list(rows).index("deploy_started")
        for deploy in outcomes(evidence.fleet.deploys, evidence.events):
            if deploy.began >= 0:
                stop = deploy.ended if deploy.ended >= 0 else evidence.end
                left, length = deploy.began / SECOND, (stop - deploy.began) / SECOND
                axis.barh(place, length, left=left, height=0.5, color=ENDS.get(deploy.end, GREY), alpha=0.35)
    axis.set_yticks(range(len(rows)), labels, fontsize=8)
    axis.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    if not rows:
        nothing(axis, "nothing happened")
    else:
        axis.grid(axis="y", color=GREY, linewidth=0.3, alpha=0.5)
