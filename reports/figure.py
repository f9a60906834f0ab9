"""One figure of a run: load beside outcomes, latency, fleet, load per server, memory, what happened; one time axis.

Colours are Okabe and Ito's, which the colour-blind tell apart; lines differ in style too.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullFormatter

from ..core.model import SECOND, FleetSpec
from ..core.outcomes import NAMES
from .run import Run
from .storage import writing
from .summary import per_bin, percentiles_per_bin, serving_sizes
from .tables import STATES, codes, numbers

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE, GREY = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#888888",
)  # fmt: skip

OUTCOME_COLOURS = {
    "ok": GREEN, "unread": SKY, "app_error": RED, "no_server": "#000000", "queue_full": ORANGE,
    "shed": YELLOW, "refused": "#7F3C8D", "connect_failed": "#A5AA99", "upstream_reset": PURPLE,
    "upstream_timeout": "#80BA5A", "client_timeout": BLUE, "bad_request": "#E73F74", "evicted": "#CF1C90",
    "unfinished": GREY,
}  # fmt: skip

MARKS = {
    "fault": (RED, "fault"),
    "killed": (RED, "fault"),
    "out_of_memory": (RED, "out of memory"),
    "proxy_down": (RED, "proxy down"),
    "proxy_up": (GREEN, "proxy up"),
    "launched": (BLUE, "launch"),
    "promoted": (BLUE, "promote"),
    "ready": (GREEN, "ready"),
    "draining": (ORANGE, "drain"),
    "terminated": ("#000000", "terminate"),
    "boot_failed": (RED, "boot failed"),
    "launch_refused": (RED, "launch refused"),
    "ejected": (PURPLE, "eject"),
    "unhealthy": (PURPLE, "unhealthy"),
    "breaker_opened": (YELLOW, "breaker"),
    "registry_unreachable": (RED, "registry away"),
}

MOST_POINTS = 1200
"""A curve has at most so many points, about one per pixel: in longer runs each stands for several seconds."""

MANY_SERVERS = 12
"""Above this, servers are drawn as a band (least, median, most) rather than a line each."""


def draw_figure(run: Run, fleet: FleetSpec, path: Path) -> None:
    """Draw *run* to *path* (PNG, SVG or PDF by its suffix)."""
    seconds = max(int(np.ceil(run.summary["end_ns"] / SECOND)), 1)
    with mpl.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "windtunnel"}
    ):
        figure = Figure(figsize=(11, 14), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(6, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 2, 1.4, 1.6, 1.4, 1.5]})
        width = -(-seconds // MOST_POINTS)
        bins = -(-seconds // width)
        _outcomes(axes[0], run, bins, width)
        _latency(axes[1], run, fleet, bins, width)
        _sizes(axes[2], run, width)
        _per_server(axes[3], run, "requests", "requests/s per server", _request_marks(fleet), width)
        _memory(axes[4], run, fleet, width)
        _happenings(axes[5], run)
        for axis in axes:
            axis.grid(axis="x", color="#dddddd", linewidth=0.6)
            axis.set_axisbelow(True)
        axes[-1].set_xlim(0, seconds)
        axes[-1].set_xlabel("time since the start of the scenario")
        axes[-1].xaxis.set_major_locator(MultipleLocator(_tick_seconds(seconds)))
        axes[-1].xaxis.set_major_formatter(FuncFormatter(_clock))
        verdict = "passed" if run.passed else "violated: " + ", ".join(
            slo["name"] for slo in run.summary["slo"] if not slo["held"]
        )  # fmt: skip
        figure.suptitle(
            f"{fleet.name}, seed {fleet.seed}: {verdict}", fontsize=12, fontweight="bold", x=0.01, ha="left"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        # Laid out here, savefig need not draw everything twice.
        figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]
        figure.set_layout_engine("none")
        with writing(path, remove=path):
            figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)


def _tick_seconds(seconds: int) -> int:
    """A round step that gives at most a dozen ticks."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    return next((step for step in steps if seconds / step <= 12), 7 * 86400)


