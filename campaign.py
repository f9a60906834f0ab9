"""Many rehearsals of one scenario: over seeds, and over values of its fields. One seed is an anecdote.

All variants see the same seeds, hence the same arrivals and demands (common random numbers): what differs between them is
what was changed. Campaigns run on the in-memory twins, whose results are identical, and keep summaries only.
"""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api import replay
from .core.confidence import Interval, judge_mean, mean_interval
from .core.errors import UsageError
from .parallel import collects_garbage, in_processes
from .reports.junit import Case
from .reports.storage import writing
from .reports.sweep_figure import Panel, draw_sweep
from .reports.wording import measured
from .scenarios.scenario import Scenario

Summary = dict[str, Any]
Done = Callable[[int, int], None]
"""Called after each rehearsal with (done, all)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A scenario with some fields changed; *values* are the swept ``path=value`` texts, in order."""

    values: tuple[str, ...]
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective over seeds: its verdict, its mean with interval (None without data), in how many seeds it held."""

    name: str
    text: str
    unit: str
    bound: float
    verdict: str
    interval: Interval | None
    held: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a variant did under all seeds."""

    values: tuple[str, ...]
    summaries: tuple[Summary, ...]
    objectives: tuple[Objective, ...]
    cost: Interval
    p99: Interval | None

    @property
    def passed(self) -> bool:
        """Whether every objective is held (undecided is not)."""
        return all(objective.verdict in ("held", "no data") for objective in self.objectives)


def split_values(text: str) -> list[str]:
    """``path=a,b,c`` as one ``path=value`` each; commas inside brackets, braces or quotes do not split."""
    path, separator, values = text.partition("=")
    if not separator:
        raise UsageError(f"--set {text}: expected path=value or path=value,value,...")
    parts, depth, quote = [""], 0, ""
    for letter in values:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [f"{path}={part}" for part in parts]


def variants(name: str, sets: Sequence[str]) -> list[Variant]:
    """One variant per combination of values. Raises ScenarioError for any that is not valid, before anything runs."""
    choices = [split_values(text) for text in sets]
    swept = [position for position, values in enumerate(choices) if len(values) > 1]
    return [
        Variant(tuple(chosen[position] for position in swept), Scenario.load(name, chosen))
        for chosen in itertools.product(*choices)
    ]


def run_campaign(chosen: Sequence[Variant], seeds: int, jobs: int, done: Done | None = None) -> list[Result]:
    """Rehearse each of *chosen* under *seeds* seeds from its own on, on *jobs* processes."""
    if seeds < 1 or jobs < 1:
        raise UsageError(f"expected at least 1 seed and 1 job, got {seeds} and {jobs}")
    tasks = [
        variant.scenario.with_seed(variant.scenario.document.seed + offset)
        for variant in chosen
        for offset in range(seeds)
    ]
    found = []
    for number, summary in enumerate(in_processes(_rehearse, tasks, min(jobs, len(tasks))), 1):
        found.append(summary)
        if done is not None:
            done(number, len(tasks))
    return [
        _result(variant, tuple(found[position * seeds : (position + 1) * seeds]))
        for position, variant in enumerate(chosen)
    ]


@collects_garbage
def _rehearse(scenario: Scenario) -> Summary:
    return replay(scenario, registry="memory", cloud="memory").summary


def _result(variant: Variant, summaries: tuple[Summary, ...]) -> Result:
    objectives = []
    for position, slo in enumerate(variant.scenario.document.slo):
        rows = [summary["slo"][position] for summary in summaries]
        values = [float(row["value"]) for row in rows if row["value"] is not None]
        verdict, interval = judge_mean(values, slo.below is not None, rows[0]["bound"])
        held = sum(row["held"] for row in rows)
        objectives.append(
            Objective(
                slo.name, rows[0]["objective"], rows[0]["unit"], rows[0]["bound"], verdict, interval, held
            )
        )
    first = len(variant.scenario.document.slo)
    for position in range(first, len(summaries[0]["slo"])):
        objectives.append(_expectation([summary["slo"][position] for summary in summaries]))
    p99 = [float(s["latency_ns"]["p99"]) for s in summaries if s["latency_ns"]]
    cost = mean_interval([float(s["instance_hours"]) for s in summaries])
    return Result(variant.values, summaries, tuple(objectives), cost, mean_interval(p99) if p99 else None)


