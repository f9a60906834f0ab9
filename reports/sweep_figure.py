"""The figure of a sweep: each objective and the cost over the values, with intervals over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY
from .storage import writing

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
MARKERS = "osD^v*"
SCALES = {"ns": (1e6, "ms"), "1": (0.01, "%"), "1/s": (1.0, "/s"), "h": (1.0, "instance-hours")}


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure: per line (label) its means and half widths over the x values, None where there is no data; *bound* or None."""

    title: str
    unit: str
    bound: float | None
    lines: Sequence[tuple[str, Sequence[tuple[float, float] | None]]]


def draw_sweep(
    title: str, axis_label: str, values: Sequence[str], panels: Sequence[Panel], path: Path
) -> None:
    """Draw *panels* over *values* (as categories, in their order) to *path*."""
    figure = Figure(figsize=(9, 0.8 + 2.4 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        _panel(axis, panel)
    axes[-1].set_xticks(range(len(values)), values)
    axes[-1].set_xlabel(axis_label)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path, remove=path):
        figure.savefig(path, dpi=110)


def _panel(axis: Any, panel: Panel) -> None:
    scale, unit = SCALES[panel.unit]
    for position, (label, points) in enumerate(panel.lines):
        known = [(x, point) for x, point in enumerate(points) if point is not None]
        # Lines are set a little apart, so that their intervals can be told from one another.
        shift = (position - (len(panel.lines) - 1) / 2) * 0.06
        axis.errorbar(
            [x + shift for x, _ in known],
            [mean / scale for _, (mean, _) in known],
            yerr=[half / scale if math.isfinite(half) else 0.0 for _, (_, half) in known],
            color=COLOURS[position % len(COLOURS)], marker=MARKERS[position % len(MARKERS)],
            capsize=3, linewidth=1.2, markersize=4, label=label or None,
        )  # fmt: skip
    if panel.bound is not None:
        axis.axhline(panel.bound / scale, color=GREY, linewidth=1, linestyle="--")
    axis.set_title(panel.title, fontsize=9, loc="left")
    axis.set_ylabel(unit)
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
