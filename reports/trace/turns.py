"""The turns of the autoscaler, as traces show them: what it saw, what it was asked for, what it decided on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..decision_log import DecisionLog, Row
from ..run import Run, RunError
from .spans import Note, Value

_PLAIN = (
    "serving", "booting", "standby", "draining", "minimum", "maximum", "proposal", "proposal_reason", "blind", "limits", "desired", "reason", "actions",
    "dry_run", "others",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn at *time* (ns): fields for attributes, what it decided on, what kept it from deciding, the samples that it saw as notes."""

    time: int
    fields: Mapping[str, Any]
    actions: tuple[str, ...]
    wrong: str
    notes: tuple[Note, ...]


def turns_of(run: Run) -> list[Turn]:
    """All turns of *run*'s autoscaler: from its record, or, of a run without one, from its log of decisions. What it saw of each server is told of turns that did something."""
    try:
        log = DecisionLog(run)
    except RunError:
        return [_from_event(event) for event in run.events if event["event"] == "decision"]
    return [_from_row(row, log.seen(turn) if row["actions"] else ()) for turn, row in enumerate(log.rows)]


def _from_row(row: Row, seen: Sequence[Row]) -> Turn:
    fields = {name: row[name] for name in _PLAIN if row[name] not in ("", None) and row[name] != -1}
    for column in ("figures", "proxy"):
        figures = json.loads(row[column]) if row[column] else {}
        fields |= {f"{column}.{name}": value for name, value in figures.items()}
    wrong = row["reason"] if row["desired"] < 0 else ""
    actions = tuple(part for part in row["actions"].split(", ") if part)
    return Turn(row["time_ns"], fields, actions, wrong, tuple(_sample(row["time_ns"], one) for one in seen))


def _from_event(event: Mapping[str, Any]) -> Turn:
    fields = {name: item for name, item in event.items() if name not in ("t", "event", "error")}
    return Turn(int(event["t"]), fields, (), str(event.get("error", "")), ())


def _sample(time: int, row: Row) -> Note:
    """What a turn saw of one server: its last sample, whose age tells when its monitor wrote it."""
    attributes: dict[str, Value] = {"windtunnel.state": row["state"]}
    if row["number"]:
        attributes["windtunnel.server"] = row["number"]
    if row["server"]:
        attributes["server.address"] = row["server"]
    for name in ("requests", "memory", "cpu", "in_flight"):
        if row[name] is not None:
            attributes[f"windtunnel.{name}"] = row[name]
    if row["sampled_ns"] >= 0:
        attributes["windtunnel.sample_age_ns"] = time - row["sampled_ns"]
    for name, value in (json.loads(row["custom"]) if row["custom"] else {}).items():
        attributes[f"windtunnel.custom.{name}"] = value
    return Note(time, "server seen", attributes)
