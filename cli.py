"""The command line. Exit codes: 0 passed, 1 internal error, 2 bad usage or scenario, 3 an SLO violated, 4 a backend failed,
5 verify differs, 130 interrupted."""

import itertools
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import __doc__ as package_doc
from .api import Progress as OnSecond
from .api import replay as replay_scenario
from .api import verify as verify_run
from .campaign import (
    Done,
    Objective,
    Result,
    Variant,
    campaign_json,
    check_free,
    run_campaign,
    variants,
    write_sweep,
)
from .core.confidence import Interval
from .core.errors import UsageError
from .core.model import SECOND
from .core.ports import CloudError, RegistryError
from .reports.run import RunError
from .scenarios.problems import ScenarioError
from .scenarios.reference import reference_markdown
from .scenarios.references import warnings
from .scenarios.scenario import Scenario
from .scenarios.scenario import library as library_scenarios
from .scenarios.schema import Document

PASSED, INTERNAL, USAGE, VIOLATED, BACKEND, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

app = typer.Typer(
    help=(package_doc or "").splitlines()[0],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="a file, or a scenario of the library by name")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="change a field, such as fleet.app.max=20; may be repeated"
    ),
]


SeedsOption = Annotated[
    int,
    typer.Option(
        min=1, help="so many seeds from the scenario's on: a verdict per objective with its 95% interval"
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="processes at once, with --seeds")]


def main() -> None:
    """The entry point: every expected failure is one sentence and an exit code."""
    try:
        app(standalone_mode=True)
    except ScenarioError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False)
        sys.exit(USAGE)
    except (RunError, FileExistsError, UsageError) as error:
        err.print(str(error), markup=False)
        sys.exit(USAGE)
    except (CloudError, RegistryError) as error:
        err.print(f"a backend failed: {error}", markup=False)
        sys.exit(BACKEND)
    except OSError as error:
        err.print(f"{error.filename or 'input or output'}: {error.strerror or error}", markup=False)
        sys.exit(INTERNAL)
    except KeyboardInterrupt:
        err.print("interrupted; what was recorded is kept")
        sys.exit(INTERRUPTED)


@app.command(epilog="Example: windtunnel scenarios")
def scenarios() -> None:
    """List the scenarios of the library."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, path in library_scenarios().items():
        text = yaml.safe_load(path.read_text(encoding="utf-8")).get("description", "")
        table.add_row(escape(name), escape(text.strip().split("\n")[0]))
    out.print(table)


@app.command(epilog="Example: windtunnel check my-fleet.yaml --set fleet.app.max=20")
def check(scenario: ScenarioArgument, set_: SetOption = None) -> None:
    """Validate a scenario: every problem with its line, or a sentence of what it holds."""
    document = Scenario.load(scenario, set_ or []).document
    _warn(document)
    out.print(
        f"{scenario}: ok ({document.scenario}: {len(document.traffic)} sources of traffic, "
        f"{len(document.faults)} faults, {len(document.slo)} objectives)",
        markup=False,
    )


@app.command(epilog="Example: windtunnel schema > scenario.schema.json")
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="the reference of docs/scenarios.md instead")
    ] = False,
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    print(reference_markdown() if markdown else json.dumps(Document.model_json_schema(), indent=2))


@app.command(epilog="Example: windtunnel replay chaos-monkey --seed 7 --out runs/monkey")
def replay(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    seed: Annotated[int | None, typer.Option(help="instead of the scenario's")] = None,
    out_: Annotated[
        Path | None, typer.Option("--out", help="new or empty directory for the run; default runs/NAME-SEED")
    ] = None,
    engine: Annotated[str, typer.Option(help="simpy, the reference")] = "simpy",
    backend: Annotated[str, typer.Option(help="world to run in: sim")] = "sim",
    registry: Annotated[
        str | None, typer.Option(help="fakeredis or memory, instead of the scenario's")
    ] = None,
    cloud: Annotated[str | None, typer.Option(help="moto or memory, instead of the scenario's")] = None,
    json_: Annotated[bool, typer.Option("--json", help="print the summary alone, as JSON")] = False,
    figure: Annotated[bool, typer.Option(help="draw figures/run.png")] = True,
    seeds: SeedsOption = 1,
    jobs: JobsOption = 1,
) -> None:
    """Replay a scenario in virtual time: run directory, verdict, digest, figure; or over many seeds, with intervals."""
    if seeds > 1:
        given = {"--out": out_, "--registry": registry, "--cloud": cloud}
        named = [name for name, value in given.items() if value is not None]
        if named or engine != "simpy" or backend != "sim":
            raise UsageError(f"expected no {named[0] if named else '--engine or --backend'} with --seeds")
        _replay_seeds(scenario, set_ or [], seed, seeds, jobs, json_)
    loaded = Scenario.load(scenario, set_ or [])
    if seed is not None:
        loaded = loaded.with_seed(seed)
    directory = out_ or _free_directory(f"{loaded.name}-{loaded.document.seed}")
    _warn(loaded.document)
    started = time.monotonic()
    try:
        with _progress(not json_) as on_second:
            run = replay_scenario(
                loaded, out=directory, engine=engine, backend=backend, registry=registry, cloud=cloud,
                progress=on_second, figure=figure,
            )  # fmt: skip
    except KeyboardInterrupt:
        err.print(f"interrupted; what was recorded until then is in {directory}", markup=False)
        raise typer.Exit(INTERRUPTED) from None
    if json_:
        print(json.dumps(run.summary, indent=2))
    else:
        again = ["windtunnel", "replay", scenario, *(part for text in set_ or [] for part in ("--set", text))]
        again += ["--seed", str(run.summary["seed"])]
        _print_verdict(run.summary, directory, shlex.join(again), time.monotonic() - started)
    raise typer.Exit(PASSED if run.passed else VIOLATED)


def _replay_seeds(
    scenario: str, sets: list[str], seed: int | None, seeds: int, jobs: int, json_: bool
) -> NoReturn:
    loaded = Scenario.load(scenario, sets)
    variant = Variant((), loaded if seed is None else loaded.with_seed(seed))
    _warn(loaded.document)
    with _interruptible(), _counter(not json_) as done:
        (result,) = run_campaign([variant], seeds, jobs, done)
    if json_:
        print(json.dumps(campaign_json([result]), indent=2))
    else:
        first = variant.scenario.document.seed
        out.print(
            f"\n[bold]{escape(loaded.name)}[/], seeds {first} to {first + seeds - 1}: {_coloured(result.passed)}"
        )
        _print_objectives(result, seeds)
    raise typer.Exit(PASSED if result.passed else VIOLATED)


@app.command(epilog="Example: windtunnel sweep chaos-monkey --set fleet.app.max=2,4,8 --seeds 5 --jobs 2")
def sweep(
    scenario: ScenarioArgument,
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="PATH=A,B,...", help="values of a field; several fields are combined"),
    ],
    seeds: SeedsOption = 1,
    jobs: JobsOption = 1,
    out_: Annotated[
        Path | None, typer.Option("--out", help="new or empty directory; default runs/sweep-NAME")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="print the results alone, as JSON")] = False,
) -> None:
    """Replay a scenario for each value of a field (or combination): a table and a figure of objectives and cost."""
    chosen = variants(scenario, set_)
    directory = check_free(out_ or _free_directory(f"sweep-{chosen[0].scenario.name}"))
    with _interruptible(), _counter(not json_) as done:
        results = run_campaign(chosen, seeds, jobs, done)
    write_sweep(directory, chosen[0].scenario.name, seeds, results)
    if json_:
        print(json.dumps(campaign_json(results), indent=2))
    else:
        _print_sweep(results, seeds)
        out.print(f"\nfigure: {directory / 'sweep.png'}", markup=False)


@app.command(epilog="Example: windtunnel verify runs/monkey")
def verify(
    directory: Annotated[Path, typer.Argument(help="a run's directory")],
) -> None:
    """Replay a run's scenario again and compare every event and every row with what it recorded."""
    with _interruptible(), _progress(True) as on_second:
        recorded, difference = verify_run(directory, on_second)
    if difference is None:
        out.print(f"identical: {len(recorded.lines)} events, {recorded.requests.num_rows} requests, "
                  f"{recorded.attempts.num_rows} attempts, digest {recorded.digest}")  # fmt: skip
        raise typer.Exit(PASSED)
    out.print(f"differs, first in {difference}", markup=False)
    raise typer.Exit(DIFFERS)


