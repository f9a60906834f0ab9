"""The command ``policies``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as RichTable

from .cli_shared import JobsOption, interruptible, prepare
from .core.model import SECOND
from .policy_table import OPTIMUM, Progress, Table, as_data, policy_tables
from .reports.policy_score import BIN
from .reports.wording import measured
from .terminal import err, out


def policies(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="scenarios, and the policies to rehearse each of them with", dir_okay=False
        ),
    ],
    jobs: JobsOption = 1,
    budget: Annotated[int, typer.Option(min=0, help="rehearsals to improve each optimum with")] = 40,
    json_: Annotated[bool, typer.Option("--json", help="print the tables alone, as JSON")] = False,
) -> None:
    """Rehearse scaling policies beside each other and beside the cheapest schedule of one who knows the future."""
    prepare()
    with interruptible(), _told(not json_) as progress:
        tables = policy_tables(file, jobs=jobs, budget=budget, progress=progress)
    if json_:
        out.print(json.dumps(as_data(tables), indent=2), markup=False)
        return
    for table in tables:
        _print(table)
    out.print(
        f"\nViolated: time in stretches of {BIN // SECOND} s in which an objective was. hours: paid instance time. "
        f"cost: of that of the {OPTIMUM}, the cheapest schedule found by one who knows the future."
    )


@contextmanager
def _told(wanted: bool) -> Iterator[Progress | None]:
    """What is being done, on a terminal only."""
    if not wanted or not err.is_terminal:
        yield None
        return
    with err.status("") as status:
        yield lambda text: status.update(escape(text))


def _print(table: Table) -> None:
    out.print(f"\n[bold]{escape(table.scenario)}[/], {table.length // SECOND} s")
    shown = RichTable(box=None, header_style="bold", pad_edge=False)
    shown.add_column("policy", no_wrap=True)
    for name in ("violated", "hours", "cost", "actions", "reversals", "worst p99"):
        shown.add_column(name, justify="right", no_wrap=True)
    least = table.rows[0].score.instance_ns
    for row in table.rows:
        one = row.score
        p99 = "none" if one.worst_p99 < 0 else measured("ns", one.worst_p99)
        shown.add_row(
            escape(row.policy), f"{one.violated_ns // SECOND} s", f"{one.instance_ns / (3600 * SECOND):.3f}",
            f"{one.instance_ns / max(least, 1):.0%}", str(one.actions), str(one.reversals), p99,
        )  # fmt: skip
    out.print(shown)


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel policies policies.yaml --jobs 2")(policies)
