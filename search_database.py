"""What searches have found, kept in Hypothesis' example database, so that it is tried first next time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .core.search.space import BASE, Candidate, FaultGene
from .scenarios.search_space import SearchSpace


class Examples:
    """The examples of one scenario, by its name, in *folder*.

    They are kept as values, not as numbers of a grid, so that they outlive a change of ranges; one that no longer fits is left alone.
    """

    def __init__(self, folder: Path, space: SearchSpace) -> None:
        from hypothesis.database import DirectoryBasedExampleDatabase

        self._database = DirectoryBasedExampleDatabase(folder)
        self._space = space
        self._key = f"windtunnel search {space.scenario.name}".encode()

    def load(self) -> list[Candidate]:
        """Those that fit the space, those with fewest changes first."""
        found = []
        for kept in self._database.fetch(self._key):
            try:
                candidate = recalled(self._space, json.loads(kept))
            except (ValueError, KeyError, TypeError, AttributeError):
                # Written by another version, or by nobody of ours.
                continue
            if candidate is not None:
                found.append(candidate)
        return sorted(found, key=lambda one: (one.changes, one))

    def save(self, candidates: Sequence[Candidate]) -> None:
        """Keep *candidates*."""
        for candidate in candidates:
            text = json.dumps(told(self._space, candidate), sort_keys=True, separators=(",", ":"))
            self._database.save(self._key, text.encode())


def told(space: SearchSpace, candidate: Candidate) -> dict[str, Any]:
    """*candidate* in values."""
    fields = {
        dimension.name: grid.values[value]
        for dimension, grid, value in zip(space.space.fields, space.grids, candidate.values, strict=True)
        if value != BASE
    }
    faults = []
    for fault in candidate.faults:
        kind = space.kinds[fault.kind]
        values = [grid.values[value] for grid, value in zip(kind.grids, fault.genes, strict=True)]
        names = [one.name for one in space.space.kinds[fault.kind].dimensions]
        faults.append({"type": kind.written["type"], "values": dict(zip(names, values, strict=True))})
    length = {} if candidate.cut == BASE else {"duration": space.cuts[candidate.cut]}
    return {"fields": fields, "seed": candidate.seed, "faults": faults, **length}


def recalled(space: SearchSpace, data: dict[str, Any]) -> Candidate | None:
    """The candidate that :func:`told` told of; None if the space does not have it."""
    fields = dict(data["fields"])
    values = []
    for dimension, grid in zip(space.space.fields, space.grids, strict=True):
        value = fields.pop(dimension.name, None)
        if value is not None and value not in grid.values:
            return None
        values.append(BASE if value is None else grid.values.index(value))
    genes = [_gene(space, fault) for fault in data["faults"]]
    faults = [gene for gene in genes if gene is not None]
    if (
        fields
        or len(faults) < len(genes)
        or len(faults) > space.space.most
        or data["seed"] >= space.space.seeds
    ):
        return None
    cut = space.cuts.index(data["duration"]) if "duration" in data else BASE
    return Candidate(tuple(values), int(data["seed"]), tuple(sorted(faults)), cut)


def _gene(space: SearchSpace, fault: dict[str, Any]) -> FaultGene | None:
    for number, kind in enumerate(space.kinds):
        names = [one.name for one in space.space.kinds[number].dimensions]
        if kind.written["type"] != fault["type"] or sorted(names) != sorted(fault["values"]):
            continue
        wanted = [fault["values"][name] for name in names]
        if all(value in grid.values for value, grid in zip(wanted, kind.grids, strict=True)):
            return FaultGene(
                number, tuple(grid.values.index(v) for v, grid in zip(wanted, kind.grids, strict=True))
            )
    return None
