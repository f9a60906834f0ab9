"""What a person sees: progress bars, verdicts, tables. Only the command line imports this."""

import math
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .api import Progress as OnSecond
from .campaign import Done, Objective, Result
from .core.confidence import Interval
from .core.model import SECOND
from .reports.wording import measured

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(wanted: bool) -> Iterator[OnSecond | None]:
    """A bar with simulated time and speed, on a terminal only."""
    if not wanted or not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("replaying", total=1.0, at="")
        started = time.monotonic()

        def on_second(now: int, end: int) -> None:
            speed = now / SECOND / max(time.monotonic() - started, 1e-9)
            text = f"{min(now, end) // SECOND} of {end // SECOND} s simulated, {speed:.0f} times real time"
            bar.update(task, completed=min(now / end, 1.0), at=text)

        yield on_second


@contextmanager
def counter(wanted: bool) -> Iterator[Done | None]:
    """A bar that counts rehearsals, on a terminal only."""
    if not wanted or not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("replaying"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda count, every: bar.update(task, completed=count, total=every)


def _milliseconds(ns: float) -> str:
    return f"{ns / 1e6:,.2f} ms"


def _value(slo: dict[str, Any], value: float | None) -> str:
    if slo["unit"] in ("delay", "alerts", "times"):
        return measured(slo["unit"], value)
    if value is None:
        return "no data"
    if slo["unit"] == "ns":
        return _milliseconds(value)
    return f"{value:.3%}" if slo["unit"] == "1" else f"{value:,.1f}/s"


def coloured(passed: bool) -> str:
    """``passed`` or ``violated``, as markup."""
    return "[bold green]passed[/]" if passed else "[bold red]violated[/]"


def _with_interval(objective: Objective) -> str:
    if objective.interval is None:
        return "no data"
    return _spread(objective.interval, lambda value: _value({"unit": objective.unit}, value))


_VERDICT_COLOURS = {"held": "green", "violated": "red", "undecided": "yellow", "no data": "green"}


def print_objectives(result: Result, seeds: int) -> None:
    """A table of objectives over seeds, p99 and cost."""
    table = Table("objective", "", "mean, 95% interval", "held in", "verdict", box=None, padding=(0, 3, 0, 0))
    for objective in result.objectives:
        colour = _VERDICT_COLOURS[objective.verdict]
        table.add_row(
            escape(objective.name), escape(objective.text), _with_interval(objective),
            f"{objective.held} of {seeds}", f"[{colour}]{objective.verdict}[/]",
        )  # fmt: skip
    out.print(table)
    if result.p99 is not None:
        out.print(f"p99   {_spread(result.p99, _milliseconds)}")
    out.print(f"cost  {_spread(result.cost, lambda hours: f'{hours:.3f}')} instance-hours")


def _spread(interval: Interval, spell: Callable[[float], str]) -> str:
    half = f" +/- {spell(interval.half)}" if math.isfinite(interval.half) else ""
    return spell(interval.mean) + half


def _short(value: str) -> str:
    """``max=4`` of ``fleet.app.max=4``."""
    path, _, rest = value.partition("=")
    return f"{path.rpartition('.')[2]}={rest}"


def print_sweep(results: list[Result], seeds: int) -> None:
    """A row per combination of values."""
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("values", overflow="fold")
    for objective in results[0].objectives:
        table.add_column(escape(f"{objective.name}\n{objective.text}"))
    table.add_column("p99")
    table.add_column("instance-hours")
    for result in results:
        cells = [
            f"[{_VERDICT_COLOURS[one.verdict]}]{_with_interval(one)}[/]\n{one.verdict}, {one.held} of {seeds}"
            for one in result.objectives
        ]
        p99 = _milliseconds(result.p99.mean) if result.p99 else "no data"
        table.add_row(
            escape("\n".join(_short(value) for value in result.values)),
            *cells,
            p99,
            f"{result.cost.mean:.3f}",
        )
    out.print(table)


def print_verdict(summary: dict[str, Any], directory: Path, again: str, seconds: float) -> None:
    """The verdict of one run: objectives, figures, where it lies and how to repeat it (*seconds*: real time it took)."""
    verdict = coloured(summary["passed"])
    out.print(f"\n[bold]{escape(summary['scenario'])}[/], seed {summary['seed']}: {verdict}")
    if summary["slo"]:
        table = Table("objective", "", "measured", "verdict", box=None, padding=(0, 3, 0, 0))
        for slo in summary["slo"]:
            held = "[green]held[/]" if slo["held"] else "[red]violated[/]"
            table.add_row(escape(slo["name"]), escape(slo["objective"]), _value(slo, slo["value"]), held)
        out.print(table)
    facts = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    facts.add_row("requests", f"{summary['planned']:,} planned, {summary['sent']:,} attempts sent")
    for name, source in summary["sources"].items():
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(
            source["outcomes"].items(), key=lambda item: -item[1]))  # fmt: skip
        facts.add_row("  " + escape(name), told or "nothing planned")
    if summary["latency_ns"]:
        latency = summary["latency_ns"]
        shown = ("mean", "p50", "p95", "p99", "max")
        facts.add_row("latency", ", ".join(f"{key} {_milliseconds(latency[key])}" for key in shown))
    if summary["fleet"]:
        fleet = summary["fleet"]
        facts.add_row("fleet", f"{fleet['least']} to {fleet['most']} servers, mean {fleet['mean']:.2f}, "
                               f"{fleet['last']} at the end")  # fmt: skip
    facts.add_row("cost", f"{summary['instance_hours']:.3f} instance-hours")
    flown = "generator" in summary
    facts.add_row(
        "flown" if flown else "simulated", f"{summary['end_ns'] / SECOND:,.0f} s in {seconds:.1f} s"
    )
    if flown:
        late = summary["generator"]
        sent = f"99% within {_milliseconds(late['late_p99_ns'])} of their time, all within {_milliseconds(late['late_max_ns'])}"
        facts.add_row("sent", sent)
    facts.add_row("digest", summary["digest"])
    out.print(facts)
    # Not in the table, which would break a long line in two.
    last = ("verify", shlex.join(["windtunnel", "verify", str(directory)]))
    if flown:
        last = ("compare", shlex.join(["windtunnel", "compare", "REHEARSAL", str(directory)]))
    page = directory / "report.html"
    report = [("report", str(page))] if page.is_file() else []
    traces = sorted(path.name for path in directory.glob("trace.*"))
    report += [("traces", ", ".join(traces))] if traces else []
    for what, text in (("run", str(directory)), *report, ("again", again), last):
        out.print(f"{what:<9}   {text}", markup=False)
