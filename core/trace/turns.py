"""A turn of the autoscaler as a span has it: from the rows that are kept of it (``core.records``), whether it is read back or has just been decided."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..records import RECORDS
from .schema import ADDRESS, AT, ERROR, OWN, Said
from .spans import INTERNAL, Note, Value, value_of

NAME = "turn of the autoscaler"
SEEN = "server seen"
_PLAIN = (
    "serving", "booting", "standby", "draining", "minimum", "maximum", "proposal", "proposal_reason", "blind", "limits", "desired", "reason", "actions",
    "dry_run", "others",
)  # fmt: skip

Row = Mapping[str, Any]


def fields_of(row: Row) -> dict[str, Any]:
    """What a turn saw, was asked for and decided on, and the figures of policy and proxy, without what is not there."""
    fields = {name: row[name] for name in _PLAIN if row[name] not in ("", None) and row[name] != -1}
    for column in ("figures", "proxy"):
        figures = json.loads(row[column]) if row[column] else {}
        fields |= {f"{column}.{name}": value for name, value in figures.items()}
    return fields


def wrong_with(row: Row) -> str:
    """What kept it from deciding; empty: nothing."""
    return str(row["reason"]) if row["desired"] < 0 else ""


def turn_said(
    decision: Sequence[Any], observations: Sequence[Sequence[Any]]
) -> tuple[Said, tuple[Note, ...]]:
    """What the span of a turn says, and its notes, from the rows of what has just been decided."""
    row = _named("decisions", decision)
    attributes: dict[str, Value] = {}
    for name, item in fields_of(row).items():
        value = value_of(item)
        if value is not None:
            attributes[OWN + name] = value
    wrong = wrong_with(row)
    if wrong:
        attributes[ERROR] = wrong
    return Said(NAME, INTERNAL, attributes, wrong), seen_by(
        row, [_named("observations", one) for one in observations]
    )


def _named(table: str, row: Sequence[Any]) -> Row:
    return dict(zip((name for name, _ in RECORDS[table]), row, strict=True))


def seen_by(row: Row, seen: Sequence[Row]) -> tuple[Note, ...]:
    """What a turn that did something saw of each server: its last sample, whose age tells when its monitor wrote it."""
    return tuple(_sample(row["time_ns"], one) for one in seen) if row["actions"] else ()


def _sample(time: int, row: Row) -> Note:
    attributes: dict[str, Value] = {OWN + "state": row["state"]}
    if row["number"]:
        attributes[AT] = row["number"]
    if row["server"]:
        attributes[ADDRESS] = row["server"]
    for name in ("requests", "memory", "cpu", "in_flight"):
        if row[name] is not None:
            attributes[OWN + name] = row[name]
    if row["sampled_ns"] >= 0:
        attributes[OWN + "sample_age_ns"] = time - row["sampled_ns"]
    for name, value in (json.loads(row["custom"]) if row["custom"] else {}).items():
        attributes[f"{OWN}custom.{name}"] = value
    return Note(time, SEEN, attributes)
