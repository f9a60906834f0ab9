"""The command ``import-policy``."""

from pathlib import Path
from typing import Annotated

import typer

from .scenarios.import_metrics import parse_meanings
from .scenarios.import_policy import import_policy as import_files
from .terminal import err


def import_policy(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="a HorizontalPodAutoscaler (YAML or JSON), or the output of aws autoscaling describe-policies and, with it, of describe-auto-scaling-groups and aws cloudwatch describe-alarms",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=METRIC",
            help="what a metric of yours is here: requests (per second), requests/m, in_flight, cpu or memory (per cent); may be repeated",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="of several autoscalers or groups this one")
    ] = None,
) -> None:
    """Write the fleet and autoscaler sections for scaling policies that you have; what cannot be carried over is named on stderr and in comments."""
    imported = import_files(files, parse_meanings(metric or []), name)
    for note in imported.notes:
        err.print(f"note: {note}", markup=False)
    print(imported.text, end="")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(
        "import-policy",
        epilog="Example: windtunnel import-policy hpa.yaml --metric http_requests_per_second=requests > policy.yaml",
    )(import_policy)
