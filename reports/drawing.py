"""How figures look: colours, the sheet of panels, the time axis, legends, and how a figure becomes a file or part of a page.

Colours are Okabe and Ito's, which the colour-blind tell apart; lines differ in style and marks in shape too. Panels have fixed places,
so that nothing needs to be laid out twice. Text, axes and grid have colours of their own, which a page exchanges for those of its theme.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from .storage import writing

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE, GREY = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#888888",
)  # fmt: skip
INK, GRID = "#1b1f24", "#dcdfe3"

SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, INK, YELLOW)
STYLES = ("-", "--", "-.", ":")

WIDTH, LEFT, RIGHT, TOP, BOTTOM, GAP = 10.5, 0.95, 1.75, 0.14, 0.5, 0.26
"""Of a sheet, in inches: its width, its margins (legends stand in the right one), and the space between panels."""

_LOOK: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "windtunnel",
    "svg.fonttype": "none", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.axisbelow": True, "hatch.linewidth": 0.6,
}  # fmt: skip


@contextmanager
def look() -> Iterator[None]:
    """The settings under which sheets are made and saved."""
    with mpl.rc_context(_LOOK):
        yield


def sheet(heights: Sequence[float], title: str = "") -> tuple[Figure, list[Any]]:
    """A figure with a panel of each of *heights* (inches), one below the other."""
    top = TOP + (0.3 if title else 0.0)
    tall = top + sum(heights) + GAP * (len(heights) - 1) + BOTTOM
    figure = Figure(figsize=(WIDTH, tall), dpi=110)
    FigureCanvasAgg(figure)
    axes, place = [], tall - top
    for height in heights:
        place -= height
        box = (LEFT / WIDTH, place / tall, (WIDTH - LEFT - RIGHT) / WIDTH, height / tall)
        axes.append(figure.add_axes(box))
        place -= GAP
    if title:
        figure.text(0.01, 1 - 0.12 / tall, title, fontsize=12, fontweight="bold", va="top")
    return figure, axes


def time_axis(axes: Sequence[Any], seconds: float) -> None:
    """Give all of *axes* the run's time (seconds) as x; only the last says so."""
    for axis in axes:
        axis.set_xlim(0, seconds)
        axis.xaxis.set_major_locator(MultipleLocator(_tick_seconds(seconds)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
        axis.grid(axis="x", color=GRID, linewidth=0.6)
        if axis is not axes[-1]:
            axis.tick_params(labelbottom=False)
    axes[-1].set_xlabel("time since the start of the scenario")


def _tick_seconds(seconds: float) -> int:
    """A round step that gives at most a dozen ticks."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    return next((step for step in steps if seconds / step <= 12), 7 * 86400)


def clock(seconds: float) -> str:
    """``1:05`` or ``2:01:05``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def counts(axis: Any) -> None:
    """The y axis counts something, from 0."""
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def plain(value: float) -> str:
    """``2,000``, ``0.5``: never a power of ten."""
    return f"{value:,.0f}" if value >= 1 else f"{value:.12f}".rstrip("0").rstrip(".")


def logarithmic(axis: Any, which: str = "y", spell: Callable[[float], str] = plain) -> None:
    """A logarithmic axis with numbers on it as *spell* writes them."""
    getattr(axis, f"set_{which}scale")("log")
    ticks = axis.yaxis if which == "y" else axis.xaxis
    ticks.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: spell(value)))
    ticks.set_minor_formatter(NullFormatter())


def legend(axis: Any) -> None:
    """The legend, right of the panel."""
    labels = axis.get_legend_handles_labels()[1]
    if labels:
        small = {"labelspacing": 0.25, "fontsize": 7} if len(labels) > 8 else {"fontsize": 8}
        axis.legend(loc="upper left", bbox_to_anchor=(1.005, 1.04), frameon=False, handlelength=1.8, **small)


def nothing(axis: Any, text: str) -> None:
    """A panel without data says so."""
    axis.set_yticks([])
    axis.annotate(text, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color=GREY)


def save(figure: Figure, path: Path) -> None:
    """Write *figure* as PNG, SVG or PDF, by the suffix of *path*; the same figure gives the same bytes."""
    facts = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None},
    }
    with writing(path, remove=path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata=facts.get(path.suffix))


_PROLOG = re.compile(r"\A.*?(?=<svg)", re.DOTALL)
_NAMESPACES = re.compile(r' xmlns(?::xlink)?="[^"]*"| version="1.1"')
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_SIZE = re.compile(
    r'(<svg[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"|(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"'
)
_TAG = re.compile(r"<[^>]*>")
_FINE = re.compile(r"(\d\.\d\d)\d+")
_IDS = re.compile(r'(\bid="|url\(#|href="#)')
_UNUSED = re.compile(r'(<g) id="[A-Za-z]+[A-Za-z0-9_.]*_\d+"')
_STYLE = re.compile(
    r"<defs>\s*<style.*?</style>\s*</defs>\s*|font-family: [^;\"]*(?:;|(?=\"))|rotate\(-0[^)]*\)", re.DOTALL
)
"""A style sheet would be the whole page's, and so would be its choice of fonts."""


def inline_svg(figure: Figure, name: str) -> str:
    """*figure* as an SVG element for a page: no address in it, its ids begin with *name*, its ink and grid are the page's."""
    buffer = io.StringIO()
    figure.patch.set_visible(False)
    for axis in figure.axes:
        axis.patch.set_visible(False)
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = _PROLOG.sub("", buffer.getvalue(), count=1)
    text = _STYLE.sub("", _COMMENT.sub("", _NAMESPACES.sub("", text)))
    text = _SIZE.sub(lambda match: "".join(part or "" for part in match.groups()), text, count=1)
    text = _UNUSED.sub(r"\1", text)
    # Hundredths of a point are enough for places; labels stand between tags.
    text = _TAG.sub(lambda match: _FINE.sub(r"\1", match.group()), text)
    text = _IDS.sub(lambda match: f"{match.group(1)}{name}-", text)
    return text.replace(INK, "var(--ink)").replace(GRID, "var(--grid)").strip()
