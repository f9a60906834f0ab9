"""Pieces of the page about servers, decisions, faults and deploys."""

from collections.abc import Mapping
from typing import Any

from ...core.model import SECOND
from ...core.rollout.outcome import outcomes
from ..panels_events import QUIET
from ..violations import described, fault_spans
from ..wording import duration, moment, plural
from .markup import folded, folding, paragraph, table
from .report_data import ReportData

MOST_EVENTS = 1000
"""So many control events are listed; the others are in events.jsonl."""


def lives(data: ReportData) -> str:
    """The life of each instance."""
    evidence = data.evidence
    rows = [
        (
            life.server, moment(life.launched), _at(life.ready), duration(life.ready - life.launched) if life.ready >= 0 else "",
            ", ".join(f"{how} at {moment(time)}" for time, how in life.deaths), _at(life.gone), life.reason,
        )
        for life in evidence.lives
    ]  # fmt: skip
    header = ("instance", "launched", "ready", "took", "died", "gone", "reason")
    return folding("instances", header, rows, (0,))


def _at(time: int) -> str:
    return moment(time) if time >= 0 else ""


def sampled(data: ReportData) -> str:
    """The greatest samples of any server."""
    metrics, fleet = data.evidence.metrics, data.evidence.fleet
    there = metrics["server"] > 0
    if not there.any():
        return paragraph("No second with a server was sampled.")
    rows = []
    for label, column, scale, spell in (
        ("requests in a second", "requests", 1.0, "{:,.0f}"),
        ("requests in flight", "in_flight", 1.0, "{:,.0f}"),
        ("requests waiting for a worker", "queued", 1.0, "{:,.0f}"),
        ("CPU, of its cores", "cpu_ns", SECOND * fleet.app.cores / 100, "{:.1f}%"),
        ("memory", "memory", 2**20, "{:,.1f} MiB"),
    ):
        values = metrics[column]
        if not values[there].any():
            rows.append((label, spell.format(0), "", ""))
            continue
        place = int((values * there).argmax())
        most = spell.format(values[place] / scale)
        rows.append(
            (label, most, f"server {metrics['server'][place]}", moment(int(metrics["time_ns"][place])))
        )
    return table(("sampled each second", "most", "on", "at"), rows, (1,))


def decisions(data: ReportData) -> str:
    """Every scaling decision with its reason."""
    if data.evidence.fleet.autoscaler is None:
        return paragraph("The scenario has no autoscaler.")
    rows = [
        (
            moment(event["t"]),
            event.get("actual", ""),
            event.get("desired", ""),
            event.get("actions", ""),
            _reason(event),
        )
        for event in data.evidence.happened("decision")
    ]
    if not rows:
        return paragraph("The autoscaler never changed anything.")
    told = "Logged is a decision that does something, or that something begins to prevent."
    header = ("at", "servers there", "wanted", "actions", "reason")
    return folding("decisions", header, rows, (1, 2, 3)) + paragraph(told)


def _reason(event: Mapping[str, Any]) -> str:
    error = event.get("error")
    return f"{event['reason']}: {error}" if error else str(event["reason"])


def happenings(data: ReportData) -> str:
    """Faults, deploys, decisions and alerts on one time axis, and the deploys and faults in tables."""
    evidence = data.evidence
    lasting = {(name, start): stop for name, start, stop in fault_spans(evidence.events, evidence.end)}
    rows = []
    for event in evidence.happened("fault"):
        stop = lasting.get((str(event.get("name", "")), event["t"]))
        lasts = "" if stop is None else f"{moment(stop)} ({duration(stop - event['t'])})"
        rows.append((moment(event["t"]), described(event), lasts))
    text = _deploys(data)
    text += folding("faults", ("at", "fault", "until"), rows) if rows else paragraph("No fault struck.")
    others = [event for event in evidence.events if event["event"] not in QUIET]
    if others:
        listed = [(moment(event["t"]), event["event"], _fields(event)) for event in others[:MOST_EVENTS]]
        text += folded(f"{plural(len(others), 'event')}", table(("at", "event", "what"), listed))
        if len(others) > MOST_EVENTS:
            text += paragraph(f"The first {MOST_EVENTS:,} are listed; all are in events.jsonl.")
    return text


def _deploys(data: ReportData) -> str:
    """How each deploy ended."""
    rows = []
    for one in outcomes(data.evidence.fleet.deploys, data.evidence.events):
        took = duration(one.ended - one.began) if one.ended >= 0 <= one.began else ""
        end = one.end.replace("_", " ") + (
            "" if one.held else f" (expected: {one.spec.expect.replace('_', ' ')})"
        )
        at = moment(one.spec.at if one.began < 0 else one.began)
        rows.append((at, one.spec.name, one.spec.branch, one.spec.version, end, took, one.reason))
    header = ("at", "deploy", "branch", "version", "end", "took", "why")
    return folding("deploys", header, rows) if rows else ""


def _fields(event: Mapping[str, Any]) -> str:
    told = (f"{name}: {value}" for name, value in event.items() if name not in ("t", "event"))
    return ", ".join(told)
