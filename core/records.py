"""What is kept besides a run's columns: of each turn of the autoscaler a row of what was decided, and a row for each server that the policy saw; of each second what
servers and proxy said of themselves besides the metrics that all have.

Rows are tuples in the order of DECISIONS, OBSERVATIONS and MEASUREMENTS (JSON carries them from a live autoscaler to the conductor). Those of a turn hold all that the policy was
handed but its memory, so that :func:`view_of` gives another policy the same to look at. Times are ns, -1: never, or none.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from .policies.view import FleetView, ServerView
from .scaling_decision import Action, Decision, Drain, Launch, Promote, Terminate

TIME, COUNT, NUMBER, TEXT, FLAG = "time", "count", "number", "text", "flag"
"""Kinds of columns: int64 ns, int32, float64 or null, text, yes or no."""

DECISIONS: Final = (
    ("time_ns", TIME),
    ("serving", COUNT),
    ("booting", COUNT),
    ("standby", COUNT),
    ("draining", COUNT),
    ("minimum", COUNT),
    ("maximum", COUNT),
    ("last_action_ns", TIME),
    ("proposal", COUNT),
    ("proposal_reason", TEXT),
    ("blind", FLAG),
    ("figures", TEXT),
    ("proxy", TEXT),
    ("limits", TEXT),
    ("desired", COUNT),
    ("reason", TEXT),
    ("actions", TEXT),
    ("dry_run", FLAG),
    ("others", COUNT),
    ("launch_after_ns", TIME),
)

OBSERVATIONS: Final = (
    ("time_ns", TIME),
    ("server", TEXT),
    ("number", COUNT),
    ("state", TEXT),
    ("since_ns", TIME),
    ("sampled_ns", TIME),
    ("requests", NUMBER),
    ("memory", NUMBER),
    ("cpu", NUMBER),
    ("in_flight", NUMBER),
    ("custom", TEXT),
)

MEASUREMENTS: Final = (
    ("time_ns", TIME),
    ("server", COUNT),
    ("name", TEXT),
    ("value", NUMBER),
)

EVENT_LOOP_LAG, REGISTRY_LATENCY = "event_loop_lag", "registry_latency"
PROXY_MEASURES: Final = (EVENT_LOOP_LAG, REGISTRY_LATENCY)
"""Measurements of a flight's proxy (server 0), the worst of each second, in seconds."""

RECORDS: Final = {"decisions": DECISIONS, "observations": OBSERVATIONS, "measurements": MEASUREMENTS}
"""The tables, by name."""

METRICS: Final = ("requests", "memory", "cpu", "in_flight")
"""Metrics with a column of their own; all others are in ``custom``."""

SERVING, BOOTING = "serving", "booting"

_COUNTS_END: Final = [name for name, _ in DECISIONS].index("proposal_reason")

Row = Sequence[Any]
_PLACE = {table: {name: n for n, (name, _) in enumerate(columns)} for table, columns in RECORDS.items()}


def rows_of(now: int, decision: Decision, dry_run: bool) -> tuple[Row, list[Row]]:
    """The rows of what was decided at *now*."""
    view, proposal = decision.view, decision.proposal
    if view is None or proposal is None:
        counts = (-1,) * (_COUNTS_END - 1)
        return (now, *counts, "", False, "", "", "", -1, decision.reason, "", dry_run, -1, -1), []
    row = (
        now, len(view.servers), len(view.booting), view.standby, view.draining, view.minimum, view.maximum,
        view.last_action, proposal.desired, proposal.reason, proposal.blind, _text(proposal.figures),
        _text(view.proxy or {}), " ".join(decision.limits), decision.desired, decision.reason,
        actions_text(decision.actions), dry_run, view.others, view.launch_after,
    )  # fmt: skip
    seen = [_observation(now, server) for server in view.servers]
    boots: list[Row] = [
        (now, "", 0, BOOTING, since, -1, None, None, None, None, "") for since in view.booting
    ]
    return row, [*seen, *boots]


def _observation(now: int, server: ServerView) -> Row:
    said = server.metrics
    plain = [None] * len(METRICS) if said is None else [float(said[name]) for name in METRICS]
    custom = {} if said is None else {name: value for name, value in said.items() if name not in METRICS}
    return (now, server.address, server.number, SERVING, server.since, server.sampled, *plain, _text(custom))


def view_of(decision: Mapping[str, Any], observations: Sequence[Mapping[str, Any]]) -> FleetView | None:
    """What the policy saw, from rows as mappings; None of a turn that decided nothing."""
    if decision["desired"] < 0:
        return None
    servers = [
        ServerView(row["server"], _said(row), row["since_ns"], row["sampled_ns"], row["number"])
        for row in observations
        if row["state"] == SERVING
    ]
    booting = tuple(row["since_ns"] for row in observations if row["state"] == BOOTING)
    return FleetView(
        decision["time_ns"], tuple(servers), booting, decision["standby"], decision["last_action_ns"],
        decision["minimum"], decision["maximum"], decision["draining"], figures_of(decision["proxy"]) or None,
        decision["others"], decision["launch_after_ns"],
    )  # fmt: skip


def _said(row: Mapping[str, Any]) -> Mapping[str, float] | None:
    if row["requests"] is None:
        return None
    return {**{name: row[name] for name in METRICS}, **figures_of(row["custom"])}


def moved(table: str, row: Row, shift: Callable[[int], int]) -> Row:
    """*row* of *table* with *shift* applied to each time that is one."""
    kinds = RECORDS[table]
    return tuple(
        shift(value) if kind == TIME and (value >= 0 or name == "time_ns") else value
        for value, (name, kind) in zip(row, kinds, strict=True)
    )


def field(table: str, row: Row, name: str) -> Any:
    """The value in *row* of the column *name*."""
    return row[_PLACE[table][name]]


def actions_text(actions: Sequence[Action]) -> str:
    """``launch 2, terminate 3 (silent)``: how many of the like, or which server."""
    words = []
    for kind, alike in groupby(actions, type):
        same = list(alike)
        words += [f"{_VERBS[kind]} {len(same)}"] if kind in _VERBS else [_word(one) for one in same]
    return ", ".join(words)


_VERBS: Mapping[type, str] = {Launch: "launch", Promote: "promote"}


def _word(action: Action) -> str:
    match action:
        case Drain(number):
            return f"drain {number}"
        case Terminate(number, reason=reason):
            return f"terminate {number} ({reason})"
        case _:
            raise TypeError(f"{action!r}")


def figures_of(text: str) -> dict[str, float]:
    """The figures of a column of text."""
    found: dict[str, float] = json.loads(text) if text else {}
    return found


def _text(figures: Mapping[str, float]) -> str:
    return json.dumps(dict(sorted(figures.items())), separators=(",", ":")) if figures else ""
