"""Panels of what is measured besides the metrics that all have: custom metrics of servers, and in flight the proxy's event loop and the registry."""

from functools import partial
from typing import Any

import numpy as np

from ..core.model import SECOND
from ..core.records import EVENT_LOOP_LAG, PROXY_MEASURES, REGISTRY_LATENCY
from .drawing import BLUE, GREY, ORANGE, legend
from .evidence import Evidence

MOST = 6
"""So many custom metrics have a panel, those that the scenario declares first."""

_HEIGHT = 1.3


def custom_names(evidence: Evidence) -> list[str]:
    """The custom metrics that were measured: declared ones first, then by name."""
    declared = evidence.fleet.app.declared
    found = set(evidence.measured) - set(PROXY_MEASURES)
    return sorted(found, key=lambda name: (name not in declared, name))


def custom_height(place: int, evidence: Evidence) -> float:
    """Inches for the custom metric at *place*, if there is one."""
    return _HEIGHT if place < len(custom_names(evidence)) else 0.0


def custom(place: int, axis: Any, evidence: Evidence) -> None:
    """The custom metric at *place*: its mean over servers, and the least and the greatest."""
    names = custom_names(evidence)
    name = names[place]
    time, _, values = evidence.measured[name]
    middle, low, high = by_bin(time, values, evidence.bins, evidence.width)
    x = (np.arange(evidence.bins) + 0.5) * evidence.width
    axis.fill_between(x, low, high, color=GREY, alpha=0.35, linewidth=0, label="least to greatest")
    axis.plot(x, middle, color=BLUE, linewidth=1.1, label="mean of servers")
    axis.set_ylabel(name.replace("$", r"\$"))
    if place == MOST - 1 and len(names) > MOST:
        axis.annotate(
            f"{len(names) - MOST} more are in measurements.parquet", (1, 1), xycoords="axes fraction", ha="right", va="bottom",
            fontsize=7, color=GREY,
        )  # fmt: skip
    legend(axis)


CUSTOM = [(partial(custom, place), partial(custom_height, place)) for place in range(MOST)]
"""Panels with their heights."""


def delays_height(evidence: Evidence) -> float:
    """Inches for the proxy's delays: none in a rehearsal, where nothing of the kind is."""
    return _HEIGHT if set(PROXY_MEASURES) & set(evidence.measured) else 0.0


def delays(axis: Any, evidence: Evidence) -> None:
    """The worst lateness of the proxy's event loop, and its longest call of the registry, in each second."""
    x = (np.arange(evidence.bins) + 0.5) * evidence.width
    for name, label, colour, style in (
        (EVENT_LOOP_LAG, "event loop lag", BLUE, "-"), (REGISTRY_LATENCY, "registry call", ORANGE, "--"),
    ):  # fmt: skip
        if name in evidence.measured:
            time, _, values = evidence.measured[name]
            axis.plot(
                x, 1000 * by_bin(time, values, evidence.bins, evidence.width)[2], style, color=colour, linewidth=1.0,
                label=label,
            )  # fmt: skip
    axis.set_ylabel("worst in a\nsecond (ms)")
    axis.set_ylim(bottom=0)
    legend(axis)


def by_bin(time: Any, values: Any, bins: int, width: int) -> tuple[Any, Any, Any]:
    """Mean, least and greatest of *values* in each bin of *width* seconds, NaN where there are none."""
    # A sample at second n is of the second before it.
    column = ((time // SECOND - 1) // width).clip(0, bins - 1)
    many = np.bincount(column, minlength=bins).astype(float)
    low, high = np.full(bins, np.inf), np.full(bins, -np.inf)
    np.minimum.at(low, column, values)
    np.maximum.at(high, column, values)
    empty = many == 0
    many[empty] = np.nan
    low[empty] = high[empty] = np.nan
    return np.bincount(column, weights=values, minlength=bins) / many, low, high
