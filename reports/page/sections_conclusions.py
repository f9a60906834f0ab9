"""Sections of what the profiler concludes: errors with their origins, what each fault did, hints."""

from ..profiler.origins import FAULT, Origin
from ..profiler.recovery import WINDOW, Recovery
from ..profiler.signatures import Failures
from ..wording import duration, listed, moment, plural, share
from .markup import folding, paragraph
from .report_data import ReportData
from .sections_traffic import shown

MOST_ROWS = 100
"""So many origins and signatures are listed, those with most failures."""


def errors(data: ReportData) -> str:
    """Failed requests by origin, and by signature."""
    found = data.diagnosis
    if not found.count:
        return paragraph(f"None of {plural(found.requests, 'request')} failed.")
    text = paragraph(
        f"{found.count:,} of {plural(found.requests, 'request')} failed ({share(found.count / found.requests)}). Where that comes from:"
    )
    origins = [
        (one.origin.text, f"{one.count:,}", share(one.count / found.count), moment(one.first), moment(one.last))
        for one in found.origins[:MOST_ROWS]
    ]  # fmt: skip
    text += folding("origins", ("origin", "requests", "share", "first", "last"), origins, (1, 2))
    rows = [_signature(one) for one in found.failures[:MOST_ROWS]]
    header = ("outcome", "what went wrong first", "where", "route", "requests", "of all", "first", "last", "origins", "why", "for example")  # fmt: skip
    text += "<h3>By signature</h3>\n" + folding("signatures", header, rows, (4, 5))
    return text + paragraph(
        "windtunnel profile . tells more of each; windtunnel trace . N shows the request N."
    )


def _signature(one: Failures) -> tuple[str, ...]:
    said = one.signature
    where = f"{said.where} (version {said.version})" if said.version else said.where
    origins = ", ".join(
        f"{_named(each.origin)} {each.count:,} ({each.confidence})" for each in one.origins[:4]
    )
    why = "; ".join(one.origins[0].evidence[:1]) if one.origins else ""
    return (
        said.outcome.replace("_", " "), said.cause, where, said.route, f"{one.count:,}", share(one.share), moment(one.first), moment(one.last),
        origins, why, f"request {one.examples[0]}" if one.examples else "",
    )  # fmt: skip


def _named(origin: Origin) -> str:
    return origin.kind if origin.name == origin.kind else f"{origin.kind} {origin.name}"


def recoveries(data: ReportData) -> str:
    """Recovery time and blast radius of each fault."""
    if not data.recoveries:
        return paragraph("No fault struck.")
    totals = {
        (one.origin.name, one.origin.start): one.count
        for one in data.diagnosis.origins
        if one.origin.kind == FAULT
    }

    def owed(one: Recovery) -> str:
        return f"{totals.get((one.name, one.start), 0):,}"

    rows = [
        (one.name, one.type, moment(one.start), moment(one.end) if one.end > one.start else "", _violated(one), _took(one), owed(one), *_blast(one), listed(one.others, 3))
        for one in data.recoveries
    ]  # fmt: skip
    header = (
        "fault", "type", "from", "to", "violated", "recovered after", "its failures", "requests hit", "servers hit", "endpoints hit", "beside",
    )  # fmt: skip
    told = (
        f"An objective holds if the requests planned in the next {WINDOW} s hold it. Recovery is from the end of a fault until all that it violated holds again. Its failures: the failed requests whose origin it is, whenever they failed. Hit: failed, or "
        "later than a latency objective allows, beyond what the time before the fault lets expect; of the requests planned from its beginning to the recovery. Beside: other faults "
        "in force meanwhile, which may have had a part in it."
    )
    return folding("faults", header, rows, (6,)) + paragraph(told)


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
