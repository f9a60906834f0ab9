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
    if not (held_up and widest):
        requests, attempts = w.window_requests[:ready], w.window_attempts[:ready]
    else:
        ready = begun
        requests, attempts = w.window_requests[:begun], w.window_attempts[:begun]
        requests, attempts = requests[requests["outcome"] > 0], attempts[attempts["outcome"] > 0]
    now = late_attempts["request"] < first + ready
    sink.rows(_merged(requests, late_requests), _merged(attempts, late_attempts[now]))
    later = late_attempts[~now]
    w.late_attempts[: len(later)] = later
    state["late_requests"], state["late_attempts"] = 0, len(later)
    for rows in (w.window_requests, w.window_attempts):
        rows[: begun - ready] = _copy(rows[ready:begun])
        rows["outcome"][begun - ready : begun] = 0
    state["window_from"] = first + ready
    state["budget"] = 0
    return with_window(w) if held_up and not widest else w


def _merged(rows: Rows, late: Rows) -> Rows:
    """Both by request and attempt, as a copy."""
    if not len(late):
        return _copy(rows)
    whole = np.concatenate((rows, late))
    return picked(whole, order_of(whole))


def _copy(rows: Rows) -> Rows:
    return opaque(rows).copy().view(rows.dtype)