def _clock(value: float, _: Any) -> str:
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _outcomes(axis: Any, run: Run, bins: int, width: int) -> None:
    requests = run.table("requests", ("time_ns", "outcome"))
    time = numbers(requests, "time_ns")
    outcome = codes(requests, "outcome", NAMES)
    base = np.zeros(bins)
    x = np.arange(bins) * width
    order = [n for n in OUTCOME_COLOURS if NAMES.index(n) in set(np.unique(outcome).tolist())]
    for name in order:
        counts = per_bin(time[outcome == NAMES.index(name)], None, bins, width)
        axis.fill_between(
            x, base, base + counts, step="post", color=OUTCOME_COLOURS[name], linewidth=0,
            label=name.replace("_", " "),
        )  # fmt: skip
        base = base + counts
    attempts = per_bin(numbers(run.table("attempts", ("start_ns",)), "start_ns"), None, bins, width)
    axis.step(x, attempts, where="post", color="#000000", linewidth=0.8, label="sent, with retries")
    axis.set_ylabel("requests/s by outcome,\nat their planned time")
    axis.set_ylim(bottom=0)
    _legend(axis)


def _latency(axis: Any, run: Run, fleet: FleetSpec, bins: int, width: int) -> None:
    requests = run.table("requests", ("time_ns", "latency_ns", "outcome"))
    answered = codes(requests, "outcome", NAMES) == NAMES.index("ok")
    time = numbers(requests, "time_ns")[answered]
    latency = numbers(requests, "latency_ns")[answered]
    found = percentiles_per_bin(time, latency, bins, width, (0.5, 0.95, 0.99)) / 1e6
    styles = ((BLUE, "-", "p50"), (ORANGE, "--", "p95"), (RED, ":", "p99"))
    for values, (colour, style, label) in zip(found, styles, strict=True):
        axis.step(
            np.arange(bins) * width, values, style, where="post", color=colour, linewidth=1.2, label=label
        )
    for slo in fleet.slos:
        if slo.indicator.startswith("latency_p") and slo.below:
            axis.hlines(
                slo.bound / 1e6, slo.start / SECOND, slo.end / SECOND, color=GREY, linewidth=1,
                label=f"objective {slo.name}",
            )  # fmt: skip
    if (found > 0).any():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_ylabel("latency of answered\nrequests (ms)")
    _legend(axis)


def _sizes(axis: Any, run: Run, width: int) -> None:
    metrics = run.metrics
    time = np.unique(numbers(metrics, "time_ns")) / SECOND
    if not len(time):
        return
    state = codes(metrics, "state", STATES)
    every = numbers(metrics, "time_ns") / SECOND
    server = numbers(metrics, "server") > 0
    axis.step(
        time[::width],
        serving_sizes(metrics)[::width],
        where="post",
        color=GREEN,
        linewidth=1.6,
        label="serving",
    )
    styles = (
        ("pending", GREY, "--"),
        ("booting", BLUE, "--"),
        ("standby", SKY, "-."),
        ("draining", ORANGE, ":"),
        ("failed", RED, ":"),
    )
    for name, colour, style in styles:
        chosen = (state == STATES.index(name)) & server
        if chosen.any():
            counts = np.bincount(np.searchsorted(time, every[chosen]), minlength=len(time))
            axis.step(
                time[::width], counts[::width], style, where="post", color=colour, linewidth=1.2, label=name
            )
    axis.set_ylim(bottom=0)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("servers")
    _legend(axis)


def _request_marks(fleet: FleetSpec) -> list[tuple[float, str]]:
    if fleet.autoscaler is None:
        return []
    policy = fleet.autoscaler.policy
    marks = [(policy.requests_high, "high"), (policy.requests_low, "low")]
    if policy.policy == "target_tracking" and policy.metric == "requests":
        marks = [(policy.target, "target")]
    return [(value, label) for value, label in marks if value >= 0]