def _free_directory(base: str) -> Path:
    base = "".join(c if c.isalnum() or c in "-_." else "-" for c in base)
    for number in itertools.count(1):
        path = Path("runs") / (base if number == 1 else f"{base}.{number}")
        if not path.exists():
            return path
    raise AssertionError("unreachable")


@contextmanager
def _progress(wanted: bool) -> Iterator[OnSecond | None]:
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
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted; nothing was written")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _counter(wanted: bool) -> Iterator[Done | None]:
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


def _warn(document: Document) -> None:
    for warning in warnings(document):
        err.print(f"note: {warning}", markup=False)


def _milliseconds(ns: float) -> str:
    return f"{ns / 1e6:,.2f} ms"


def _value(slo: dict[str, Any], value: float | None) -> str:
    if value is None:
        return "no data"
    if slo["unit"] == "ns":
        return _milliseconds(value)
    return f"{value:.3%}" if slo["unit"] == "1" else f"{value:,.1f}/s"


def _coloured(passed: bool) -> str:
    return "[bold green]passed[/]" if passed else "[bold red]violated[/]"


def _with_interval(objective: Objective) -> str:
    if objective.interval is None:
        return "no data"
    return _spread(objective.interval, lambda value: _value({"unit": objective.unit}, value))


_VERDICT_COLOURS = {"held": "green", "violated": "red", "undecided": "yellow", "no data": "green"}


def _print_objectives(result: Result, seeds: int) -> None:
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


def _print_sweep(results: list[Result], seeds: int) -> None:
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


def _print_verdict(summary: dict[str, Any], directory: Path, again: str, seconds: float) -> None:
    verdict = _coloured(summary["passed"])
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
    facts.add_row("simulated", f"{summary['end_ns'] / SECOND:,.0f} s in {seconds:.1f} s")
    facts.add_row("digest", summary["digest"])
    out.print(facts)
    # Not in the table, which would break a long line in two.
    verify_it = shlex.join(["windtunnel", "verify", str(directory)])
    for what, text in (("run", str(directory)), ("again", again), ("verify", verify_it)):
        out.print(f"{what:<9}   {text}", markup=False)
