"""What commands share: exit codes, arguments and options, preparation, interruption."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from .api import world_of
from .scenarios.file_notes import file_notes
from .scenarios.references import warnings
from .scenarios.scenario import Scenario
from .terminal import err

PASSED, INTERNAL, USAGE, VIOLATED, BACKEND, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="a file, or a scenario of the library by name")
]
RunDirectory = Annotated[
    Path, typer.Argument(metavar="RUN", help="a run's directory, also a flight's, or one cut off")
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
EngineOption = Annotated[str, typer.Option(help="kernel, or simpy, the reference: the same result")]
JunitOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="write the verdicts as JUnit XML, a test case per objective", dir_okay=False
    ),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="what was measured of a machine, for which the rehearsal is to stand"),
]
TraceOption = Annotated[
    bool,
    typer.Option(
        "--trace",
        help="write trace.otlp.jsonl and trace.perfetto.json: every failed request, the slowest, some of the rest; the roles of a flight name traces in their logs",
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="processes at once, with --seeds")]


def prepare(engine: str = "kernel", backend: str = "sim") -> None:
    """Compile what must be compiled, and say so, before anything is timed or written."""
    with interruptible():
        world = world_of(backend, engine)
        if not world.prepared:
            err.print("compiling the kernel: once for this version and machine, under a minute")
        world.prepare()


def free_directory(base: str) -> Path:
    """A folder under ``runs/`` that does not exist yet, called after *base*."""
    base = "".join(c if c.isalnum() or c in "-_." else "-" for c in base)
    for number in itertools.count(1):
        path = Path("runs") / (base if number == 1 else f"{base}.{number}")
        if not path.exists():
            return path
    raise AssertionError("unreachable")


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C inside is exit code 130, and nothing was written."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted; nothing was written")
        raise typer.Exit(INTERRUPTED) from None


def warn(scenario: Scenario) -> None:
    """Notes on what is legal and perhaps not meant."""
    for warning in [*warnings(scenario.document), *file_notes(scenario.document, scenario.folder)]:
        err.print(f"note: {warning}", markup=False)


def deploy_commands(app: typer.Typer) -> typer.Typer:
    """The group ``deploy`` of *app*, which several modules add their commands to."""
    for group in app.registered_groups:
        if group.name == "deploy" and group.typer_instance is not None:
            return group.typer_instance
    made = typer.Typer(
        help="Build, rehearse and deploy what is pushed.", no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(made, name="deploy")
    return made
