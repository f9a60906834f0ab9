"""Scaling policies beside each other, and beside the cheapest schedule of one who knows the future.

For each scenario: every policy is rehearsed as it is; fixed fleets of every size up to ``fleet.app.max`` show how many servers each stretch of
time takes; core.policies.optimum makes the cheapest schedule of that and lowers it as far as rehearsals of it keep the objectives. Schedules launch so
long before the need as a boot may take (its 99.9th percentile).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .api import replay
from .core.errors import UsageError
from .core.model import SECOND
from .core.policies.optimum import Sizes, bridged, changes, improve, needed
from .parallel import collects_garbage, in_processes
from .reports.evidence import Evidence
from .reports.policy_score import BIN, Score, score
from .scenarios.build import compile_plan
from .scenarios.policies_file import Entry, read_policies
from .scenarios.scenario import Scenario
from .scenarios.schema import AutoscalerModel

OPTIMUM = "optimum"
"""The name of the schedule's row."""

LONG = 2 * 3600 * SECOND
"""Rehearsals longer than this (ns) go through files: days of traffic are more than memory holds."""

LATE_BOOT = 0.999
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When schedules begin: any moment would do."""

Progress = Callable[[str], None]
"""Told what is being rehearsed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A policy, or OPTIMUM, and its score."""

    policy: str
    score: Score


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a scenario, the optimum first, and its length (ns). *schedule*: the optimum's servers per bin of BIN ns."""

    scenario: str
    length: int
    schedule: Sizes
    rows: tuple[Row, ...]


def policy_tables(
    path: str | Path, *, jobs: int = 1, budget: int = 40, progress: Progress | None = None
) -> list[Table]:
    """Rehearse what the file at *path* names. *budget*: rehearsals to improve each optimum with.

    Raises ScenarioError for a bad file or scenario, UsageError for a scenario without objectives or maximum.
    """
    if jobs < 1 or budget < 0:
        raise UsageError(f"expected at least 1 job and a budget of 0 or more, got {jobs} and {budget}")
    entries = read_policies(Path(path))
    for entry in entries:
        _check(entry.scenario)
    return [_table(entry, jobs, budget, progress or (lambda text: None)) for entry in entries]


def _check(scenario: Scenario) -> None:
    if not scenario.document.slo:
        raise UsageError(
            f"{scenario.origin}: expected objectives (slo), without which no policy is better than another"
        )
    if not scenario.document.fleet.app.max:
        raise UsageError(f"{scenario.origin}: expected fleet.app.max, the largest fleet to look at")


@collects_garbage
def rehearse(scenario: Scenario) -> Score:
    """Rehearse *scenario* and score it."""
    with TemporaryDirectory() as folder:
        out = Path(folder) if scenario.document.duration > LONG else None
        run = replay(scenario, registry="memory", cloud="memory", out=out, figure=False)
        return score(Evidence.of(run, compile_plan(scenario).fleet))


def _table(entry: Entry, jobs: int, budget: int, progress: Progress) -> Table:
    base = entry.scenario
    fixed = list(_fixed_fleets(base))
    tasks = [*fixed, *entry.rivals.values()]
    found = []
    for number, one in enumerate(in_processes(rehearse, tasks, min(jobs, len(tasks))), 1):
        found.append(one)
        progress(f"{base.name}: {number} of {len(tasks)} fleets and policies")
    schedule, best = _optimum(base, [one.violated for one in found[: len(fixed)]], budget, progress)
    rivals = zip(entry.rivals, found[len(fixed) :], strict=True)
    rows = (Row(OPTIMUM, best), *(Row(name, one) for name, one in rivals))
    return Table(base.name, base.document.duration, schedule, rows)


def _fixed_fleets(base: Scenario) -> Iterator[Scenario]:
    """*base* without an autoscaler, with one server, two, ..."""
    app = base.document.fleet.app
    assert app.max is not None
    for size in range(1, app.max + 1):
        yield _changed(base, {"initial": size, "min": min(app.min, size)}, None)


def _changed(base: Scenario, app: dict[str, Any], autoscaler: Any) -> Scenario:
    fleet = base.document.fleet
    changed = fleet.model_copy(update={"app": fleet.app.model_copy(update=app)})
    return replace(
        base, document=base.document.model_copy(update={"fleet": changed, "autoscaler": autoscaler})
    )


def _optimum(
    base: Scenario, violated: Sequence[Sequence[bool]], budget: int, progress: Progress
) -> tuple[Sizes, Score]:
    boot = compile_plan(base).fleet.app.boot_time
    lead = -(-boot.sample(int(LATE_BOOT * 2**63)) // SECOND) * SECOND
    gap = -(-lead // BIN)
    scores: dict[Sizes, Score] = {}

    def measured(sizes: Sizes) -> Score:
        if sizes not in scores:
            progress(f"{base.name}: schedule {len(scores) + 1}")
            scores[sizes] = rehearse(scheduled(base, changes(sizes, BIN, lead)))
        return scores[sizes]

    start = bridged(needed(violated), gap)
    allowed = measured(start).violated_ns
    cheapest = measured(start).instance_ns

    def holds(sizes: Sizes) -> bool:
        nonlocal cheapest
        one = measured(sizes)
        if one.violated_ns > allowed or one.instance_ns >= cheapest:
            return False
        cheapest = one.instance_ns
        return True

    best = improve(start, max(base.document.fleet.app.min, 1), holds, budget)
    return best, measured(best)


def scheduled(base: Scenario, moments: Sequence[tuple[int, int]]) -> Scenario:
    """*base* with an autoscaler that wants so many servers from each moment (whole seconds, in ns) on."""
    entries = [
        {"at": (EPOCH + timedelta(seconds=moment // SECOND)).isoformat(), "size": size}
        for moment, size in moments
    ]
    policy = {"scheduled": {"starts": EPOCH.isoformat(), "entries": entries}}
    settings = AutoscalerModel.model_validate({"policy": policy, "boot_timeout": "1h"})
    least = {"min": 0, "max": None}
    return _changed(base, least, settings)


def as_data(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """The tables as plain data."""
    return [
        {
            "scenario": table.scenario,
            "seconds": table.length / SECOND,
            "bin_seconds": BIN // SECOND,
            "schedule": list(table.schedule),
            "policies": [
                {
                    "policy": row.policy,
                    "violated_seconds": row.score.violated_ns // SECOND,
                    "instance_hours": round(row.score.instance_ns / (3600 * SECOND), 6),
                    "actions": row.score.actions,
                    "reversals": row.score.reversals,
                    "worst_p99_ns": None if row.score.worst_p99 < 0 else row.score.worst_p99,
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]
