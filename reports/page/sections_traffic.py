"""Sections of the page about the verdict and the requests."""

from html import escape

import numpy as np

from ...core.events import FORMAT
from ...core.model import FleetSpec
from ...core.outcomes import NAMES, Outcome
from ...core.slo import percentile
from ..messages import Message, margin, unit
from ..stations import STATIONS, middling
from ..summary import PERCENTILES
from ..wording import duration, measured, share
from .markup import folded, paragraph, table
from .report_data import ReportData

MARKS = {"error": "✗ Error", "warning": "! Warning", "note": "· Time", "hint": "→ Hint"}


def thresholds(fleet: FleetSpec) -> str:
    """The objectives of a run that has only begun."""
    rows = [(slo.name, slo.text) for slo in fleet.slos]
    rows += [(one.alert, one.text) for one in fleet.expects]
    return table(("objective", "condition"), rows) if rows else paragraph("The scenario states no objective.")


def verdict(data: ReportData) -> str:
    """Each objective, and errors, warnings and hints in words."""
    partial = data.evidence.run.partial
    rows = [
        (
            one.slo.name, one.slo.text, measured(unit(one), one.verdict.value), measured(unit(one), one.slo.bound),
            "no verdict (partial)" if partial else "✓ held" if one.verdict.held else "✗ violated", margin(one),
            f"{one.violating} of {one.bins} × {duration(one.width)}",
        )
        for one in data.findings
    ]  # fmt: skip
    rows += [
        (one["name"], one["objective"], measured(one["unit"], one["value"]), "",
         "no verdict (partial)" if partial else "✓ held" if one["held"] else "✗ violated", "", "")
        for one in data.evidence.summary["slo"] if one["indicator"] == "deploy"
    ]  # fmt: skip
    header = (
        "objective",
        "condition",
        "measured",
        "bound",
        "verdict",
        "margin",
        "time that would violate it",
    )
    text = table(header, rows, (2, 3)) if rows else paragraph("The scenario states no objective.")
    text += "<h3>Errors and warnings</h3>\n"
    told = [message for message in data.messages if message.level in ("error", "warning")]
    return text + ("".join(map(shown, told)) or paragraph("None."))


