"""Panels about requests: their outcomes and latencies over time, and how latencies are distributed."""

from typing import Any

import numpy as np

from ..core.model import SECOND
from ..core.outcomes import NAMES, Outcome
from .drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SERIES,
    SKY,
    STYLES,
    YELLOW,
    counts,
    legend,
    logarithmic,
    nothing,
    plain,
)  # fmt: skip
from .evidence import Evidence
from .summary import per_bin, percentiles_per_bin

OUTCOME_COLOURS = {
    "ok": GREEN, "unread": SKY, "app_error": RED, "no_server": INK, "queue_full": ORANGE,
    "shed": YELLOW, "refused": "#7F3C8D", "connect_failed": "#A5AA99", "upstream_reset": PURPLE,
    "upstream_timeout": "#80BA5A", "client_timeout": BLUE, "bad_request": "#E73F74", "evicted": "#CF1C90",
    "unfinished": GREY,
}  # fmt: skip

HATCHES = {
    "app_error": "//", "queue_full": "\\\\", "shed": "-", "refused": "xx", "connect_failed": "||",
    "upstream_reset": "--", "upstream_timeout": "++", "client_timeout": "x", "evicted": "+",
    "bad_request": "|", "unfinished": "/",
}  # fmt: skip
"""Areas differ in hatching too, for those who see no colours, and for print."""

CURVE_POINTS = 400


def outcomes(axis: Any, evidence: Evidence) -> None:
    """Requests a second by outcome, stacked, at their planned time; and the attempts that were sent."""
    time, outcome = evidence.requests["time_ns"], evidence.requests["outcome"]
    bins, width = evidence.bins, evidence.width
    base = np.zeros(bins)
    x = np.arange(bins + 1) * width
    present = set(np.unique(outcome).tolist())
    for name in [name for name in OUTCOME_COLOURS if NAMES.index(name) in present]:
        tall = base + per_bin(time[outcome == NAMES.index(name)], None, bins, width)
        axis.fill_between(
            x, np.append(base, base[-1]), np.append(tall, tall[-1]), step="post", facecolor=OUTCOME_COLOURS[name],
            hatch=HATCHES.get(name), edgecolor=INK, linewidth=0, label=name.replace("_", " "),
        )  # fmt: skip
        base = tall
    attempts = per_bin(evidence.starts, None, bins, width)
    axis.step(
        x,
        np.append(attempts, attempts[-1:]),
        where="post",
        color=INK,
        linewidth=0.8,
        label="sent, with retries",
    )
    axis.set_ylabel("requests/s by outcome,\nat their planned time")
    counts(axis)
    legend(axis)


def latency(axis: Any, evidence: Evidence) -> None:
    """Percentiles of the latency of answered requests over time, and the latency objectives."""
    answered = evidence.requests["outcome"] == Outcome.OK
    time, values = evidence.requests["time_ns"][answered], evidence.requests["latency_ns"][answered]
    bins, width = evidence.bins, evidence.width
    found = percentiles_per_bin(time, values, bins, width, (0.5, 0.95, 0.99)) / 1e6
    styles = ((BLUE, "-", "p50"), (ORANGE, "--", "p95"), (RED, ":", "p99"))
    for row, (colour, style, label) in zip(found, styles, strict=True):
        axis.step(np.arange(bins) * width, row, style, where="post", color=colour, linewidth=1.2, label=label)
    for slo in evidence.fleet.slos:
        if slo.indicator.startswith("latency_p"):
            axis.hlines(
                slo.bound / 1e6, slo.start / SECOND, slo.end / SECOND, color=GREY, linewidth=1.4, linestyle="-." if slo.below else ":",
                label=f"{'below' if slo.below else 'above'}: {shortened(slo.name)}",
            )  # fmt: skip
    if (found > 0).any():
        logarithmic(axis)
    axis.set_ylabel("latency of answered\nrequests (ms)")
    legend(axis)


def distribution(axis: Any, evidence: Evidence) -> None:
    """The share of answered requests that took longer than x, by source, on logarithmic axes."""
    answered = evidence.requests["outcome"] == Outcome.OK
    drawn = 0
    for number, source in enumerate(evidence.fleet.sources):
        chosen = answered & (evidence.requests["source"] == number)
        if not source.ordinary or not chosen.any():
            continue
        x, share = exceedance(evidence.requests["latency_ns"][chosen])
        axis.plot(
            x / 1e6, share, STYLES[drawn % len(STYLES)], drawstyle="steps-post",
            color=SERIES[drawn % len(SERIES)], linewidth=1.3, label=shortened(source.name),
        )  # fmt: skip
        drawn += 1
    if not drawn:
        nothing(axis, "no request was answered")
        return
    for share, label in ((0.5, "p50"), (0.05, "p95"), (0.01, "p99"), (0.001, "p999")):
        axis.axhline(share, color=GREY, linewidth=0.6, linestyle=":")
        axis.annotate(
            label,
            (1, share),
            xycoords=("axes fraction", "data"),
            color=GREY,
            ha="right",
            va="bottom",
            fontsize=7,
        )
    logarithmic(axis, spell=lambda share: f"{plain(share * 100)}%")
    if axis.dataLim.x0 > 0:
        logarithmic(axis, "x")
    axis.set_ylim(top=1.2)
    axis.set_xlabel("latency of answered requests (ms)")
    axis.set_ylabel("share that took longer")
    legend(axis)


def exceedance(latency: Any) -> tuple[Any, Any]:
    """Values (ascending) and the share of *latency* above each, thinned to about CURVE_POINTS with the tail whole."""
    ordered = np.sort(latency)
    size = len(ordered)
    # Evenly spaced in the logarithm of the share that is left, which is what the axis shows.
    left = np.unique(np.geomspace(1, size, min(size, CURVE_POINTS)).astype(np.int64))[::-1]
    return np.append(ordered[size - left], ordered[-1]), np.append(left / size, left[-1] / size)


def shortened(name: str, most: int = 14) -> str:
    """*name*, cut to what a legend has room for, as matplotlib takes it literally."""
    cut = name if len(name) <= most else name[: most - 1] + "…"
    # A dollar would begin a formula, an underscore would hide the line from the legend.
    return (" " + cut if cut.startswith("_") else cut).replace("$", r"\$")
