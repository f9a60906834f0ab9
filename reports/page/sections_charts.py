"""Sections of charts, which the page's scripts draw: the same for recorded and live runs."""

from collections.abc import Sequence

from ...core.records import PROXY_MEASURES
from .markup import chart, paragraph
from .model import OWN
from .report_data import ReportData
from .sections_fleet import decisions, happenings

MEASURES = (
    ("requests", "requests a second"), ("cpu", "CPU, of its cores"), ("memory", "memory"), ("in_flight", "in flight"),
    ("queued", "waiting for a worker"), ("errors", "failures a second"), ("p95", "p95 at the server"), ("state", "state"),
)  # fmt: skip

AGAINST = (
    ("errors", "share of failures"),
    ("p95", "p95 at the server"),
    ("requests", "requests a second"),
    ("cpu", "CPU"),
)


def map_chart() -> str:
    """The map."""
    says = (
        "Size stands for traffic, colour and sign for health by the objectives. Figures are of the whole run, or of the 5 s up to the time under the cursor of any "
        "chart. Each server also talks to the registry, which is not drawn."
    )
    return chart("map", "Who sends how much to whom", says)


def charts(delays: bool) -> str:
    """The time axis: what happened, and the fleet's curves; with the proxy's own *delays*, which flights measure."""
    told = "Drag to zoom, double-click to see all; with the keyboard: arrows move the cursor, plus and minus zoom, Escape shows all. Shaded: faults and deploys."
    return paragraph(told) + "".join(
        chart(name, title, says)
        for name, title, says in (
            ("timeline", "What happened", "Bars last, signs are moments: ✗ breaks something, ✓ mends it, ▾ else."),
            ("requests", "Requests by status class", "Requests by the second in which they ended, on top of each other."),
            ("errors", "Failed requests", "Share of the requests that ended in a second with an outcome other than ok and unread."),
            ("latency", "Latency", "Percentiles of the requests answered as planned in each second; dashed: objectives."),
            ("sizes", "Servers", "How many serve (canaries included), and how many are pending or boot."),
            ("proxy", "Connections at the proxy", "As sampled each second."),
            ("delays", "Delays of the proxy itself", "The worst of each second: how late its event loop was, its longest exchange with the registry."),
        )
        if delays or name != "delays"
    )  # fmt: skip


def instances(canaries: bool, own: Sequence[str]) -> str:
    """All servers over time, with their *own* metrics, by name; and canaries against the others."""
    says = "A line per server, or a row per server where there are more than 8; in a row the greatest second of each pixel."
    text = chart("instances", "Each server", says, (*MEASURES, *((OWN + name, name) for name in own)))
    if canaries:
        says = (
            "Means over the canaries and over the servers that serve, of each second in which there were any."
        )
        text += chart("canary", "Canary against baseline", says, AGAINST)
    return text


def fleet_map(data: ReportData) -> str:
    """The map of a run."""
    return map_chart()


def timeline(data: ReportData) -> str:
    """Curves and events of a run, with its faults, deploys, decisions and events as tables."""
    evidence = data.evidence
    return (
        charts(not evidence.measured.keys().isdisjoint(PROXY_MEASURES))
        + happenings(data)
        + "<h3>Scaling decisions</h3>\n"
        + decisions(data)
    )
