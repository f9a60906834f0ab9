"""What a search has found as a scenario file of its own: replayed by both engines first, with an explanation on top."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .api import replay
from .core.search.space import BASE, Candidate
from .reports.cause import cause
from .reports.evidence import Evidence
from .reports.run import Run
from .reports.storage import write_whole
from .reports.wording import plural
from .scenarios import references
from .scenarios.build import compile_plan
from .scenarios.scenario import Scenario
from .scenarios.search_parts import Data, Goal
from .scenarios.search_space import SearchSpace
from .scenarios.units import show
from .searching import Finding

_WIDTH = 110


class NotReproduced(Exception):
    """A finding that the reference engine, with fakeredis and moto, does not show alike: a fault of windtunnel, not of the fleet. The text says which."""


@dataclass(frozen=True, slots=True)
class Reproducer:
    """A scenario that breaks *goals* of the searched one; *text* is the file, *changes* what differs, *digest* that of both engines' runs."""

    name: str
    goals: tuple[str, ...]
    text: str
    changes: tuple[str, ...]
    digest: str
    run: Run


def reproduce(space: SearchSpace, finding: Finding, again: str) -> Reproducer:
    """The file of *finding*; *again* is the command that found it. Raises NotReproduced."""
    candidate, goal = finding.candidate, finding.goal
    name = f"{space.scenario.name}-{goal.name}"
    data = standalone(space, candidate, goal, name)
    body = yaml.safe_dump(data, sort_keys=False, width=_WIDTH, allow_unicode=True)
    scenario = Scenario.parse(body, f"{name}.yaml", space.scenario.folder)
    quick = replay(scenario, registry="memory", cloud="memory")
    reference = replay(scenario, engine="simpy", registry="fakeredis", cloud="moto")
    broken = _broken(quick)
    if goal.name not in broken:
        raise NotReproduced(
            f"{goal.name}: violated in the search, but not by a replay of the scenario that it wrote"
        )
    if quick.digest != reference.digest or _broken(reference) != broken:
        digests = f"{quick.digest} and {reference.digest}"
        raise NotReproduced(
            f"{goal.name}: the engines do not agree on the scenario that was found ({digests})"
        )
    changes = tuple(changes_of(space, candidate))
    evidence = Evidence.of(quick, compile_plan(scenario).fleet)
    head = _head(space, finding, changes, list(cause(evidence, goal.name)), quick.digest, again)
    return Reproducer(name, tuple(broken), head + body, changes, quick.digest, quick)


def _broken(run: Run) -> list[str]:
    return [row["name"] for row in run.summary["slo"] if not row["held"]]


def standalone(space: SearchSpace, candidate: Candidate, goal: Goal, name: str) -> Data:
    """The scenario of *candidate* as data, called *name*, with files by absolute names, which demands what *goal* is about."""
    data = {**space.written(candidate), "scenario": name}
    folder = space.scenario.folder
    if goal.invariant is not None and goal.name not in (data.get("invariants") or {}):
        data["invariants"] = {**(data.get("invariants") or {}), goal.name: True}
    sources = []
    for source in data.get("traffic", []):
        files = {
            field: str((folder / source[field]).resolve())
            for field in references.FILE_FIELDS
            if field in source
        }
        sources.append({**source, **files})
    if sources:
        data["traffic"] = sources
    return data


def changes_of(space: SearchSpace, candidate: Candidate) -> Iterator[str]:
    """In what *candidate* differs from the scenario, a line each."""
    was = space.scenario.document
    for dimension, path, grid, value in zip(
        space.space.fields, space.paths, space.grids, candidate.values, strict=True
    ):
        if value != BASE:
            yield f"{dimension.name}: {_plain(_held(space.data, path))}, now {_plain(grid.values[value])}"
    if candidate.seed:
        yield f"seed: {was.seed}, now {was.seed + candidate.seed}"
    if candidate.cut != BASE:
        yield f"duration: {_plain(space.data['duration'])}, now {_plain(space.written(candidate)['duration'])}"
    before = {fault["name"] for fault in space.data.get("faults", [])}
    for fault in space.written(candidate).get("faults", []):
        if fault["name"] not in before:
            said = [f"{key} {_plain(value)}" for key, value in _flat(fault) if key not in ("name", "type")]
            yield f"fault {fault['name']} ({fault['type']}): {', '.join(said)}"


def _flat(data: Data, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{key} " if key != "attributes" else "")
        else:
            yield f"{above}{key}", value


def _held(data: Any, path: Any) -> Any:
    for part in path:
        if isinstance(data, dict) and part not in data:
            return None
        data = data[part]
    return data


def _plain(value: Any) -> str:
    return "not said" if value is None else show(value).strip("'")


def _head(
    space: SearchSpace, finding: Finding, changes: tuple[str, ...], why: list[str], digest: str, again: str
) -> str:
    found = f"Found by: {again}" if again else "Found by a search"
    small = plural(finding.steps, "further experiment")
    lines = [
        f"{finding.goal.name} is violated. {found} (experiment {finding.number:,}; "
        + (
            f"{small} made it as small as it is)."
            if finding.whole
            else f"interrupted after {small} to make it smaller)."
        ),
        "",
    ]
    if changes:
        lines += [
            f"What differs from {space.scenario.name}, and all of it is needed:"
            if finding.whole
            else f"What differs from {space.scenario.name}:"
        ]
        lines += [f"- {change}" for change in changes]
    else:
        lines.append(f"Nothing differs from {space.scenario.name}.")
    lines += ["", "What happened:", *(f"- {line}" for line in why), ""]
    lines.append(
        f"Both engines, with fakeredis and moto too: digest {digest}. `windtunnel replay` of this file exits with 3."
    )
    wrapped = [
        part
        for line in lines
        for part in (
            textwrap.wrap(line, _WIDTH - 2, subsequent_indent="  " if line.startswith("- ") else "") or [""]
        )
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in wrapped) + "\n"


def write_reproducer(made: Reproducer, folder: Path) -> Path:
    """Write it into *folder* under a name that is free, or that holds the same text already."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in made.name)
    number = 1
    while True:
        path = folder / (f"{stem}.yaml" if number == 1 else f"{stem}-{number}.yaml")
        if not path.exists():
            write_whole(path, made.text)
            return path
        if path.read_text(encoding="utf-8") == made.text:
            return path
        number += 1