def shown(message: Message) -> str:
    """A message with its lines."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in message.lines)
    more = f"<ul>{lines}</ul>" if lines else ""
    mark = MARKS[message.level]
    return f'<div class="message {message.level}"><b>{mark}</b> {escape(message.text)}{more}</div>\n'


def identity(data: ReportData) -> str:
    """Seed, digest, and the commands that repeat and verify the run."""
    summary, seed = data.evidence.summary, data.evidence.fleet.seed
    rows = [
        ("scenario", data.evidence.fleet.name), ("scenario hash", summary["scenario_hash"]), ("seed", str(seed)),
        ("digest", summary["digest"] or "none (partial run)"), ("length", duration(data.evidence.end)), ("run format", str(FORMAT)),
    ]  # fmt: skip
    told = [(f"windtunnel replay scenario.yaml --seed {seed}", "run it again")]
    if "generator" in summary:
        told.append(("windtunnel compare REHEARSAL .", "lay it beside a rehearsal of the same scenario"))
    elif not data.evidence.run.partial:
        told.append(("windtunnel verify .", "rerun it and compare every event and row"))
    told.append(("windtunnel report . --format svg", "draw figures as files"))
    width = max(len(command) for command, _ in told)
    commands = "\n".join(f"{command:{width}}   # {does}" for command, does in told)
    note = "In this run's directory; host.json there says on which machine and with which software it ran."
    return table(("", ""), rows) + f"<pre><code>{escape(commands)}</code></pre>\n" + paragraph(note)


def outcomes(data: ReportData) -> str:
    """Planned, sent and lost, by source and cause."""
    requests, names = data.evidence.requests, data.evidence.fleet.sources
    present = np.unique(requests["outcome"]).tolist()
    rows: list[tuple[object, ...]] = []
    for number, source in enumerate(names):
        mine = requests["source"] == number
        many = np.bincount(requests["outcome"][mine], minlength=len(NAMES))
        sent = int(requests["attempts"][mine].sum())
        lost = int(mine.sum() - many[Outcome.OK] - many[Outcome.UNREAD])
        rows.append(
            (source.name, f"{mine.sum():,}", f"{sent:,}", f"{lost:,}", *(f"{many[n]:,}" for n in present))
        )
    header = ("source", "planned", "sent", "dropped", *(NAMES[n].replace("_", " ") for n in present))
    text = table(header, rows, range(1, len(header)))
    told = (
        "Planned are the requests that began, sent are attempts, clients' retries included. "
        "Dropped is every outcome but ok and unread (answered to a flood that never reads)."
    )
    return text + paragraph(told)


def latency(data: ReportData) -> str:
    """Percentiles, classes of statuses, and where the time of the slowest went."""
    requests = data.evidence.requests
    rows = []
    for number, source in enumerate(data.evidence.fleet.sources):
        answered = np.sort(
            requests["latency_ns"][(requests["source"] == number) & (requests["outcome"] == Outcome.OK)]
        )
        if source.ordinary and len(answered):
            values = [duration(percentile(answered, value)) for _, value in PERCENTILES]
            rows.append(
                (
                    source.name,
                    f"{len(answered):,}",
                    duration(float(answered.mean())),
                    *values,
                    duration(int(answered[-1])),
                )
            )
    header = ("source", "answered", "mean", *(name for name, _ in PERCENTILES), "max")
    text = table(header, rows, range(1, len(header))) if rows else paragraph("No request was answered.")
    told = "Latency counts from the intended send time to the end of the last attempt, over requests answered as planned."
    return text + paragraph(told) + _statuses(data) + _stations(data)


def _statuses(data: ReportData) -> str:
    """Requests by class of their status, and by status, of each source."""
    requests = data.evidence.requests
    status, source = requests["status"], requests["source"]
    kinds = np.unique(status).tolist()
    rows = []
    for number, spec in enumerate(data.evidence.fleet.sources):
        mine = status[source == number]
        by_class = [int(((mine // 100) == value).sum()) for value in (2, 3, 4, 5)]
        none = len(mine) - sum(by_class)
        rows.append((spec.name, *(f"{many:,}" for many in (*by_class, none))))
    text = "<h3>Status classes</h3>\n" + table(
        ("source", "2xx", "3xx", "4xx", "5xx", "no answer"), rows, range(1, 6)
    )
    told = [(str(kind) if kind else "no answer", f"{int((status == kind).sum()):,}") for kind in kinds]
    return text + folded(f"{len(told)} statuses", table(("status", "requests"), told, (1,)))


def _stations(data: ReportData) -> str:
    slow, typical = data.facts.slow, middling(data.evidence)
    if slow is None or typical is None:
        return ""
    rows = [
        (
            name,
            duration(slow.means[place]),
            share(slow.share(place)),
            duration(typical.means[place]),
            share(typical.share(place)),
        )
        for place, name in enumerate(STATIONS)
    ]
    rows.append(("in all", duration(slow.total), "", duration(typical.total), ""))
    header = (
        "mean time of a request", f"slowest 1% ({slow.count:,})", "share", f"around the median ({typical.count:,})", "share"
    )  # fmt: skip
    return (
        "<h3>Where the time went</h3>\n"
        + table(header, rows, (1, 2, 3, 4))
        + paragraph(
            "Of all requests that wait for their answer, failed ones included. What an attempt never reached adds nothing: its time is that of the "
            "station where it was last."
        )
    )


def cost(data: ReportData) -> str:
    """Instance-hours, and what a thousand answers took."""
    summary = data.evidence.summary
    answered = int(summary["outcomes"].get("ok", 0))
    hours = float(summary["instance_hours"])
    each = f"{hours / answered * 1000:.6f}" if answered else "no request was answered"
    rows = [
        ("instance-hours", f"{hours:,.4f}"),
        ("requests answered as planned", f"{answered:,}"),
        ("instance-hours per 1,000 of them", each),
    ]
    sizes = summary["fleet"]
    if sizes:
        rows.append(
            (
                "servers serving",
                f"{sizes['least']:,} to {sizes['most']:,}, mean {sizes['mean']:,.2f}, {sizes['last']:,} at the end",
            )
        )
    told = "An instance is paid for from its launch until it is gone, also while it is pending, boots, drains or has failed."
    return table(("", ""), rows, (1,)) + paragraph(told)
