"""The command ``explain``."""

import json
import re
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .backtesting import Explanation
from .backtesting import explain as explain_run
from .cli_shared import RunDirectory
from .core.errors import UsageError
from .core.model import SECOND
from .reports.explanation import HEADER, Situation
from .reports.wording import moment
from .scenarios.units import parse_duration
from .terminal import err, out

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{2}(?:\.\d{1,9})?)\Z")


def explain(
    directory: RunDirectory,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="the turn at or before this time, such as 3m10s or 3:10"),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="print the sentences alone, as JSON")] = False,
) -> None:
    """Say why the fleet had the size that it had: every change, what it came from and what limited it; or one turn with its inputs."""
    time = None if at is None else parse_time(at)
    explanation = explain_run(directory)
    if time is not None:
        _print_situation(explanation.at(time), json_)
    else:
        _print_story(explanation, json_)


def parse_time(text: str) -> int:
    """ns of ``3m10s`` or ``3:10``. Raises UsageError."""
    match = _CLOCK.match(text.strip())
    if match:
        hours, minutes, seconds = match.groups()
        return (int(hours or 0) * 3600 + int(minutes) * 60) * SECOND + round(float(seconds) * SECOND)
    try:
        return parse_duration(text.strip())
    except ValueError:
        raise UsageError(f"--at: expected a time such as 3m10s or 3:10, got {text!r}") from None


def _print_story(explanation: Explanation, json_: bool) -> None:
    sentences = explanation.story()
    if json_:
        print(
            json.dumps([{"start_ns": s.start, "end_ns": s.end, "text": s.text} for s in sentences], indent=2)
        )
        return
    width = max(len(sentence.when) for sentence in sentences)
    for sentence in sentences:
        out.print(f"{sentence.when:<{width}}  {sentence.text}", markup=False)
    if explanation.run.partial:
        err.print("note: the run was cut off; this is up to the last part that it wrote", markup=False)


def _print_situation(found: Situation, json_: bool) -> None:
    if json_:
        seen = [dict(zip(HEADER, row, strict=True)) for row in found.servers]
        print(json.dumps({"time_ns": found.time, "sentences": found.sentences, "servers": seen}, indent=2))
        return
    out.print(f"The turn at {moment(found.time)}:", markup=False)
    for sentence in found.sentences:
        out.print(sentence, markup=False)
    if found.servers:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for place, name in enumerate(HEADER):
            table.add_column(name, justify="right" if 1 < place < len(HEADER) - 1 else "left")
        for row in found.servers:
            table.add_row(*map(escape, row))
        out.print()
        out.print(table)


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel explain runs/shop-1 --at 1m8s")(explain)
