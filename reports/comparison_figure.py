"""The figure of a comparison: both runs in each panel, one colour each."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..core.model import SECOND
from ..core.outcomes import NAMES, Outcome
from .comparison import Comparison
from .drawing import (
    BLUE,
    INK,
    ORANGE,
    counts,
    legend,
    logarithmic,
    nothing,
    sheet,
    time_axis,
)
from .evidence import Evidence
from .pairing import Decision
from .summary import per_bin, percentiles_per_bin

COLOURS = (BLUE, ORANGE)
LETTERS = ("A", "B")
WIDTHS = {"A": 2.0, "B": 0.9}
"""The first run shows around the second where they are alike."""

STYLES = (("p50", 0.5, "-"), ("p95", 0.95, "--"), ("p99", 0.99, ":"))
MARKS = {"launch": "^", "promote": "P", "drain": "v", "terminate": "x"}

MOST_BINS = 150
"""Points of a curve: few enough that a point stands for some hundred requests, whose p99 is one."""

SPACER = 0.42
"""Inches between the panels over time, whose axis is labelled, and the bars."""

SAYS = "both runs over time: requests, latency, servers with decisions; and the share of each outcome"

Both = tuple[Evidence, Evidence]


def draw_comparison(comparison: Comparison, both: Both) -> Figure:
    """The figure; drawn and saved under :func:`drawing.look`."""
    title = f"A: {comparison.runs[0]},  B: {comparison.runs[1]}".replace("$", r"\$")
    bars = max(1.0, 0.35 + 0.3 * len(_outcomes(comparison)))
    figure, axes = sheet((2.0, 2.3, 1.7, SPACER, bars), title)
    traffic, latency, fleet, spacer, shares = axes
    spacer.set_axis_off()
    seconds = comparison.window / SECOND
    timed = (traffic, latency, fleet)
    time_axis(timed, seconds)
    _traffic(traffic, both, comparison)
    _latency(latency, both, comparison)
    _fleet(fleet, comparison)
    _shares(shares, comparison)
    for axis in timed:
        axis.set_xlim(0, seconds)
    return figure


def _grid(comparison: Comparison) -> tuple[int, int]:
    """Bins over the window and their width in seconds; the last may be shorter."""
    seconds = max(-(-comparison.window // SECOND), 1)
    width = -(-seconds // MOST_BINS)
    return -(-seconds // width), width


def _within(evidence: Evidence, comparison: Comparison) -> tuple[Any, Any, Any]:
    requests = evidence.requests
    chosen = (requests["time_ns"] >= 0) & (requests["time_ns"] < comparison.window)
    answered = (requests["outcome"][chosen] == Outcome.OK) & evidence.readers[chosen]
    return requests["time_ns"][chosen], requests["latency_ns"][chosen], answered


def _traffic(axis: Any, both: Both, comparison: Comparison) -> None:
    bins, width = _grid(comparison)
    x = np.arange(bins) * width
    offered = []
    for evidence in both:
        offered.append(per_bin(_within(evidence, comparison)[0], None, bins, width))
    same = bool((offered[0] == offered[1]).all())
    for letter, colour, rates in zip(LETTERS, (INK,) if same else COLOURS, offered, strict=False):
        label = "planned" if same else f"{letter} planned"
        axis.step(x, rates, ":", where="post", color=colour, linewidth=0.9, label=label)
    for letter, colour, evidence in zip(LETTERS, COLOURS, both, strict=True):
        time, _, answered = _within(evidence, comparison)
        rates = per_bin(time[answered], None, bins, width)
        axis.step(x, rates, where="post", color=colour, linewidth=WIDTHS[letter], label=f"{letter} answered")
    axis.set_ylabel("requests/s,\nat their planned time")
    counts(axis)
    legend(axis)


def _latency(axis: Any, both: Both, comparison: Comparison) -> None:
    bins, width = _grid(comparison)
    drawn = False
    for letter, colour, evidence in zip(LETTERS, COLOURS, both, strict=True):
        time, latency, answered = _within(evidence, comparison)
        shares = [share for _, share, _ in STYLES]
        found = percentiles_per_bin(time[answered], latency[answered], bins, width, shares) / 1e6
        drawn = drawn or bool((found > 0).any())
        for row, (name, _, style) in zip(found, STYLES, strict=True):
            axis.step(
                np.arange(bins) * width, row, style, where="post", color=colour, linewidth=WIDTHS[letter], label=f"{letter} {name}"
            )  # fmt: skip
    if drawn:
        logarithmic(axis)
    axis.set_ylabel("latency of answered\nrequests (ms)")
    legend(axis)


def _fleet(axis: Any, comparison: Comparison) -> None:
    sizes, decisions = comparison.sizes, comparison.decisions
    for letter, colour, style, size in zip(
        LETTERS, COLOURS, ("-", "--"), (sizes.first, sizes.second), strict=True
    ):
        axis.step(
            sizes.seconds, size, style, where="pre", color=colour, linewidth=1.4, label=f"{letter} servers"
        )
    most = float(max((size.max() for size in (sizes.first, sizes.second) if len(size)), default=1))
    taken = (
        [pair.first for pair in decisions.pairs] + list(decisions.missing),
        [pair.second for pair in decisions.pairs] + list(decisions.surplus),
    )
    # A row of marks for each run, under the curves.
    for row, (letter, colour, some) in enumerate(zip(LETTERS, COLOURS, taken, strict=True)):
        height = -most * 0.12 * (row + 1)
        for kind in dict.fromkeys(one.kind for one in some):
            axis.scatter(
                _seconds(some, kind), [height] * len(_seconds(some, kind)), marker=MARKS[kind], s=22, color=colour,
                linewidths=1.0, label=f"{letter} {kind}",
            )  # fmt: skip
    counts(axis)
    axis.set_ylim(-most * 0.36 if any(taken) else 0, most * 1.08)
    axis.set_yticks([tick for tick in axis.get_yticks() if 0 <= tick <= most * 1.08])
    axis.set_ylabel("servers serving,\nand decisions")
    legend(axis)


def _seconds(decisions: list[Decision], kind: str) -> list[float]:
    return sorted({one.time / SECOND for one in decisions if one.kind == kind})


def _outcomes(comparison: Comparison) -> list[Any]:
    return [figure for figure in comparison.figures if figure.name in NAMES]


def _shares(axis: Any, comparison: Comparison) -> None:
    figures = _outcomes(comparison)
    if not figures:
        nothing(axis, "no request was planned")
        return
    for place, (letter, colour) in enumerate(zip(LETTERS, COLOURS, strict=True)):
        values = [(figure.second if place else figure.first) or 0.0 for figure in figures]
        rows = np.arange(len(figures)) + (place - 0.5) * 0.36
        axis.barh(
            rows, [100 * one for one in values], height=0.34, facecolor=colour, hatch="//" if place else "", edgecolor=INK,
            linewidth=0, label=letter,
        )  # fmt: skip
        for row, one in zip(rows, values, strict=True):
            axis.annotate(
                f"{one:.2%}",
                (100 * one, row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axis.set_yticks(range(len(figures)), [figure.name.replace("_", " ") for figure in figures])
    axis.set_ylim(len(figures) - 0.4, -0.6)
    axis.set_xlim(0, 108)
    axis.set_xlabel("share of requests (%)")
    legend(axis)
