"""The command ``backtest``."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .backtesting import backtest as backtest_run
from .cli_shared import RunDirectory, SetOption
from .reports.backtest_words import HEADER, as_data, rows, sentences
from .terminal import out

MOST_LINES = 20
"""Lines of the table; JSON has every turn."""


def backtest(
    directory: RunDirectory,
    set_: SetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="print every turn alone, as JSON")] = False,
) -> None:
    """Ask another policy (or other bounds, or another cooldown) what it would have decided by what a run's autoscaler saw, and say how far that can be known."""
    found = backtest_run(directory, set_ or [])
    if json_:
        print(json.dumps(as_data(found), indent=2))
        return
    for sentence in sentences(found):
        out.print(sentence, markup=False)
    lines = rows(found)
    if not lines:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(HEADER):
        table.add_column(name, no_wrap=place == 0)
    for line in lines[:MOST_LINES]:
        table.add_row(*map(escape, line))
    out.print()
    out.print(table)
    if len(lines) > MOST_LINES:
        out.print(f"{len(lines) - MOST_LINES} lines more; --json has every turn", markup=False)


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        epilog="Example: windtunnel backtest runs/shop-1 --set autoscaler.policy.threshold.requests_high=250/s"
    )(backtest)
