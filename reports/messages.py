"""Errors, warnings and hints in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .evidence import Evidence
from .facts import Facts
from .profiler.hints.hint import Hint
from .profiler.hints.rules import hints
from .stations import STATIONS, Breakdown
from .violations import Finding, Window, described, fault_spans, preceding
from .wording import duration, listed, measured, moment, plural, share

UNITS = {"latency": "ns", "throughput": "1/s"}
MOST_STATIONS, LEAST_SHARE = 4, 0.01
"""Of the slowest requests, so many parts of their time are told, and none that is smaller."""

WHERE = (
    "in earlier attempts and backoff", "on the way to the proxy or waiting for a connection", "in the proxy", "on the way to a server",
    "in the queue of the server", "on CPU or waiting for a core", "in io and dependencies", "on the answer's way",
)  # fmt: skip
"""The parts of stations.STATIONS in a sentence."""

LATE = 2_000_000
"""A load generator that sends one request in a hundred later than this (ns) is called slow."""

MOST_WINDOWS = 4
"""Of an objective, so many stretches are told in words."""


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence or two, and lines that belong to it; *level* is error, warning, note or hint."""

    level: str
    text: str
    lines: tuple[str, ...] = ()


def messages(
    evidence: Evidence, findings: list[Finding], facts: Facts, found: Sequence[Hint] | None = None
) -> Iterator[Message]:
    """Errors first, then warnings, where the time of the slowest requests went, and hints (*found*, if somebody has them already)."""
    for finding in findings:
        if not finding.verdict.held:
            yield _violated(evidence, finding)
    if evidence.run.partial:
        end = moment(evidence.end)
        yield Message(
            "warning",
            f"This run is partial: it is recorded up to {end}, and it has neither a verdict nor a digest.",
        )
    late = facts.generator.get("late_p99_ns", 0.0)
    if late > LATE:
        yield Message("warning", _late(late, facts.generator))
    for finding in findings:
        if finding.verdict.held and finding.windows:
            yield Message("warning", _nearly(finding))
    for time in facts.registry_away[:1]:
        many = plural(len(facts.registry_away), "time")
        yield Message("warning", f"The registry was unreachable {many}, first from {moment(time)}.")
    if facts.slow is not None and facts.slow.total > 0:
        yield Message("note", _slowest(facts.slow))
    for hint in hints(evidence, facts) if found is None else found:
        yield Message("hint", hint.text, (hint.told,) if hint.evidence else ())


def _late(late: float, generator: Mapping[str, float]) -> str:
    """A slow generator must not look like a slow server, nor a fast one."""
    return (
        f"The load generator was late: 1% of the requests were sent more than {duration(int(late))} after their time, the last of them "
        f"{duration(int(generator['late_max_ns']))}. Latencies count from the intended time, so that this is part of them; more load processes, "
        "or a machine with less to do, would tell the fleet's own."
    )


def unit(finding: Finding) -> str:
    """The unit of an objective's values, as in summary.json."""
    return UNITS.get(finding.slo.indicator.partition("_")[0], "1")


def margin(finding: Finding) -> str:
    """How far the value is from the bound: absolutely and, where that says something, as a share of the bound."""
    value, bound = finding.verdict.value, finding.slo.bound
    if value is None:
        return "no data"
    apart, side = abs(value - bound), "within" if finding.verdict.held else "beyond"
    if unit(finding) == "1":
        return f"{apart * 100:.3f} points {side}"
    relative = f" ({apart / bound:.0%} of the bound)" if bound else ""
    return f"{measured(unit(finding), apart)} {side}{relative}"


def _slowest(slow: Breakdown) -> str:
    order = sorted(range(len(STATIONS)), key=lambda place: (-slow.means[place], place))
    told = ", ".join(
        f"{share(slow.share(place))} {WHERE[place]}"
        for place in order[:MOST_STATIONS]
        if slow.share(place) >= LEAST_SHARE
    )
    many = plural(slow.count, "request")
    return f"The slowest 1% ({many}, median {duration(slow.median)}) spent their time thus: {told}."


def _violated(evidence: Evidence, finding: Finding) -> Message:
    longest = sorted(finding.windows, key=lambda one: (one.start - one.stop, one.start))[:MOST_WINDOWS]
    lines = [_window(evidence, finding, one) for one in sorted(longest, key=lambda one: one.start)]
    rest = len(finding.windows) - len(longest)
    if rest:
        lines.append(f"And {plural(rest, 'stretch', 'stretches')} more, none longer.")
    value = measured(unit(finding), finding.verdict.value)
    text = (
        f"{finding.slo.name} ({finding.slo.text}) is violated with {value}. Taken alone, {finding.violating} of {finding.bins} bins of "
        f"{duration(finding.width)} violate it:"
    )
    return Message("error", text, tuple(lines))


def _window(evidence: Evidence, finding: Finding, window: Window) -> str:
    word = "up to" if finding.slo.below else "down to"
    text = f"From {moment(window.start)} to {moment(window.stop)}: {word} {measured(unit(finding), window.worst)}"
    before = preceding(evidence.events, window.onset)
    named = {event.get("name") for event in before}
    active = [
        f"fault {name} since {moment(start)}"
        for name, start, stop in fault_spans(evidence.events, evidence.end)
        if start <= window.onset < stop and name not in named
    ]
    still = f" Still on then: {listed(active)}." if active else ""
    if not before:
        return f"{text}. No fault or reaction came before."
    told = ", then ".join(f"{described(event)} at {moment(int(event['t']))}" for event in before)
    return f"{text}. Before it: {told}.{still}"


def _nearly(finding: Finding) -> str:
    longest = max(finding.windows, key=lambda one: (one.stop - one.start, -one.start))
    return (
        f"{finding.slo.name} ({finding.slo.text}) held over the whole run with {measured(unit(finding), finding.verdict.value)}, but taken alone "
        f"{finding.violating} of {finding.bins} bins of {duration(finding.width)} would violate it, the longest stretch from "
        f"{moment(longest.start)} to {moment(longest.stop)} with {measured(unit(finding), longest.worst)}."
    )
