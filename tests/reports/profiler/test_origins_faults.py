"""Failures are put down to the fault that caused them, as the same rehearsal without it tells; and to no fault that caused none."""

from pathlib import Path
from typing import Any

import pytest
from windtunnel.core.faults import FAULTS
from windtunnel.docs.generate import MARK
from windtunnel.tests.reports.profiler.attributed import table
from windtunnel.tests.reports.profiler.catalogue import (
    CATALOGUE,
    CROWD,
    HARMLESS,
    STRUCK,
    VARIANTS,
    crowded,
    guarded,
    then_a_crowd,
    weighed,
)

FLOOR = 0.95
"""Of what a fault causes, at least this share is put down to it; for each type, alone beside a harmless one."""
GUARDED_FLOOR = 0.9
NEXT_TO_NOTHING = 0.02
"""Of failures that came anyway."""

NO_FAILURES = {"stuck_termination"}
"""Types that cost money and fail nobody: docs/profiler.md says so."""

FEW = ("kill", "dependency_down", "capacity_error", "registry_flush")
"""Of each sort one, for every commit."""

EVERYWHERE = {**CATALOGUE, **VARIANTS}
PASSING = [
    name
    for name, document in CATALOGUE.items()
    if name not in {"clock_jump", "registry_flush", "registry_restart"}
    and len(document["traffic"][0]["stages"]) == 1
    and not any(fault["at"] == "3s" for fault in document["faults"])
]
"""Those whose consequences are over when the crowd comes."""


def hold(document: dict[str, Any], floor: float, seed: int = 1) -> None:
    found = weighed(document, seed)
    assert found.share >= floor, found.missed
    assert found.decoy == 0, "the harmless fault fails nobody"
    assert found.wrong <= NEXT_TO_NOTHING * found.own + 3


def test_the_catalogue_is_whole() -> None:
    assert set(CATALOGUE) == set(FAULTS)
    assert {fault["type"] for document in CATALOGUE.values() for fault in document["faults"]} == set(FAULTS)


@pytest.mark.parametrize("kind", FEW)
def test_a_fault_is_the_origin_of_what_it_causes(kind: str) -> None:
    found = weighed(CATALOGUE[kind])
    assert found.caused >= 40
    assert found.share >= FLOOR, found.missed
    assert found.decoy == 0
    (origin,) = [total.origin for total in found.diagnosis.origins if total.origin.name == STRUCK]
    assert (origin.kind, origin.type) == ("fault", kind)


def test_a_crowd_is_not_put_down_to_a_fault_that_does_nothing() -> None:
    found = weighed(crowded("slow", **HARMLESS["slow"]))
    assert found.own > 1000
    assert found.wrong == found.decoy == 0
    assert found.diagnosis.by_name() == {"load": found.diagnosis.count}


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_fault_is_the_origin_of_what_it_causes(name: str, seed: int) -> None:
    found = weighed(EVERYWHERE[name], seed)
    assert found.caused > 0 or name in NO_FAILURES or seed > 1
    hold(EVERYWHERE[name], FLOOR, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CATALOGUE)
def test_also_of_what_follows_on_a_fleet_that_defends_itself(name: str, seed: int) -> None:
    """Servers are ejected, clients try again; of a handful of failures one may be anybody's."""
    found = weighed(guarded(CATALOGUE[name]), seed)
    assert found.share >= GUARDED_FLOOR or found.caused < 10, found.missed
    assert found.decoy == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", HARMLESS)
def test_no_harmless_fault_is_blamed_for_a_crowd(kind: str) -> None:
    """The fleet is overloaded and the fault in force all the while."""
    found = weighed(crowded(kind, **HARMLESS[kind]))
    assert found.own > 1000
    assert found.wrong <= NEXT_TO_NOTHING * found.own
    assert found.decoy == 0


@pytest.mark.long
@pytest.mark.parametrize("name", PASSING)
def test_what_is_over_is_not_blamed_for_a_later_crowd(name: str) -> None:
    found = weighed(then_a_crowd(CATALOGUE[name]), until=CROWD)
    assert found.share >= FLOOR or found.caused < 10, found.missed
    assert found.own > 1000
    assert found.wrong <= NEXT_TO_NOTHING * found.own


@pytest.mark.long
def test_the_table_of_the_docs_is_what_is_measured() -> None:
    page = (Path(__file__).parents[3] / "docs" / "profiler.md").read_text(encoding="utf-8")
    assert page.partition(MARK)[2].strip() == table().strip(), "make docs writes it anew"