def _expectation(rows: list[Summary]) -> Objective:
    """What is expected of an alert is held if it came true under every seed; the mean is over those in which there is a figure."""
    values = [float(row["value"]) for row in rows if row["value"] is not None]
    held = sum(row["held"] for row in rows)
    verdict = "held" if held == len(rows) else "violated"
    row = rows[0]
    interval = mean_interval(values) if values else None
    return Objective(row["name"], row["objective"], row["unit"], row["bound"], verdict, interval, held)


def campaign_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Results as plain data."""
    return [
        {
            "values": list(result.values),
            "passed": result.passed,
            "objectives": [
                {
                    "name": one.name, "objective": one.text, "unit": one.unit, "bound": one.bound,
                    "verdict": one.verdict, "mean": one.interval.mean if one.interval else None,
                    "half": _finite(one.interval), "held": one.held,
                }
                for one in result.objectives
            ],
            "instance_hours": {"mean": result.cost.mean, "half": _finite(result.cost)},
            "runs": [
                {"seed": s["seed"], "digest": s["digest"], "passed": s["passed"], "latency_ns": s["latency_ns"],
                 "outcomes": s["outcomes"], "instance_hours": s["instance_hours"]}
                for s in result.summaries
            ],
        }
        for result in results
    ]  # fmt: skip


def cases_of_campaign(result: Result) -> list[Case]:
    """A test case per objective; what is undecided over the seeds fails, as in the exit code."""
    cases = []
    for one in result.objectives:
        mean = measured(one.unit, one.interval.mean if one.interval else None)
        half = _finite(one.interval)
        value = mean if half is None else f"{mean} +/- {measured(one.unit, half)}"
        held = f"held in {one.held} of {len(result.summaries)} seeds"
        good = one.verdict in ("held", "no data")
        failure = (
            "" if good else f"expected {one.text}, measured {value} (95% interval): {one.verdict}, {held}"
        )
        cases.append(Case(one.name, failure, f"bound {measured(one.unit, one.bound)}, mean {value}, {held}"))
    return cases


def _finite(interval: Interval | None) -> float | None:
    return interval.half if interval and math.isfinite(interval.half) else None


def check_free(path: Path) -> Path:
    """*path*; raises FileExistsError if it holds anything."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path}: expected a new or empty directory for the sweep")
    return path


def write_sweep(directory: Path, name: str, seeds: int, results: Sequence[Result]) -> None:
    """``sweep.json`` and ``sweep.png``: x is the last field swept, each combination of the others a line."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "sweep.json"
    with writing(path, remove=path):
        path.write_text(json.dumps(campaign_json(results), indent=2) + "\n", encoding="utf-8")
    if not results[0].values:
        return
    ticks = list(dict.fromkeys(result.values[-1] for result in results))
    lines = list(dict.fromkeys(result.values[:-1] for result in results))
    by_values = {result.values: result for result in results}

    def panel(title: str, unit: str, bound: float | None, pick: Callable[[Result], Interval | None]) -> Panel:
        rows = []
        for line in lines:
            found = [pick(by_values[(*line, tick)]) for tick in ticks]
            points = [None if one is None else (one.mean, one.half) for one in found]
            rows.append((", ".join(line), points))
        return Panel(title, unit, bound, rows)

    panels = [
        panel(f"{one.name}: {one.text}", one.unit, one.bound, lambda r, p=position: r.objectives[p].interval)  # type: ignore[misc]
        for position, one in enumerate(results[0].objectives)
    ]
    panels.append(panel("cost", "h", None, lambda result: result.cost))
    draw_sweep(
        f"{name} over {seeds} seed{'s' if seeds > 1 else ''}, means with 95% intervals",
        ticks[0].partition("=")[0],
        [tick.partition("=")[2] for tick in ticks],
        panels,
        directory / "sweep.png",
    )
