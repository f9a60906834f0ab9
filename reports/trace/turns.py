"""The turns of the autoscaler, as traces show them: what it saw, what it was asked for, what it decided on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.trace.turns import fields_of, seen_by, wrong_with
from ..decision_log import DecisionLog, Row
from ..run import Run, RunError
from .spans import Note


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
    actions = tuple(part for part in row["actions"].split(", ") if part)
    return Turn(row["time_ns"], fields_of(row), actions, wrong_with(row), seen_by(row, seen))


def _from_event(event: Mapping[str, Any]) -> Turn:
    fields = {name: item for name, item in event.items() if name not in ("t", "event", "error")}
    return Turn(int(event["t"]), fields, (), str(event.get("error", "")), ())
