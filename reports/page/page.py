"""One self-contained HTML page of a run: no request leaves it, figures are inline, light and dark and printable."""

from collections.abc import Callable
from html import escape
from pathlib import Path

from ..evidence import Evidence
from ..figure import OVERVIEW, PICTURES, svg_picture
from ..storage import write_whole
from . import sections_fleet, sections_traffic
from .markup import figure, section
from .report_data import Pictures, ReportData
from .style import CSS

SECTIONS: tuple[tuple[str, str, Callable[[ReportData], str]], ...] = (
    ("verdict", "Verdict and thresholds", sections_traffic.verdict),
    ("identity", "Seed, digest and commands", sections_traffic.identity),
    ("outcomes", "Planned, sent, lost", sections_traffic.outcomes),
    ("latency", "Latency", sections_traffic.latency),
    ("lives", "Fleet", sections_fleet.lives),
    ("servers", "Load per server", sections_fleet.servers),
    ("proxy", "Proxy", sections_fleet.proxy),
    ("dependencies", "Dependencies", sections_traffic.dependencies),
    ("decisions", "Scaling decisions", sections_fleet.decisions),
    ("events", "Faults, decisions and alerts", sections_fleet.happenings),
    ("cost", "Cost", sections_traffic.cost),
)
"""Anchor, title and contents, in the page's order."""


def full_pictures(evidence: Evidence) -> Pictures:
    """A figure in each section, drawn anew as SVG."""

    def picture(name: str) -> str:
        return "" if name == OVERVIEW else figure(svg_picture(evidence, name), PICTURES[name].says)

    return picture


def overview_picture(evidence: Evidence) -> Pictures:
    """Only the overview, which is quickly drawn."""

    def picture(name: str) -> str:
        if name != OVERVIEW:
            return ""
        says = f"{PICTURES[name].says}; windtunnel report draws a figure for each section"
        return figure(svg_picture(evidence, name), says)

    return picture


def page(evidence: Evidence, picture: Pictures) -> str:
    """The page of a run; the same run gives the same text."""
    data = ReportData(evidence, picture)
    title = escape(f"{evidence.fleet.name}, seed {evidence.fleet.seed}")
    contents = "".join(
        f'<a href="#{anchor}">{number}. {escape(name)}</a> '
        for number, (anchor, name, _) in enumerate(SECTIONS, 1)
    )
    body = "".join(
        section(number, anchor, name, inside(data))
        for number, (anchor, name, inside) in enumerate(SECTIONS, 1)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}: windtunnel</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{CSS}</style>\n</head>\n<body>\n'
        f"<header>\n<h1>{title}</h1>\n{_verdict(evidence)}\n</header>\n<nav>{contents}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _verdict(evidence: Evidence) -> str:
    if evidence.run.partial:
        return '<p class="verdict bad">! partial: this run was cut off, it has no verdict</p>'
    broken = sum(not slo["held"] for slo in evidence.summary["slo"])
    if broken:
        return f'<p class="verdict bad">✗ violated: {broken} of {len(evidence.summary["slo"])} objectives</p>'
    return '<p class="verdict good">✓ passed</p>'


def write_page(evidence: Evidence, picture: Pictures, path: Path) -> None:
    """Write the page to *path*, whole or not at all."""
    write_whole(path, page(evidence, picture))
