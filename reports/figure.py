"""The figures of a run: which panels each consists of, and how they are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from . import panels_events, panels_fleet, panels_proxy, panels_traffic
from .drawing import look, save, sheet, time_axis
from .evidence import Evidence

Panel = Callable[[Any, Evidence], None]
Height = float | Callable[[Evidence], float]

OVERVIEW = "run"


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure: what it shows, in words, its panels with their heights in inches (0: it has nothing to show), and whether x is the run's time."""

    says: str
    panels: Sequence[tuple[Panel, Height]]
    timed: bool = True


PICTURES = {
    OVERVIEW: Picture(
        "load beside outcomes, latency, fleet, load and memory per server, and what happened",
        (
            (panels_traffic.outcomes, 2.4), (panels_traffic.latency, 2.2), (panels_fleet.sizes, 1.4),
            (panels_fleet.load, 1.7), (panels_fleet.memory, panels_fleet.memory_height),
            (panels_events.alerts, panels_events.alert_height), (panels_events.happenings, panels_events.event_height),
        ),
    ),
    "outcomes": Picture("requests per second by outcome", ((panels_traffic.outcomes, 2.6),)),
    "latency": Picture("latency percentiles over time", ((panels_traffic.latency, 2.6),)),
    "distribution": Picture(
        "share of answered requests that took longer than x", ((panels_traffic.distribution, 2.8),), timed=False
    ),
    "lives": Picture("the life of each instance", ((panels_fleet.lives, panels_fleet.life_height),)),
    "servers": Picture(
        "requests, CPU and memory per server",
        ((panels_fleet.load, 1.9), (panels_fleet.cpu, 1.5), (panels_fleet.memory, panels_fleet.memory_height)),
    ),
    "proxy": Picture(
        "connections and memory of the proxy and their limits",
        ((panels_proxy.connections, 2.0), (panels_proxy.memory, panels_proxy.memory_height)),
    ),
    "dependencies": Picture("time spent in io and calls", ((panels_proxy.waits, 2.0),)),
    "events": Picture(
        "alerts and what was expected of them, faults and decisions",
        ((panels_events.alerts, panels_events.alert_height), (panels_events.happenings, panels_events.event_height)),
    ),
    "cost": Picture("instances paid for and serving", ((panels_fleet.paid, 1.6),)),
}  # fmt: skip
"""All figures by name; the first is the overview, the others belong to the sections of the report."""


def draw(evidence: Evidence, name: str, title: str = "") -> Figure:
    """The figure called *name*."""
    picture = PICTURES[name]
    sized = [(panel, height(evidence) if callable(height) else height) for panel, height in picture.panels]
    panels = [(panel, height) for panel, height in sized if height]
    figure, axes = sheet([height for _, height in panels], title)
    if picture.timed:
        time_axis(axes, evidence.seconds)
    for axis, (panel, _) in zip(axes, panels, strict=True):
        panel(axis, evidence)
    if picture.timed:
        for axis in axes:
            axis.set_xlim(0, evidence.seconds)
    return figure


def save_picture(evidence: Evidence, name: str, path: Path) -> None:
    """Draw the figure called *name* to *path* (PNG, SVG or PDF by its suffix)."""
    with look():
        save(draw(evidence, name, headline(evidence) if name == OVERVIEW else ""), path)


def headline(evidence: Evidence) -> str:
    """Scenario, seed and verdict."""
    if evidence.run.partial:
        verdict = "partial, without a verdict"
    elif evidence.run.passed:
        verdict = "passed"
    else:
        broken = [slo["name"] for slo in evidence.summary["slo"] if not slo["held"]]
        verdict = "violated: " + ", ".join(broken)
    return f"{evidence.fleet.name}, seed {evidence.fleet.seed}: {verdict}".replace("$", r"\$")
