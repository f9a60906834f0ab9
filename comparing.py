"""Comparing runs by their directories: what the API and the command line share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyarrow import ArrowException

from .core.tolerance import Tolerances
from .reports.comparison import Comparison, compare_evidence
from .reports.evidence import Evidence
from .reports.run import Run, RunError
from .reports.wording import listed
from .scenarios.build import compile_plan
from .scenarios.differences import differences
from .scenarios.scenario import Scenario
from .scenarios.tolerances import tolerances as read_tolerances

MOST_FIELDS = 5


def compare(
    a: str | Path,
    b: str | Path,
    *,
    tolerances: Tolerances | Sequence[str] = (),
    out: str | Path | None = None,
) -> Comparison:
    """Compare the run in directory *b* with the one in *a*: a rehearsal and its flight, or two rehearsals.

    *tolerances* change the defaults (core.tolerance.DEFAULTS) if they are texts (``p95=30%``, or a file's name), else they replace them.
    *out*: a page (.html) or picture (.png, .svg, .pdf) to write. Raises RunError for a directory without a run or with a damaged one,
    ScenarioError or UsageError for bad tolerances.
    """
    allowed = tolerances if isinstance(tolerances, dict) else read_tolerances(list(tolerances))
    if out is not None:
        from .reports.comparison_page import check_suffix, write_comparison

        check_suffix(Path(out))
    (first, one), (second, two) = _read(Path(a)), _read(Path(b))
    notes = [*_unlike(one, two), *_worlds(Path(a), Path(b))]
    try:
        found = compare_evidence(first, second, allowed, (str(a), str(b)), notes)
        if out is not None:
            write_comparison(found, (first, second), Path(out))
    except (ArrowException, OSError) as error:
        # What pyarrow cannot decode is an OSError without a number; one with a number is the disk's.
        if getattr(error, "errno", None) is not None:
            raise
        raise RunError(f"{a} or {b}: damaged run: {error}") from None
    return found


def _read(folder: Path) -> tuple[Evidence, Scenario]:
    run = Run.open(folder)
    scenario = Scenario.load(folder / "scenario.yaml")
    return Evidence.of(run, compile_plan(scenario).fleet), scenario


def _unlike(first: Scenario, second: Scenario) -> list[str]:
    """In what the runs' scenarios and seeds differ."""
    notes = []
    if first.name != second.name:
        notes.append(f"the scenarios differ: {first.name}, then {second.name}")
    fields = differences(first, second)
    if fields:
        notes.append(f"the scenarios differ in {listed(fields, MOST_FIELDS)}")
    if first.document.seed != second.document.seed:
        notes.append(f"the seeds differ: {first.document.seed}, then {second.document.seed}")
    return notes


def _worlds(first: Path, second: Path) -> list[str]:
    here, there = _backend(first), _backend(second)
    return [] if here == there else [f"the backends differ: {here}, then {there}"]


def _backend(folder: Path) -> str:
    path = folder / "host.json"
    if not path.is_file():
        return "unknown"
    try:
        host: Any = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: damaged run: {error}") from None
    return str(host.get("backend", "unknown")) if isinstance(host, dict) else "unknown"
