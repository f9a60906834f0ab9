"""What ``search:`` may vary, as a space in whole numbers (core.search), and from a point of it to the scenario that it stands for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import ValidationError

from ..core.model import SECOND
from ..core.search.space import BASE, Candidate, Dimension, FaultGene, FaultKind, Space
from . import references
from .grids import grid_of
from .problems import spell
from .scenario import Scenario
from .schema import Document
from .search_parts import (
    Data,
    SearchedKind,
    fault_data,
    goals_of,
    kind_of,
    kinds_of,
    plain_data,
    put,
    settled,
)
from .units import format_duration

_CUTS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 21_600, 43_200)
"""Lengths (s) to which a run may be cut."""


class SearchSpace:
    """The space of a scenario with a section ``search:``."""

    def __init__(self, scenario: Scenario) -> None:
        search = scenario.document.search
        assert search is not None, "a scenario that says nothing of a search"
        self.scenario = scenario
        self.search = search
        self.data: Data = plain_data(scenario.document)
        self.paths = [settled(self.data, path) for path in search.vary]
        self.grids = [grid_of(value) for value in search.vary.values()]
        self.kinds = [kind_of(kind, search.faults, scenario.document) for kind in kinds_of(search)]
        self.cuts = [cut * SECOND for cut in _CUTS if cut * SECOND < scenario.document.duration]
        self.goals = goals_of(scenario.document)
        self.space = Space(
            tuple(Dimension(path, grid.costs) for path, grid in zip(search.vary, self.grids, strict=True)),
            search.seeds,
            tuple(_fault_kind(kind) for kind in self.kinds),
            search.faults.most if search.faults else 0,
            len(self.cuts),
        )

    def document(self, candidate: Candidate) -> Document | None:
        """The scenario that *candidate* stands for; None if its values do not go together."""
        try:
            document = Document.model_validate(self.written(candidate))
        except ValidationError:
            return None
        return None if references.check(document, self.scenario.folder) else document

    def variant(self, candidate: Candidate) -> Scenario | None:
        """Likewise, with the folder of its files."""
        document = self.document(candidate)
        return None if document is None else replace(self.scenario, document=document)

    def written(self, candidate: Candidate) -> Data:
        """The scenario that *candidate* stands for, as it would be written."""
        data = dict(self.data)
        for path, grid, value in zip(self.paths, self.grids, candidate.values, strict=True):
            if value != BASE:
                data = put(data, path, grid.values[value])
        if candidate.seed:
            data["seed"] = self.scenario.document.seed + candidate.seed
        if candidate.cut != BASE:
            data["duration"] = format_duration(self.cuts[candidate.cut])
        if candidate.faults:
            taken = {fault["name"] for fault in data.get("faults", [])}
            data["faults"] = [*data.get("faults", []), *self._faults(candidate.faults, taken)]
        return data

    def _faults(self, genes: Sequence[FaultGene], taken: set[str]) -> Iterator[Data]:
        for gene in genes:
            kind = self.kinds[gene.kind]
            name, number = kind.written["type"], 1
            while (called := name if number == 1 else f"{name}-{number}") in taken:
                number += 1
            taken.add(called)
            values = [grid.values[value] for grid, value in zip(kind.grids, gene.genes, strict=True)]
            yield fault_data(kind, called, values)


def _fault_kind(kind: SearchedKind) -> FaultKind:
    small = (("for",), ("target", "count"))
    return FaultKind(
        kind.written["type"],
        tuple(
            Dimension(spell(path), grid.costs, path in small)
            for path, grid in zip(kind.places, kind.grids, strict=True)
        ),
    )
