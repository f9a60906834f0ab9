"""Panels about servers: their lives, how many there are, and what each carries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..core.lifecycle import State
from ..core.model import SECOND
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
    nothing,
)  # fmt: skip
from .evidence import ALIVE, Evidence
from .lifelines import PHASES, populations
from .summary import serving_sizes

MANY_SERVERS = 12
"""Above this, what servers carry is a heat map rather than a line each."""

MANY_LIVES = 60
"""Above this, lives are areas of how many are in which phase rather than a line each."""

PHASE_LOOKS = {
    "pending": ("#BBBBBB", ""), "booting": (SKY, "//"), "serving": (GREEN, ""), "canary": (BLUE, "++"),
    "standby": (PURPLE, "--"), "draining": (ORANGE, "\\\\"), "updating": (YELLOW, ".."), "failed": (RED, "xx"),
}  # fmt: skip


def life_height(evidence: Evidence) -> float:
    """Inches that the life-lines need."""
    lives = len(evidence.lives)
    return 2.6 if lives > MANY_LIVES else max(0.9, 0.3 + 0.16 * lives)


def lives(axis: Any, evidence: Evidence) -> None:
    """A line per instance through its phases; areas of how many are in each phase when there are many."""
    if not evidence.lives:
        nothing(axis, "no instance was launched")
    elif len(evidence.lives) > MANY_LIVES:
        _areas(axis, evidence)
    else:
        _bars(axis, evidence)


def _bars(axis: Any, evidence: Evidence) -> None:
    places = {life.server: row for row, life in enumerate(evidence.lives)}
    for phase in PHASES:
        colour, hatch = PHASE_LOOKS[phase]
        spans = [
            (places[life.server], start / SECOND, (stop - start) / SECOND)
            for life in evidence.lives
            for name, start, stop in life.phases
            if name == phase
        ]
        if spans:
            rows, starts, lengths = zip(*spans, strict=True)
            axis.barh(
                rows, lengths, left=starts, height=0.62, facecolor=colour, hatch=hatch, edgecolor=INK, linewidth=0,
                label=phase,
            )  # fmt: skip
    deaths = [(time / SECOND, places[life.server]) for life in evidence.lives for time, _ in life.deaths]
    if deaths:
        axis.scatter(
            *zip(*deaths, strict=True), marker="X", s=38, color=INK, zorder=3, label="killed or failed"
        )
    gone = [(life.gone / SECOND, places[life.server]) for life in evidence.lives if life.gone >= 0]
    if gone:
        axis.scatter(*zip(*gone, strict=True), marker="|", s=60, color=INK, zorder=3, label="gone")
    size = len(places)
    step = max(1, size // 20)
    axis.set_yticks(range(0, size, step), [str(life.server) for life in evidence.lives[::step]])
    axis.set_ylim(size - 0.4, -0.6)
    axis.set_ylabel("instance")
    legend(axis)


def _areas(axis: Any, evidence: Evidence) -> None:
    """Stacked from the bottom: serving first, so that its edge is the number of servers that answer."""
    found = populations(evidence.lives, evidence.seconds, evidence.width)
    base = np.zeros(evidence.bins)
    x = np.arange(evidence.bins + 1) * evidence.width
    for phase in ("serving", "canary", "standby", "draining", "updating", "booting", "pending", "failed"):
        if not found[phase].any():
            continue
        colour, hatch = PHASE_LOOKS[phase]
        tall = base + found[phase]
        axis.fill_between(
            x, np.append(base, base[-1]), np.append(tall, tall[-1]), step="post", facecolor=colour, hatch=hatch,
            edgecolor=INK, linewidth=0, label=phase,
        )  # fmt: skip
        base = tall
    deaths = [time / SECOND for life in evidence.lives for time, _ in life.deaths]
    if deaths:
        axis.scatter(
            deaths,
            [0.0] * len(deaths),
            marker="X",
            s=38,
            color=INK,
            zorder=3,
            clip_on=False,
            label="killed or failed",
        )
    axis.set_ylabel(f"instances\n({len(evidence.lives):,} in all)")
    counts(axis)
    legend(axis)


def sizes(axis: Any, evidence: Evidence) -> None:
    """How many servers are in which state, each second."""
    metrics, width = evidence.metrics, evidence.width
    time = np.unique(metrics["time_ns"]) / SECOND
    if not len(time):
        nothing(axis, "no second was sampled")
        return
    serving = serving_sizes(evidence.run.metrics)[::width]
    axis.step(time[::width], serving, where="post", color=GREEN, linewidth=1.6, label="serving")
    styles = (
        (State.PENDING, GREY, "--"), (State.BOOTING, BLUE, "--"), (State.STANDBY, SKY, "-."),
        (State.DRAINING, ORANGE, ":"), (State.UPDATING, PURPLE, "-."), (State.FAILED, RED, ":"),
    )  # fmt: skip
    for state, colour, style in styles:
        chosen = evidence.in_states((state,))
        if chosen.any():
            places = np.searchsorted(time, metrics["time_ns"][chosen] / SECOND)
            many = np.bincount(places, minlength=len(time))[::width]
            axis.step(time[::width], many, style, where="post", color=colour, linewidth=1.2, label=state.word)
    axis.set_ylabel("servers")
    counts(axis)
    legend(axis)


def paid(axis: Any, evidence: Evidence) -> None:
    """Instances that are paid for, and those of them that serve."""
    found = populations(evidence.lives, evidence.seconds, evidence.width)
    x = np.arange(evidence.bins + 1) * evidence.width
    serving = found["serving"] + found["canary"]
    every = sum(found.values())
    axis.fill_between(
        x, np.append(every, every[-1]), step="post", facecolor=SKY, alpha=0.45, linewidth=0, label="paid for"
    )
    axis.step(x, np.append(serving, serving[-1]), where="post", color=GREEN, linewidth=1.6, label="serving")
    axis.set_ylabel("instances")
    counts(axis)
    legend(axis)


def load(axis: Any, evidence: Evidence) -> None:
    """Requests a second of each server, and the scaling policy's marks."""
    _per_server(
        axis,
        evidence,
        evidence.metrics["requests"].astype(float),
        "requests/s\nper server",
        _request_marks(evidence),
    )


