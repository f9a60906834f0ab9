"""Finished rows leave the kernel, in order but for stragglers."""

import numpy as np

from ...core.columns import Rows, opaque
from ...core.ports import Sink
from ..rows import order_of, picked
from .begin import LATE, WIDEST_WINDOW, with_window
from .layout import World


def nearly_full(w: World) -> bool:
    """Whether it is time to hand over."""
    state = w.state[0]
    late = max(state["late_requests"], state["late_attempts"])
    return bool(late >= LATE or state["rows"] - state["window_from"] >= len(w.window_requests) // 2)


def hand_over(w: World, sink: Sink) -> World:
    """All rows below the first one that is not finished go to the sink; the world afterwards.

    The window is made wider when that one holds up half of it; at its widest, all rows that are finished go, and the rest will be late.
    """
    state = w.state[0]
    first = int(state["window_from"])
    begun = int(state["rows"]) - first
    live = w.requests["row"][w.requests["live"] == 1] - first
    ready = int(live[live >= 0].min(initial=begun))
    late_requests = w.late_requests[: state["late_requests"]]
    late_attempts = w.late_attempts[: state["late_attempts"]]
    held_up = begun - ready >= len(w.window_requests) // 2
    widest = len(w.window_requests) >= WIDEST_WINDOW
    everything = held_up and widest
    ready = begun if everything else ready
    requests, window_requests = _cut(w.window_requests, ready, begun)
    attempts, window_attempts = _cut(w.window_attempts, ready, begun)
    if everything:
        requests, attempts = requests[requests["outcome"] > 0], attempts[attempts["outcome"] > 0]
    now = late_attempts["request"] < first + ready
    sink.rows(_merged(requests, late_requests), _merged(attempts, late_attempts[now]))
    later = late_attempts[~now]
    w.late_attempts[: len(later)] = later
    state["late_requests"], state["late_attempts"] = 0, len(later)
    w = w._replace(window_requests=window_requests, window_attempts=window_attempts)
    state["window_from"] = first + ready
    state["budget"] = 0
    return with_window(w) if held_up and not widest else w


def _cut(window: Rows, ready: int, begun: int) -> tuple[Rows, Rows]:
    """The first *ready* of *begun* rows, to keep, and a window that begins behind them; many rows leave with their window, uncopied."""
    if ready >= len(window) // 4:
        fresh = np.zeros(len(window), window.dtype)
        opaque(fresh)[: begun - ready] = opaque(window)[ready:begun]
        return window[:ready], fresh
    rows = _copy(window[:ready])
    window[: begun - ready] = _copy(window[ready:begun])
    window["outcome"][begun - ready : begun] = 0
    return rows, window


def _merged(rows: Rows, late: Rows) -> Rows:
    """Both by request and attempt."""
    if not len(late):
        return rows
    whole = np.concatenate((rows, late))
    return picked(whole, order_of(whole))


def _copy(rows: Rows) -> Rows:
    return opaque(rows).copy().view(rows.dtype)
