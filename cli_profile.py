"""The command ``profile``."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .cli_explain import parse_time
from .core.errors import UsageError
from .core.model import SECOND
from .profiling import Profile
from .profiling import profile as profile_run
from .reports.profiler.map import Map
from .reports.wording import moment
from .terminal_profile import print_errors, print_hints, print_map
from .terminal_trace import note_cut_off


def profile(
    directory: Annotated[
        Path, typer.Argument(metavar="RUN", help="a run's directory, also a flight's, or one cut off")
    ],
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="the map of the second that begins then, or of FROM..TO, such as 3m10s or 1:00..1:30; default the whole run"),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="print map, errors and hints as JSON")] = False,
) -> None:  # fmt: skip
    """Show a run's map, its errors by signature with their origins, and hints on what slows it down."""
    window = None if at is None else parse_window(at)
    found = profile_run(directory)
    end = found.evidence.end
    start, stop = window or (0, max(end, 1))
    if start >= max(end, 1):
        raise UsageError(f"--at: expected a time before {moment(end)}, when the run ended, got {at!r}")
    chart = found.map(start, stop)
    if json_:
        print(json.dumps(as_data(found, chart), indent=2))
        return
    print_map(chart)
    if window is None:
        print_errors(found.diagnosis)
        print_hints(found.hints)
    note_cut_off(found.run)


def parse_window(text: str) -> tuple[int, int]:
    """(from, to) in ns of ``3m10s``, which is one second, or ``1:00..1:30``. Raises UsageError."""
    first, dots, last = text.partition("..")
    start = parse_time(first)
    end = parse_time(last) if dots else start + SECOND
    if end <= start:
        raise UsageError(f"--at: expected a time that ends after it begins, got {text!r}")
    return start, end


def as_data(found: Profile, chart: Map) -> dict[str, Any]:
    """All of it as plain data (docs/profiler.md)."""
    diagnosis = found.diagnosis
    return {
        "map": dataclasses.asdict(chart),
        "requests": diagnosis.requests,
        "failed": diagnosis.count,
        "origins": [dataclasses.asdict(one) for one in diagnosis.origins],
        "failures": [dataclasses.asdict(one) for one in diagnosis.failures],
        "hints": [one.as_data() for one in found.hints],
    }


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel profile runs/monkey --at 3:10")(profile)