def cpu(axis: Any, evidence: Evidence) -> None:
    """CPU time used by each server, as a share of its cores."""
    share = evidence.metrics["cpu_ns"] / (SECOND * evidence.fleet.app.cores) * 100
    _per_server(axis, evidence, share, "CPU per server\n(% of its cores)", ())


def memory_height(evidence: Evidence) -> float:
    """Inches for the servers' memory: none where it is not modelled."""
    return 1.4 if evidence.metrics["memory"][evidence.in_states(ALIVE)].any() else 0.0


def memory(axis: Any, evidence: Evidence) -> None:
    """Memory of each server, of its total if it has one."""
    total, scaler = evidence.fleet.app.memory.total, evidence.fleet.autoscaler
    scale, unit = (total / 100, "% of total") if total > 0 else (2**20, "MiB")
    values = evidence.metrics["memory"] / scale
    marks: list[tuple[float, str]] = []
    if total > 0 and scaler:
        marks = [(share * 100, label) for share, label in scaler.policy.marks("memory")]
    _per_server(axis, evidence, values, f"memory per server\n({unit})", marks)


def _request_marks(evidence: Evidence) -> list[tuple[float, str]]:
    if evidence.fleet.autoscaler is None:
        return []
    return list(evidence.fleet.autoscaler.policy.marks("requests"))


def _per_server(
    axis: Any, evidence: Evidence, values: Any, label: str, marks: Sequence[tuple[float, str]]
) -> None:
    chosen = evidence.in_states(ALIVE)
    time, server, values = (
        evidence.metrics["time_ns"][chosen],
        evidence.metrics["server"][chosen],
        values[chosen],
    )
    axis.set_ylabel(label)
    if not len(server):
        nothing(axis, "no server was there")
        return
    table, servers = by_server(time, server, values, evidence.bins, evidence.width)
    if len(servers) > MANY_SERVERS:
        _heat(axis, evidence, table, servers, label)
        return
    _lines(axis, evidence, table, servers)
    for value, text in marks:
        axis.axhline(value, color=GREY, linewidth=1, linestyle="--")
        place = "top" if text == "low" else "bottom"
        axis.annotate(
            text,
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2 if place == "bottom" else -2),
            textcoords="offset points",
            color=GREY,
            ha="right",
            va=place,
            fontsize=8,
        )
    counts(axis)
    axis.set_ylim(0, max(axis.get_ylim()[1], *(1.12 * value for value, _ in marks), 0))


def by_server(time: Any, server: Any, values: Any, bins: int, width: int) -> tuple[Any, Any]:
    """Means by server (rows) and bin of *width* seconds (columns), NaN where a server is not; and the servers."""
    servers, row = np.unique(server, return_inverse=True)
    # A sample at second n is of the second before it.
    column = ((time // SECOND - 1) // width).clip(0, bins - 1)
    cell = row * bins + column
    many = np.bincount(cell, minlength=len(servers) * bins)
    total = np.bincount(cell, weights=values, minlength=len(servers) * bins)
    with np.errstate(invalid="ignore"):
        return (total / np.where(many, many, np.nan)).reshape(len(servers), bins), servers


def _lines(axis: Any, evidence: Evidence, table: Any, servers: Any) -> None:
    x = (np.arange(evidence.bins) + 0.5) * evidence.width
    for row, name in enumerate(servers):
        axis.plot(
            x, table[row], STYLES[row % len(STYLES)], color=SERIES[row % len(SERIES)], linewidth=0.9,
            label=f"server {name}",
        )  # fmt: skip
    legend(axis)


def _heat(axis: Any, evidence: Evidence, table: Any, servers: Any, label: str) -> None:
    """A row per instance number, a colour for the value; numbers that were never granted stay empty."""
    numbered = np.full((servers[-1] - servers[0] + 1, table.shape[1]), np.nan)
    numbered[np.asarray(servers) - servers[0]] = table
    image = axis.imshow(
        numbered, aspect="auto", interpolation="nearest", cmap="cividis", vmin=0,
        extent=(0, evidence.bins * evidence.width, servers[-1] + 0.5, servers[0] - 0.5),
    )  # fmt: skip
    box = axis.get_position()
    bar = axis.figure.add_axes((box.x1 + 0.012, box.y0, 0.012, box.height))
    axis.figure.colorbar(image, cax=bar)
    bar.tick_params(labelsize=8)
    bar.set_ylabel(label, fontsize=8)
    axis.set_ylabel("instance")
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))
