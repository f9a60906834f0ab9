"""The command ``compare``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .comparing import compare as compare_runs
from .reports.comparison_words import as_data
from .terminal import err, out
from .terminal_compare import print_comparison

WITHIN, OUTSIDE = 0, 3
"""Exit codes."""


def compare(
    a: Annotated[Path, typer.Argument(help="a run's directory: the rehearsal, or the run before a change")],
    b: Annotated[Path, typer.Argument(help="a run's directory: the flight, or the run after it")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOLERANCE",
            help="NAME=VALUE, such as p95=30%, fleet_size=1 or p50=any (none), or a YAML file of such; may be repeated",
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="print the comparison alone, as JSON")] = False,
    out_: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="write a page (.html), or its figure (.png, .svg, .pdf)"),
    ] = None,
) -> None:
    """Compare two runs: throughput, percentiles, outcomes, fleet and decisions, with intervals; exit code 3 if one is outside its tolerance."""
    found = compare_runs(a, b, tolerances=tolerance or [], out=out_)
    if json_:
        for note in found.notes:
            err.print(f"note: {note}", markup=False)
        out.print(json.dumps(as_data(found), indent=2), markup=False)
    else:
        print_comparison(found, out_)
    raise typer.Exit(WITHIN if found.within else OUTSIDE)


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: windtunnel compare runs/shop-1 runs/shop-1.2 --tolerance p95=30% --out compared.html"
    )(compare)
