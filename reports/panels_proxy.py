"""Panels about the proxy's limits and about what requests wait for behind the app servers."""

from typing import Any

import numpy as np

from ..core.lifecycle import State
from ..core.model import SECOND
from .drawing import BLUE, GREY, INK, ORANGE, RED, SERIES, counts, legend, logarithmic, nothing
from .evidence import Evidence
from .panels_traffic import shortened
from .stations import dependency_waits
from .summary import percentiles_per_bin


def connections(axis: Any, evidence: Evidence) -> None:
    """Client connections, descriptors and the accept queue of the proxy, and their limits."""
    proxy = evidence.fleet.proxy
    time, rows = _proxy_rows(evidence)
    if not len(time):
        nothing(axis, "no second was sampled")
        return
    for column, label, colour, style in (
        ("connections", "client connections", BLUE, "-"), ("descriptors", "descriptors in use", ORANGE, "--"),
        ("queued", "accept queue", RED, ":"),
    ):  # fmt: skip
        values = _most(evidence.metrics[column][rows], evidence.width)
        axis.plot(time[:: evidence.width], values, style, color=colour, linewidth=1.1, label=label)
    for limit, label, style in (
        (proxy.max_connections, "limit", "--"), (proxy.backlog, "backlog", ":"),
    ):  # fmt: skip
        if limit >= 0:
            axis.axhline(limit, color=GREY, linewidth=1.2, linestyle=style, label=f"{label}: {limit:,}")
    _down(axis, time, rows, evidence)
    axis.set_ylabel("connections\nof the proxy")
    counts(axis)
    legend(axis)


def memory_height(evidence: Evidence) -> float:
    """Inches for the proxy's memory: none where it is not modelled."""
    return 1.3 if evidence.metrics["memory"][_proxy_rows(evidence)[1]].any() else 0.0


def memory(axis: Any, evidence: Evidence) -> None:
    """Memory of the proxy against its total."""
    total = evidence.fleet.proxy.memory.total
    time, rows = _proxy_rows(evidence)
    axis.set_ylabel("memory of\nthe proxy (MiB)")
    values = evidence.metrics["memory"][rows] / 2**20
    axis.plot(
        time[:: evidence.width], _most(values, evidence.width), color=BLUE, linewidth=1.1, label="in use"
    )
    if total >= 0:
        axis.axhline(
            total / 2**20, color=GREY, linewidth=1.2, linestyle="--", label=f"total: {total / 2**20:,.0f} MiB"
        )
    _down(axis, time, rows, evidence)
    counts(axis)
    legend(axis)


def waits(axis: Any, evidence: Evidence) -> None:
    """Time from the end of a request's CPU to the end of its io and calls, by endpoint that calls dependencies."""
    found = dependency_waits(evidence)
    axis.set_ylabel("io and calls (ms)")
    if not found:
        nothing(axis, "no request called a dependency")
        return
    drawn = []
    for number, wait in enumerate(found[: len(SERIES)]):
        rows = percentiles_per_bin(wait.time, wait.waited, evidence.bins, evidence.width, (0.5, 0.99)) / 1e6
        drawn.append(rows)
        for values, share, style in zip(rows, ("p50", "p99"), ("-", ":"), strict=True):
            axis.step(
                np.arange(evidence.bins) * evidence.width, values, style, where="post",
                color=SERIES[number], linewidth=1.1, label=f"{shortened(wait.path, 12)} {share}",
            )  # fmt: skip
    # A hit in a cache takes no time, which a logarithmic axis could not show.
    if all(bool((rows[~np.isnan(rows)] > 0).all()) for rows in drawn):
        logarithmic(axis)
    else:
        axis.set_ylim(bottom=0)
    legend(axis)


def _proxy_rows(evidence: Evidence) -> tuple[Any, Any]:
    rows = np.flatnonzero(evidence.metrics["server"] == 0)
    return evidence.metrics["time_ns"][rows] / SECOND, rows


def _most(values: Any, width: int) -> Any:
    """The greatest of each *width* values."""
    return np.maximum.reduceat(values, np.arange(0, len(values), width)) if len(values) else values


def _down(axis: Any, time: Any, rows: Any, evidence: Evidence) -> None:
    """Shade the seconds in which the proxy was down."""
    down = evidence.metrics["state"][rows] == State.GONE
    if down.any():
        axis.fill_between(
            time - 0.5, 0, 1, where=down, transform=axis.get_xaxis_transform(), step="mid", facecolor="none", hatch="////",
            edgecolor=INK, linewidth=0, alpha=0.5, label="proxy down",
        )  # fmt: skip
