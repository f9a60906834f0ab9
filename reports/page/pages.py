"""What a page consists of: the sections of a recorded run in their order, and those of a live one."""

from collections.abc import Callable

from ...core.model import FleetSpec
from ..comparison import Comparison
from ..evidence import Evidence
from . import (
    sections_beside,
    sections_charts,
    sections_conclusions,
    sections_parts,
    sections_servers,
    sections_traffic,
)
from .documents import begun, recorded
from .model import Page, Section
from .report_data import ReportData

SECTIONS: tuple[tuple[str, str, Callable[[ReportData], str]], ...] = (
    ("verdict", "Verdict and thresholds", sections_traffic.verdict),
    ("identity", "Seed, digest and commands", sections_traffic.identity),
    ("outcomes", "Planned, sent, dropped", sections_traffic.outcomes),
    ("errors", "Errors and where they come from", sections_conclusions.errors),
    ("latency", "Percentiles and status classes", sections_traffic.latency),
    ("map", "Map", sections_charts.fleet_map),
    ("timeline", "Timeline", sections_charts.timeline),
    ("servers", "Servers", sections_servers.servers),
    ("recovery", "Recovery and blast radius", sections_conclusions.recoveries),
    ("beside", "Rehearsal beside flight", sections_beside.beside),
    ("hints", "Hints", sections_conclusions.hints),
    ("proxy", "Proxy and dependencies", sections_parts.parts),
    ("cost", "Cost", sections_traffic.cost),
)
"""Anchor, title and contents, in the page's order."""


def recorded_page(evidence: Evidence, beside: Comparison | None = None) -> Page:
    """The page of a run, also of one that was cut off; laid *beside* another one."""
    data = ReportData(evidence, beside)
    sections = tuple(Section(anchor, title, draw(data)) for anchor, title, draw in SECTIONS)
    verdict, tone = _verdict(evidence)
    return Page(_title(evidence.fleet), verdict, tone, sections, recorded(evidence))


def live_page(fleet: FleetSpec) -> Page:
    """The page of a run that has begun: what cannot be concluded before its end is left out."""
    sections = (
        Section("verdict", "Thresholds", sections_traffic.thresholds(fleet)),
        Section("map", "Map", sections_charts.map_chart()),
        Section("timeline", "Timeline", sections_charts.charts(delays=True)),
        Section(
            "servers",
            "Servers",
            sections_charts.instances(bool(fleet.deploys), [one.name for one in fleet.app.metrics]),
        ),
    )
    return Page(
        _title(fleet), "under way: there is a verdict when it has ended", "note", sections, begun(fleet)
    )


def _title(fleet: FleetSpec) -> str:
    return f"{fleet.name}, seed {fleet.seed}"


def _verdict(evidence: Evidence) -> tuple[str, str]:
    if evidence.run.partial:
        return "! partial: this run was cut off, it has no verdict", "note"
    objectives = evidence.summary["slo"]
    broken = sum(not slo["held"] for slo in objectives)
    if broken:
        return f"violated: {broken} of {len(objectives)} objectives", "bad"
    return "passed", "good"
