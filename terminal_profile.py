"""What a person sees of a run's profile: the map, errors with their origins, hints."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from .reports.profiler.hints.hint import Hint
from .reports.profiler.map import (
    AUTOSCALER,
    BAD,
    CLIENTS,
    CLOUD,
    DOWN,
    GOOD,
    IDLE,
    PROXY,
    REGISTRY,
    WARNING,
    Edge,
    Map,
    Node,
)
from .reports.profiler.origins import Attribution
from .reports.profiler.signatures import Diagnosis, Failures
from .reports.wording import duration, moment, plural, share
from .terminal import out

_STYLES = {GOOD: "green", WARNING: "yellow", BAD: "red", DOWN: "bold red", IDLE: "dim"}
_SEVERITIES = {"critical": "red", "warning": "yellow", "notice": "dim"}
_MARKS = {GOOD: "●", WARNING: "▲", BAD: "■", DOWN: "✖", IDLE: "○"}
_PLAIN_MARKS = {GOOD: "+", WARNING: "!", BAD: "#", DOWN: "x", IDLE: "."}
_BAR = 8
_HEADER = ("", "size", "rate", "failed", "p95", "in flight", "queued", "")
_RIGHT = (2, 3, 4, 5, 6)
MOST_SERVERS = 40
"""Rows of app servers; of more, those in the worst health and those with most traffic are shown."""
_WORST = {DOWN: 0, BAD: 1, WARNING: 2, GOOD: 3, IDLE: 4}


def print_map(chart: Map) -> None:
    """The map as a drawing: who sends to whom, with rate, errors, p95 and health of each."""
    out.print(f"Map from {moment(chart.start)} to {moment(chart.end)}", style="bold", markup=False)
    rows = list(_drawn(chart))
    most = max((node.rate for _, node in rows), default=0.0)
    _print_aligned([[Text(name, style="dim") for name in _HEADER], *(_cells(stem, node, most) for stem, node in rows)])  # fmt: skip
    hidden = _hidden(chart)
    if hidden:
        out.print(f"and {plural(hidden, 'more app server')}, in better health", style="dim")
    for one in chart.edges:
        if one.why and one.health in (BAD, DOWN) and one.source != CLIENTS:
            out.print(f"{one.source} to {one.target}: {one.why}", style=_STYLES[one.health], markup=False)
    out.print()


def _print_aligned(rows: Sequence[Sequence[Text]]) -> None:
    """Columns as wide as they need to be; lines are never broken, so that they can be searched and cut."""
    widths = [max(row[place].cell_len for row in rows) for place in range(len(_HEADER))]
    for row in rows:
        line = Text()
        for place, cell in enumerate(row):
            cell.align("right" if place in _RIGHT else "left", widths[place])
            line.append_text(cell)
            line.append("  ")
        line.rstrip()
        out.print(line)


def _drawn(chart: Map) -> Iterator[tuple[str, Node]]:
    """Each node, with what of the tree is before its name."""
    fancy = _fancy()
    tee, corner, bar = ("├─ ", "└─ ", "│  ") if fancy else ("|- ", "`- ", "|  ")
    by_id = {node.id: node for node in chart.nodes}
    if CLIENTS in by_id:
        yield "", by_id[CLIENTS]
    if PROXY in by_id:
        yield corner, by_id[PROXY]
    shown = _shown(chart)
    for place, node in enumerate(shown):
        stem = corner if place == len(shown) - 1 else tee
        yield f"   {stem}", node
        below = "   " if place == len(shown) - 1 else bar
        calls = [edge for edge in chart.edges if edge.source == node.id and edge.target.startswith("dependency")]  # fmt: skip
        if len(shown) <= 6:
            for number, edge in enumerate(calls):
                yield f"   {below}{corner if number == len(calls) - 1 else tee}", _called(edge, by_id[edge.target])  # fmt: skip
    for node in chart.nodes:
        if node.kind in (REGISTRY, AUTOSCALER, CLOUD) or (node.kind == "dependency"):
            yield "", node


def _called(edge: Edge, node: Node) -> Node:
    """The dependency as one server sees it."""
    return Node(edge.target, node.kind, f"calls {node.name}", node.state, edge.rate or 0.0, edge.errors, edge.p95_ns, edge.health)  # fmt: skip


def _shown(chart: Map) -> list[Node]:
    servers = [node for node in chart.nodes if node.kind == "app"]
    if len(servers) <= MOST_SERVERS:
        return servers
    kept = sorted(servers, key=lambda node: (_WORST.get(node.health, 3), -node.rate))[:MOST_SERVERS]
    return [node for node in servers if node in kept]


def _hidden(chart: Map) -> int:
    return sum(node.kind == "app" for node in chart.nodes) - len(_shown(chart))


def _cells(stem: str, node: Node, most: float) -> list[Text]:
    style = _STYLES.get(node.health, "")
    marks = _MARKS if _fancy() else _PLAIN_MARKS
    name = Text(stem, style="dim")
    name.append(f"{marks.get(node.health, '?')} {node.name}", style=style)
    if node.version:
        name.append(f" ({node.version})", style="dim")
    filled = max(round(node.rate / most * _BAR), 1 if node.rate > 0 else 0) if most else 0
    said = node.state if node.state != "up" and node.state not in node.why else ""
    told = "; ".join(part for part in (said, node.why, *(f"fault {name}" for name in node.faults)) if part)
    plain = (
        f"{node.rate:,.4g}/s" if node.rate else "",
        "" if node.errors is None else share(node.errors),
        "" if node.p95_ns is None else duration(node.p95_ns),
        "" if node.in_flight is None else str(node.in_flight),
        "" if node.queued is None else str(node.queued),
    )
    size = Text(("█" if _fancy() else "#") * filled, style=style)
    return [name, size, *map(Text, plain), Text(told, style="dim" if node.health in (GOOD, IDLE) else style)]


def _fancy() -> bool:
    return (out.encoding or "").lower().startswith("utf")


def print_errors(diagnosis: Diagnosis, most: int = 12) -> None:
    """Failures by origin, then by signature."""
    out.print("Errors and their origins", style="bold")
    if not diagnosis.count:
        out.print(f"None of {plural(diagnosis.requests, 'request')} failed.\n", markup=False)
        return
    out.print(f"{diagnosis.count:,} of {plural(diagnosis.requests, 'request')} failed ({share(diagnosis.count / diagnosis.requests)}).", markup=False)  # fmt: skip
    for total in diagnosis.origins[:most]:
        out.print(
            f"  {total.count:>9,}  {share(total.count / diagnosis.count):>6}  {total.origin.text} "
            f"(failures from {moment(total.first)} to {moment(total.last)})",
            markup=False,
        )  # fmt: skip
    _more(len(diagnosis.origins) - most, "origin")
    out.print()
    for failures in diagnosis.failures[:most]:
        _print_failures(failures)
    _more(len(diagnosis.failures) - most, "signature")
    out.print()


def _print_failures(failures: Failures) -> None:
    said = failures.signature
    version = f", version {said.version}" if said.version else ""
    out.print(
        f"{plural(failures.count, said.outcome, said.outcome)} ({share(failures.share)} of all): {said.cause}, at {said.where}, for {said.route}{version}",
        style="red", markup=False,
    )  # fmt: skip
    servers = ", ".join(f"{number or 'none'} ({count:,})" for number, count in failures.servers[:5])
    rest = len(failures.servers) - 5
    out.print(
        f"  {moment(failures.first)} to {moment(failures.last)}; servers {servers}{f' and {rest} more' if rest > 0 else ''}; "
        f"for example request {failures.examples[0]}",
        style="dim", markup=False,
    )  # fmt: skip
    for one in failures.origins[:4]:
        _print_attribution(one)
    _more(len(failures.origins) - 4, "origin")


def _print_attribution(one: Attribution) -> None:
    span, origin = one.span, one.origin
    name = origin.kind if origin.name == origin.kind else f"{origin.kind} {origin.name}"
    where = f"{span.station} at {span.where}" if span.where else span.station
    out.print(f"  {one.count:>9,}  {name} ({one.confidence}: {one.rule}): {'; '.join(one.evidence[:1])}.", markup=False)  # fmt: skip
    out.print(f"{'':13}First: request {span.request}, {where}, from {moment(span.start)}.", style="dim", markup=False)  # fmt: skip


def _more(count: int, noun: str) -> None:
    if count > 0:
        out.print(f"  and {plural(count, f'more {noun}')}", style="dim")


def print_hints(found: Sequence[Hint]) -> None:
    """Hints, the most severe first."""
    out.print("Hints", style="bold")
    if not found:
        out.print("None: nothing in this run calls for one.", markup=False)
    for hint in found:
        out.print(f"{hint.severity} ({hint.subject}): {hint.text}", style=_SEVERITIES[hint.severity], markup=False)  # fmt: skip
        if hint.evidence:
            out.print(f"  {hint.told}", style="dim", markup=False)