def _per_server(
    axis: Any, run: Run, column: str, label: str, marks: list[tuple[float, str]], width: int
) -> None:
    metrics = run.metrics
    server = numbers(metrics, "server")
    time = numbers(metrics, "time_ns") / SECOND
    alive = np.isin(codes(metrics, "state", STATES), (2, 3, 4, 5)) & (server > 0)
    values = numbers(metrics, column)
    _lines(axis, time[alive], server[alive], values[alive], width)
    for value, text in marks:
        axis.axhline(value, color=GREY, linewidth=1, linestyle="--")
        axis.annotate(
            text, (1, value), xycoords=("axes fraction", "data"), color=GREY, ha="right", va="bottom"
        )
    axis.set_ylim(bottom=0)
    axis.set_ylabel(label)


def _lines(axis: Any, time: Any, server: Any, values: Any, width: int) -> None:
    """A line per server, or a band if there are many; a point is the mean over *width* seconds."""
    servers, position = np.unique(server, return_inverse=True)
    bins, place = np.unique((time - 1) // width, return_inverse=True)
    cells, cell = np.unique(place * len(servers) + position, return_inverse=True)
    means = np.bincount(cell, weights=values) / np.bincount(cell)
    moments, owners = bins[cells // len(servers)] * width + 1, cells % len(servers)
    colours = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#000000", YELLOW)
    if len(servers) <= MANY_SERVERS:
        for number, name in enumerate(servers):
            chosen = owners == number
            style = "-" if number < len(colours) else "--"
            axis.plot(
                moments[chosen], means[chosen], style, color=colours[number % len(colours)],
                linewidth=0.9, label=f"server {name}",
            )  # fmt: skip
        _legend(axis)
        return
    edges = np.flatnonzero(np.diff(moments, prepend=-1))
    band = np.array([np.percentile(part, (0, 50, 100)) for part in np.split(means, edges[1:])])
    axis.fill_between(
        moments[edges], band[:, 0], band[:, 2], color=SKY, alpha=0.5, linewidth=0, label="least to most"
    )
    axis.plot(moments[edges], band[:, 1], color=BLUE, linewidth=1, label=f"median of {len(servers)} servers")
    _legend(axis)


def _memory(axis: Any, run: Run, fleet: FleetSpec, width: int) -> None:
    metrics = run.metrics
    server = numbers(metrics, "server")
    time = numbers(metrics, "time_ns") / SECOND
    total = fleet.app.memory.total
    scale, unit = (total / 100, "% of total") if total > 0 else (2**20, "MiB")
    alive = np.isin(codes(metrics, "state", STATES), (2, 3, 4, 5)) & (server > 0)
    memory = numbers(metrics, "memory")
    axis.set_ylabel(f"memory per server\n({unit})")
    if not memory[alive].any():
        axis.set_yticks([])
        axis.annotate("not modelled", (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY)
        return
    _lines(axis, time[alive], server[alive], memory[alive] / scale, width)
    if total > 0 and fleet.autoscaler and fleet.autoscaler.policy.memory_high >= 0:
        axis.axhline(fleet.autoscaler.policy.memory_high * 100, color=GREY, linewidth=1, linestyle="--")
    axis.set_ylim(bottom=0)


def _happenings(axis: Any, run: Run) -> None:
    """A row per kind of event; faults also as lines through every panel above."""
    rows: dict[str, tuple[str, list[float]]] = {}
    for event in run.events:
        if event["event"] in MARKS and not (event["event"] in ("launched", "ready") and event["t"] == 0):
            colour, label = MARKS[event["event"]]
            rows.setdefault(label, (colour, []))[1].append(event["t"] / SECOND)
    for position, (label, (colour, times)) in enumerate(rows.items()):
        axis.scatter(times, [position] * len(times), marker="|", s=90, color=colour, linewidths=1.4)
        if label in ("fault", "proxy down"):
            for other in axis.figure.axes:
                for time in times:
                    other.axvline(time, color=RED, linewidth=0.8, alpha=0.6)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(-0.7, max(len(rows), 1) - 0.3)
    axis.invert_yaxis()
    axis.set_ylabel("faults and decisions")
    if not rows:
        axis.annotate("nothing happened", (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY)


def _legend(axis: Any) -> None:
    if axis.get_legend_handles_labels()[1]:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
