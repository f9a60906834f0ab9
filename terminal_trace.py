"""What a person sees of traces: a request's waterfall, lists of requests."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .reports.run import Run
from .reports.trace.listing import Found
from .reports.trace.spans import Trace, Value
from .reports.trace.traces import Traces
from .reports.trace.waterfall import Line, Waterfall
from .reports.wording import duration, moment, plural
from .terminal import err, out

_COLOURS = {"client": "cyan", "proxy": "blue", "app": "green", "chaos": "magenta", "autoscaler": "yellow", "deploys": "yellow"}  # fmt: skip
_LABEL_WIDTH, _LEAST_BAR = 46, 20
_BLOCKS, _PLAIN = "▏▎▍▌▋▊▉█", "########"


def print_trace(trace: Trace, chart: Waterfall) -> None:
    """A request: what it was and what became of it, then its chart."""
    said = trace.root.attributes
    status = said.get("http.response.status_code")
    tries = plural(int(str(said["windtunnel.attempts"])), "attempt")
    out.print(
        f"Request {said['windtunnel.request']} ({said['windtunnel.source']} {said['windtunnel.index']}), {said['http.route']}, at "
        f"{moment(trace.root.start)}: {said['windtunnel.outcome']}{f' {status}' if status else ''} after {duration(trace.root.duration)}, {tries}.",
        markup=False,
    )  # fmt: skip
    out.print(f"Trace {trace.root.trace}.\n", markup=False)
    lines = [*chart.lines, *chart.beside]
    label = min(max(len(line.label) + 2 * line.depth for line in lines), _LABEL_WIDTH)
    told = max(len(line.told) for line in lines)
    width = max(out.width - label - told - 4, _LEAST_BAR)
    length = duration(chart.end - chart.start)
    out.print(f"{'':{label}}  0{length:>{width - 1}}", style="dim", markup=False)
    for line in chart.lines:
        _print_line(line, chart, label, width)
    if chart.beside:
        out.print("\nMeanwhile:")
        for line in chart.beside:
            _print_line(line, chart, label, width)
    if chart.more:
        out.print(f"and {chart.more:,} more", style="dim")
    _print_routing(trace)


def _print_routing(trace: Trace) -> None:
    """What routing decisions saw, if a probe was there."""
    notes = [note for span in trace.spans for note in span.notes if note.name == "routing"]
    if not notes:
        return
    said = notes[0].attributes
    read = said.get("windtunnel.lists_read_ns")
    known = "" if read is None else f", by the lists read at {moment(int(str(read)))}"
    out.print(f"\nRouting, {said['windtunnel.algorithm']}{known}:", markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("try", "at", "taken", "could be taken", "could not"):
        table.add_column(name, justify="right" if name in ("try", "at") else "left")
    for note in notes:
        said = note.attributes
        taken = (
            f"server {said['windtunnel.server']}"
            if "windtunnel.server" in said
            else said["windtunnel.outcome"]
        )
        table.add_row(
            str(said["windtunnel.try"]), moment(note.time), escape(str(taken)),
            escape(_listed(said["windtunnel.candidates"])), escape(_listed(said["windtunnel.barred"])),
        )  # fmt: skip
    out.print(table)


def _listed(words: Value) -> str:
    return ", ".join(words) if isinstance(words, Sequence) else str(words)


def _print_line(line: Line, chart: Waterfall, label: int, width: int) -> None:
    text = Text("  " * line.depth + line.label, style="bold" if line.failed else "")
    text.truncate(label, overflow="ellipsis", pad=True)
    text.append("  ")
    colour = "red" if line.failed else _COLOURS.get(line.service, "white")
    text.append(_bar(line, chart, width), style=colour)
    text.append(f"  {line.told}", style="red" if line.failed else "dim")
    text.rstrip()
    out.print(text, no_wrap=True)


def _bar(line: Line, chart: Waterfall, width: int) -> str:
    """The stretch of a line on the chart's axis, to an eighth of a character where the terminal can; arrows where it goes on outside."""
    fancy = (out.encoding or "").lower().startswith("utf")
    blocks = _BLOCKS if fancy else _PLAIN
    length = max(chart.end - chart.start, 1)
    first = max(line.start - chart.start, 0) * width / length
    last = min(line.end - chart.start, length) * width / length
    left = min(int(first), width - 1)
    eighths = max(round((last - left) * 8), 1)
    cells = blocks[-1] * (eighths // 8) + (blocks[eighths % 8 - 1] if eighths % 8 else "")
    cells = cells[: width - left]
    if line.start < chart.start:
        cells = ("◂" if fancy else "<") + cells[1:]
    if line.end > chart.end and len(cells) > 1:
        cells = cells[:-1] + ("▸" if fancy else ">")
    return f"{' ' * left}{cells}".ljust(width)


def print_list(found: Found, what: str) -> None:
    """Requests as a table, under a sentence of how many there are."""
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in found.outcomes)
    out.print(f"{plural(found.total, what)}{f': {told}' if told else ''}.", markup=False)
    if not found.requests:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("request", "at", "latency", "outcome", "attempts", "server", "endpoint", "source"):
        table.add_column(name, justify="right" if name in ("request", "at", "latency", "attempts", "server") else "left")  # fmt: skip
    for one in found.requests:
        outcome = f"{one.outcome} {one.status}" if one.status else one.outcome
        table.add_row(
            str(one.request), moment(one.time), duration(one.latency), outcome, str(one.attempts), str(one.server or ""),
            escape(one.endpoint), escape(one.source),
        )  # fmt: skip
    out.print(table)
    more = found.total - len(found.requests)
    if more:
        out.print(f"and {more:,} more", style="dim")


def note_partial(traces: Traces) -> None:
    """Say so if the run was cut off."""
    note_cut_off(traces.run)


def note_cut_off(run: Run) -> None:
    """Say so if it was."""
    if run.partial:
        err.print("note: the run was cut off; this is up to the last part that it wrote", markup=False)


def print_written(lines: Sequence[str]) -> None:
    """What was written, and where."""
    for line in lines:
        out.print(line, markup=False)
