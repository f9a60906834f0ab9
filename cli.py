"""The command line. Exit codes: 0 passed, 1 internal error, 2 bad usage or scenario, 3 an SLO violated, 4 a backend failed,
5 verify differs, 130 interrupted."""

import itertools
import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

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
) -> None:
    """Replay a scenario in virtual time: run directory, verdict, digest, figure."""
    loaded = Scenario.load(scenario, set_ or [])
    if seed is not None:
        loaded = loaded.with_seed(seed)
    directory = out_ or _free_directory(loaded)
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


@app.command(epilog="Example: windtunnel verify runs/monkey")
def verify(
    directory: Annotated[Path, typer.Argument(help="a run's directory")],
) -> None:
    """Replay a run's scenario again and compare every event and every row with what it recorded."""
    with _progress(True) as on_second:
        recorded, difference = verify_run(directory, on_second)
    if difference is None:
        out.print(f"identical: {len(recorded.lines)} events, {recorded.requests.num_rows} requests, "
                  f"{recorded.attempts.num_rows} attempts, digest {recorded.digest}")  # fmt: skip
        raise typer.Exit(PASSED)
    out.print(f"differs, first in {difference}", markup=False)
    raise typer.Exit(DIFFERS)


def _free_directory(scenario: Scenario) -> Path:
    base = f"{scenario.name}-{scenario.document.seed}"
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


def _print_verdict(summary: dict[str, Any], directory: Path, again: str, seconds: float) -> None:
    verdict = "[bold green]passed[/]" if summary["passed"] else "[bold red]violated[/]"
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
