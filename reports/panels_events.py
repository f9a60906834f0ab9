"""The panels of what happened, on the time axis: faults, deploys and decisions; alerts, and what was expected of them."""

from typing import Any

from ..core.alerts import FIRED, OVER, ExpectVerdict, judge_expectation
from ..core.model import SECOND
from ..core.rollout.outcome import outcomes
from .drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, YELLOW, nothing
from .evidence import QUIET, Evidence
from .violations import fault_spans
from .wording import duration

MARKS = {
    "fault": (RED, "fault", "v"),
    "killed": (RED, "killed", "X"),
    "out_of_memory": (RED, "out of memory", "X"),
    "remedy_started": (PURPLE, "remedy", "P"),
    "restarting": (ORANGE, "restart", "v"),
    "proxy_down": (RED, "proxy down", "v"),
    "proxy_up": (GREEN, "proxy up", "^"),
    "registry_unreachable": (RED, "registry away", "v"),
    "registry_reachable": (GREEN, "registry back", "^"),
    "launch_refused": (RED, "launch refused", "x"),
    "terminate_refused": (RED, "end refused", "x"),
    "list_refused": (RED, "list refused", "x"),
    "orphan_found": (PURPLE, "orphan", "D"),
    "boot_failed": (RED, "boot failed", "x"),
    "ejected": (PURPLE, "eject", "D"),
    "unhealthy": (PURPLE, "unhealthy", "s"),
    "breaker_opened": (ORANGE, "breaker", "s"),
    "deploy_started": (BLUE, "deploy", ">"),
    "weight_set": (BLUE, "canary share", "D"),
    "analysis": (YELLOW, "analysis", "o"),
    "rollback_started": (RED, "rollback", "<"),
    "deploy_promoted": (GREEN, "deployed", "*"),
    "deploy_rolled_back": (ORANGE, "rolled back", "*"),
    "deploy_failed": (RED, "deploy failed", "X"),
    "deploy_superseded": (GREY, "superseded", "x"),
    "proxy_handed_over": (BLUE, "handed over", "D"),
    "registry_restarted": (BLUE, "new registry", "D"),
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

ENDS = {"promoted": GREEN, "rolled_back": ORANGE, "failed": RED}
"""Colour of a deploy's bar by how it ended."""

UNFILLED = "|x"
"""Marks that are lines."""

HARD = frozenset({"fault", "proxy_down"})
"""Events that are also drawn as lines through the panels above."""


def shown(evidence: Evidence) -> dict[str, list[int]]:
    """Times (ns) by event that has a row: known ones in the order of MARKS, then others by name.

    The initial fleet's launches at the very start are left out, and alerts, which have a panel of their own.
    """
    found: dict[str, list[int]] = {}
    for event in evidence.events:
        name = event["event"]
        if name in (FIRED, OVER) and evidence.fleet.alerts:
            continue
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


LONGEST_NAME = 15
"""Letters of an alert's name that fit beside the panel."""


def firing(evidence: Evidence, alert: str) -> list[tuple[int, int]]:
    """When *alert* fired and until when (ns); one that still does at the end, until then."""
    spans, begun = list[tuple[int, int]](), -1
    for event in evidence.happened(FIRED, OVER):
        if event["name"] != alert:
            continue
        if event["event"] == FIRED:
            begun = int(event["t"])
        elif begun >= 0:
            spans.append((begun, int(event["t"])))
            begun = -1
    return spans if begun < 0 else [*spans, (begun, evidence.end)]


def verdicts_of(evidence: Evidence, alert: str) -> list[ExpectVerdict]:
    """What was expected of *alert*, judged."""
    times = [start for start, _ in firing(evidence, alert)]
    return [judge_expectation(one, times) for one in evidence.fleet.expects if one.alert == alert]


def in_short(verdict: ExpectVerdict) -> str:
    """An expectation's verdict, as it stands beside the panel."""
    sign = "\u2713" if verdict.held else "\u2717"
    if not verdict.spec.fires:
        count = verdict.value or 0
        return f"{sign} silent" if not count else f"{sign} fired {count} time{'s' if count > 1 else ''}"
    return f"{sign} never fired" if verdict.value is None else f"{sign} after {duration(verdict.value)}"


def alert_height(evidence: Evidence) -> float:
    """Inches that the rows of alerts and expectations need; none without alerts."""
    rows = len(evidence.fleet.alerts) + len(evidence.fleet.expects)
    return 0.25 + 0.21 * rows if evidence.fleet.alerts else 0.0


def alerts(axis: Any, evidence: Evidence) -> None:
    """A row per alert with bars while it fires, and below it one per expectation: its window in green if it came true, in red if not, the verdict beside it."""
    labels, colours, row = list[str](), list[str](), 0
    for spec in evidence.fleet.alerts:
        name = spec.name if len(spec.name) <= LONGEST_NAME else spec.name[: LONGEST_NAME - 1] + "\u2026"
        labels.append(name.replace("$", r"\$"))
        colours.append(INK)
        for start, stop in firing(evidence, spec.name):
            axis.barh(row, (stop - start) / SECOND, left=start / SECOND, height=0.62, color=ORANGE)
            # However short it was, it is seen.
            axis.vlines(start / SECOND, row - 0.31, row + 0.31, color=RED, linewidth=1.2)
        row += 1
        for verdict in verdicts_of(evidence, spec.name):
            colour = GREEN if verdict.held else RED
            labels.append("expected" if verdict.spec.fires else "not expected")
            colours.append(GREY)
            opens, closes = (verdict.spec.start + part for part in (0, verdict.spec.within))
            axis.plot([opens / SECOND, closes / SECOND], [row, row], color=colour, linewidth=2.4,
                      marker="|", markersize=7, solid_capstyle="butt")  # fmt: skip
            axis.annotate(in_short(verdict), (1.005, row), xycoords=("axes fraction", "data"), fontsize=8,
                          color=colour, va="center", annotation_clip=False)  # fmt: skip
            row += 1
    axis.set_yticks(range(row), labels, fontsize=8)
    for tick, colour in zip(axis.get_yticklabels(), colours, strict=True):
        tick.set_color(colour)
    axis.set_ylim(row - 0.4, -0.6)
    axis.grid(axis="y", color=GREY, linewidth=0.3, alpha=0.5)
