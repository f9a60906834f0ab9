"""Sections of what the profiler concludes: errors with their origins, what each fault did, hints."""

from ..messages import Message
from ..profiler.hints.hint import Hint
from ..profiler.origins import FAULT, Origin
from ..profiler.recovery import WINDOW, Recovery
from ..profiler.signatures import Failures
from ..wording import duration, listed, moment, plural, share
from .markup import folded, folding, paragraph
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
    header = (
        "outcome",
        "what went wrong first",
        "where",
        "route",
        "requests",
        "of all",
        "first",
        "last",
        "origins",
        "example",
    )
    text += "<h3>By signature</h3>\n" + folding("signatures", header, rows, (4, 5, 9))
    return text + paragraph(
        "windtunnel profile . tells why, and more of each; windtunnel trace . N shows the request N, such as the example."
    )


def _signature(one: Failures) -> tuple[str, ...]:
    said = one.signature
    where = f"{said.where} (version {said.version})" if said.version else said.where
    origins = ", ".join(
        f"{_named(each.origin)} {each.count:,} ({each.confidence})" for each in one.origins[:4]
    )
    return (
        said.outcome.replace("_", " "), said.cause, where, said.route, f"{one.count:,}", share(one.share), moment(one.first), moment(one.last),
        origins, str(one.examples[0]) if one.examples else "",
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


MOST_ALIKE = 3
"""Of hints that one rule gives, so many are shown at once; the others are folded."""


def hints(data: ReportData) -> str:
    """Where the time went, and hints with their evidence, those of a rule together: the rule with the most severe one first."""
    text = "".join(shown(message) for message in data.messages if message.level == "note")
    rules: dict[str, list[Hint]] = {}
    for hint in data.hints:
        rules.setdefault(hint.kind, []).append(hint)
    for alike in rules.values():
        text += "".join(map(_hint, alike[:MOST_ALIKE]))
        more = alike[MOST_ALIKE:]
        if more:
            text += folded(f"{plural(len(more), 'more hint')} like this", "".join(map(_hint, more)))
    return text or paragraph("None.")


def _hint(hint: Hint) -> str:
    told = (hint.told,) if hint.evidence else ()
    return shown(Message("hint", f"({hint.severity}, {hint.subject}) {hint.text}", told))
