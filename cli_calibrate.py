"""The command ``calibrate``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from .backends.local.options import Figures
from .calibrating import calibrate as calibrate_machine
from .cli_flight import in_words
from .cli_shared import interruptible
from .reports.storage import write_whole
from .terminal import err, out


def calibrate(
    out_: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="write the profile there; omitted: it is printed"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="half the time, with a wider spread")] = False,
    demand: Annotated[
        str, typer.Option(help="of the flights to be rehearsed: sleep for a request's CPU time, or burn it")
    ] = "sleep",
) -> None:
    """Measure this machine by a flight of some 15 s and write its profile, with which a rehearsal stands for a flight here (replay --profile)."""
    columns = (TextColumn("calibrating"), BarColumn(bar_width=20), TextColumn("{task.fields[at]}"))
    with (
        interruptible(),
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar,
    ):
        task = bar.add_task("", total=1.0, at="starting the fleet")

        def watch(figures: Figures) -> None:
            bar.update(task, completed=min(figures.now / figures.end, 1.0), at=in_words(figures))

        found = calibrate_machine(demand=demand, quick=quick, watch=watch)
    for warning in found.warnings:
        err.print(f"note: {warning}", markup=False)
    if out_ is None:
        print(found.text, end="")
        return
    write_whole(out_, found.text)
    out.print(
        f"{out_}: written; now: windtunnel replay SCENARIO --profile {out_}, "
        "windtunnel replay SCENARIO --backend local, windtunnel compare",
        markup=False,
    )


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel calibrate --out profile.yaml")(calibrate)
