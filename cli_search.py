"""The command ``search``: which load, faults and settings break the fleet, as the smallest scenario that does."""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from .cli_shared import INTERNAL, INTERRUPTED, PASSED, VIOLATED, ScenarioArgument, SetOption, prepare, warn
from .reports.wording import listed, plural
from .scenarios.scenario import Scenario
from .terminal import err, out

if TYPE_CHECKING:
    from .searching import Progress, Searched, Told

BudgetOption = Annotated[
    int | None, typer.Option(min=1, help="experiments at most; omitted: what the scenario says, or 1000")
]
SearchSeedOption = Annotated[
    int, typer.Option(min=0, help="of the search itself: the same seed finds the same")
]
SearchJobsOption = Annotated[
    int | None, typer.Option(min=1, help="processes at once; they change no result; omitted: one per core")
]
FolderOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", file_okay=False, help="where found scenarios are written")
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        help="what was found before is tried first, and what is found is kept there; none: neither",
    ),
]
RandomOption = Annotated[
    bool, typer.Option("--random", help="a random search, not a guided one: to compare with")
]
EveryOption = Annotated[
    bool,
    typer.Option(
        "--every", help="go on until every objective and invariant is broken, or the budget is used up"
    ),
]


def search(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    budget: BudgetOption = None,
    seed: SearchSeedOption = 0,
    jobs: SearchJobsOption = None,
    folder: FolderOption = Path("found"),
    database: DatabaseOption = ".windtunnel/search",
    random: RandomOption = False,
    every: EveryOption = False,
) -> None:
    """Look for load, faults and settings, of those that the scenario's `search` allows, that break an objective or an invariant; write the smallest scenario that does."""
    from .search_database import Examples
    from .searching import checked, search_scenario

    loaded = Scenario.load(scenario, set_ or [])
    warn(loaded)
    space = checked(loaded)
    examples = None if database == "none" else Examples(Path(database), space)
    prepare()
    first = examples.load() if examples else []
    if first:
        err.print(
            f"note: {plural(len(first), 'example')} of earlier searches tried first ({database})",
            markup=False,
        )
    started = time.monotonic()
    with _bar() as told:
        found = search_scenario(
            loaded,
            budget=budget,
            seed=seed,
            jobs=jobs or os.cpu_count() or 1,
            guided=not random,
            every=every,
            first=first,
            told=told,
        )
    seconds = time.monotonic() - started
    if examples:
        examples.save([finding.candidate for finding in found.findings])
    written = _write(found, folder, _again(scenario, set_ or [], seed, budget, random))
    _tell(found, seconds)
    if found.interrupted:
        raise typer.Exit(INTERRUPTED)
    if found.findings and not written:
        raise typer.Exit(INTERNAL)
    raise typer.Exit(VIOLATED if found.findings else PASSED)


@contextmanager
def _bar() -> "Iterator[Told]":
    """A bar with the experiments done, on a terminal only."""
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[at]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("searching", total=None, at="")

        def told(now: "Progress") -> None:
            near = "violated" if now.nearest >= 1 else f"{now.nearest:.0%} of the way to a violation"
            at = f"{now.done:,} of {now.budget:,} experiments, {now.states:,} engine states, {near}"
            what = "shrinking" if now.shrinking else "searching"
            bar.update(task, description=what, completed=now.done, total=now.budget, at=now.shrinking or at)

        yield told


def _again(scenario: str, sets: list[str], seed: int, budget: int | None, random: bool) -> str:
    changes = [word for one in sets for word in ("--set", one)]
    words = ["windtunnel", "search", scenario, *changes, "--seed", str(seed)]
    words += [] if budget is None else ["--budget", str(budget)]
    return shlex.join([*words, *(["--random"] if random else [])])


def _write(found: "Searched", folder: Path, again: str) -> list[Path]:
    """Write each finding, once it was reproduced."""
    from .reproducing import NotReproduced, reproduce, write_reproducer

    paths: list[Path] = []
    for finding in found.findings:
        try:
            made = reproduce(found.space, finding, again)
        except NotReproduced as error:
            err.print(f"not written: {error}; please report this, with the scenario", markup=False)
            continue
        path = write_reproducer(made, folder)
        paths.append(path)
        also = [name for name in made.goals if name != finding.goal.name]
        out.print(f"[bold red]{finding.goal.name}[/] violated" + (f" (and {listed(also)})" if also else ""))
        for line in made.text.splitlines():
            if not line.startswith("#"):
                break
            out.print(f"  {line.removeprefix('#').strip()}", markup=False)
        out.print(f"  {path}", markup=False)
        out.print(f"  again: windtunnel replay {shlex.quote(str(path))}\n", markup=False)
    return paths


def _tell(found: "Searched", seconds: float) -> None:
    shrunk = sum(finding.steps for finding in found.findings)
    further = f", {shrunk:,} more to shrink" if shrunk else ""
    end = ", and nothing was left to try" if found.exhausted else ""
    out.print(
        f"{found.experiments:,} experiments{further} in {seconds:.1f} s, {found.states:,} engine states{end}",
        markup=False,
    )
    if found.findings:
        return
    pairs = sorted(zip(found.nearest, [goal.name for goal in found.space.goals], strict=True), reverse=True)
    near = [f"{name} {ratio:.0%}" for ratio, name in pairs if ratio > 0.0]
    out.print(
        "nothing was broken" + (f"; nearest to its bound: {listed(near, 3)}" if near else ""), markup=False
    )


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(epilog="Example: windtunnel search my-fleet.yaml --budget 5000 --seed 7")(search)
