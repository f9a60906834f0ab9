"""Sections of what the profiler concludes: errors with their origins, what each fault did, hints."""

import numpy as np

from ...core.outcomes import GOOD, NAMES
from ..profiler.recovery import WINDOW, Recovery
from ..wording import duration, listed, moment, share
from .markup import folding, paragraph
from .report_data import ReportData
from .sections_traffic import shown


def errors(data: ReportData) -> str:
    """Failed requests by outcome and endpoint."""
    requests, fleet = data.evidence.requests, data.evidence.fleet
    wrong = ~np.isin(requests["outcome"], list(GOOD))
    if not wrong.any():
        return paragraph("No request failed.")
    outcome, endpoint = requests["outcome"][wrong], requests["endpoint"][wrong]
    ended = requests["time_ns"][wrong] + requests["latency_ns"][wrong]
    found = []
    for kind, path in np.unique(np.stack([outcome, endpoint]), axis=1).T.tolist():
        times = ended[(outcome == kind) & (endpoint == path)]
        route = fleet.endpoints[path].path if path >= 0 else ""
        found.append((len(times), NAMES[kind].replace("_", " "), route, int(times.min()), int(times.max())))
    rows = [
        (name, route, f"{many:,}", share(many / len(outcome)), moment(first), moment(last))
        for many, name, route, first, last in sorted(found, key=lambda one: (-one[0], one[1:]))
    ]
    header = ("outcome", "route", "requests", "share", "first", "last")
    return folding("kinds of failures", header, rows, (2, 3))


def recoveries(data: ReportData) -> str:
    """Recovery time and blast radius of each fault."""
    if not data.recoveries:
        return paragraph("No fault struck.")
    rows = [
        (one.name, one.type, moment(one.start), moment(one.end) if one.end > one.start else "", _violated(one), _took(one), *_blast(one), listed(one.others, 3))
        for one in data.recoveries
    ]  # fmt: skip
    header = (
        "fault", "type", "from", "to", "violated", "recovered after", "requests hit", "servers hit", "endpoints hit", "beside",
    )  # fmt: skip
    told = (
        f"An objective holds if the requests planned in the next {WINDOW} s hold it. Recovery is from the end of a fault until all that it violated holds again. Hit: failed, or "
        "later than a latency objective allows, beyond what the time before the fault lets expect; of the requests planned from its beginning to the recovery. Beside: other faults "
        "in force meanwhile, which may have had a part in it."
    )
    return folding("faults", header, rows) + paragraph(told)


def _violated(one: Recovery) -> str:
    text = listed(one.violated, 4) or "nothing"
    return text + (f" (already before: {listed(one.before, 4)})" if one.before else "")


def _took(one: Recovery) -> str:
    if not one.violated:
        return ""
    took = one.took
    if took is None:
        return "not in this run"
    return f"{duration(took)}, at {moment(one.recovered)}" if took else "at once"


def _blast(one: Recovery) -> tuple[str, str, str]:
    blast = one.blast
    count = round(blast.share * blast.requests)
    requests = (
        f"{share(blast.share)} ({count:,} of {blast.requests:,} in {duration(blast.stop - blast.start)})"
    )
    servers = f"{len(blast.servers):,} of {blast.servers_there:,}"
    if blast.servers:
        servers += f": {listed(blast.servers, 6)}"
    endpoints = f"{len(blast.endpoints)} of {blast.endpoints_there}"
    if 0 < len(blast.endpoints) < blast.endpoints_there:
        endpoints += f": {listed(blast.endpoints, 4)}"
    return requests, servers, endpoints


def hints(data: ReportData) -> str:
    """Where the time went, and advice."""
    told = [message for message in data.messages if message.level not in ("error", "warning")]
    return "".join(map(shown, told)) or paragraph("None.")
