"""Commands over many rehearsals: ``sweep``, and ``replay --seeds``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from .campaign import (
    Variant,
    campaign_json,
    cases_of_campaign,
    check_free,
    run_campaign,
    variants,
    write_sweep,
)
from .cli_shared import (
    PASSED,
    VIOLATED,
    JobsOption,
    ScenarioArgument,
    SeedsOption,
    free_directory,
    interruptible,
    prepare,
    warn,
)
from .core.errors import UsageError
from .reports.junit import write_junit
from .scenarios.scenario import Scenario
from .terminal import coloured, counter, out, print_objectives, print_sweep


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: windtunnel sweep chaos-monkey --set fleet.app.max=2,4,8 --seeds 5 --jobs 2")(
        sweep
    )


def check_plain(given: Mapping[str, object], other_world: bool) -> None:
    """Many seeds are rehearsed on the kernel and keep summaries only. Raises UsageError for options that ask for anything else."""
    named = [name for name, value in given.items() if value is not None]
    if named or other_world:
        raise UsageError(f"expected no {named[0] if named else '--engine or --backend'} with --seeds")


def replay_seeds(
    scenario: str, sets: list[str], seed: int | None, seeds: int, jobs: int, json_: bool, junit: Path | None
) -> NoReturn:
    """Rehearse one scenario over *seeds* seeds and end with the verdict over them."""
    loaded = Scenario.load(scenario, sets)
    variant = Variant((), loaded if seed is None else loaded.with_seed(seed))
    warn(loaded)
    prepare()
    with interruptible(), counter(not json_) as done:
        (result,) = run_campaign([variant], seeds, jobs, done)
    first = variant.scenario.document.seed
    if junit:
        facts = {"seeds": f"{first} to {first + seeds - 1}"}
        write_junit(junit, loaded.name, cases_of_campaign(result), facts)
    if json_:
        print(json.dumps(campaign_json([result]), indent=2))
    else:
        out.print(
            f"\n[bold]{escape(loaded.name)}[/], seeds {first} to {first + seeds - 1}: {coloured(result.passed)}"
        )
        print_objectives(result, seeds)
    raise typer.Exit(PASSED if result.passed else VIOLATED)


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
    directory = check_free(out_ or free_directory(f"sweep-{chosen[0].scenario.name}"))
    prepare()
    with interruptible(), counter(not json_) as done:
        results = run_campaign(chosen, seeds, jobs, done)
    write_sweep(directory, chosen[0].scenario.name, seeds, results)
    if json_:
        print(json.dumps(campaign_json(results), indent=2))
    else:
        print_sweep(results, seeds)
        out.print(f"\nfigure: {directory / 'sweep.png'}", markup=False)
