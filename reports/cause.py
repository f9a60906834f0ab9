"""What broke in a run, since when, and what led there, in sentences: the head of a scenario that a search has found."""

from collections.abc import Iterator

from .decision_log import DecisionLog
from .evidence import Evidence
from .explanation import situation
from .facts import gather
from .messages import messages
from .violations import Finding, described, findings, preceding
from .wording import measured, moment


def cause(evidence: Evidence, name: str) -> Iterator[str]:
    """Sentences on the objective or invariant called *name*, which is violated."""
    row = next(row for row in evidence.summary["slo"] if row["name"] == name)
    if row["indicator"] == "invariant":
        yield f"{row['objective']} is violated ({measured(row['unit'], row['value'])}): {row['what']}."
        since = int(row["since_ns"])
        yield from _before(evidence, since)
    else:
        found = findings(evidence)
        finding = next(one for one in found if one.slo.name == name)
        for message in messages(evidence, found, gather(evidence)):
            if message.level == "error" and message.text.startswith(f"{name} ("):
                yield message.text
                yield from message.lines
        since = _since(finding)
    yield from _decided(evidence, since)


def _since(finding: Finding) -> int:
    longest = max(finding.windows, key=lambda one: (one.stop - one.start, -one.start), default=None)
    return finding.slo.end if longest is None else longest.onset


def _before(evidence: Evidence, since: int) -> Iterator[str]:
    told = ", then ".join(
        f"{described(event)} at {moment(int(event['t']))}" for event in preceding(evidence.events, since)
    )
    yield f"Since {moment(since)}" + (f"; before it: {told}." if told else ".")


def _decided(evidence: Evidence, since: int) -> Iterator[str]:
    """The last turn of the autoscaler up to then."""
    spec = evidence.fleet.autoscaler
    if spec is None:
        return
    found = situation(DecisionLog(evidence.run), spec, since)
    if found is not None:
        yield f"The autoscaler's turn at {moment(found.time)}:"
        yield from found.sentences
