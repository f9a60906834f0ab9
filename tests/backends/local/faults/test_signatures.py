"""Each fault shows in a flight what its rehearsal shows: the same figure rises, by roughly as much, and falls again."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.backends.local.faults.schedule import FAMILIES
from windtunnel.core.model import SECOND

from .catalogue import GROUPS, ROWS, Row, window

Pair = tuple[Run, Run]


def test_every_type_that_flies_has_a_signature() -> None:
    assert {row.type for row in ROWS} == set().union(*(family.types for family in FAMILIES.values()))


def test_the_page_has_a_line_for_every_signature() -> None:
    """``tests/update_faults_flown.py`` measures them."""
    page = Path(__file__).parents[4] / "docs" / "faults-flown.md"
    table = page.read_text().partition("\n| fault | scenario |")[2].partition("\n\n")[0]
    told = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("| `")]
    assert [[cell.strip() for cell in cells] for cells in told] == [
        [f"`{row.type}`", f"{row.group}: {row.fault}", row.what] for row in ROWS
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """A group's rehearsal and its flight."""

    @cache
    def both(group: str) -> Pair:
        folder: Path = tmp_path_factory.mktemp(group)
        scenario = Scenario.parse(GROUPS[group])
        rehearsed = replay(scenario, out=folder / "rehearsal", figure=False)
        return rehearsed, replay(scenario, backend="local", out=folder / "flight", figure=False)

    return both


@pytest.mark.long
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.type}-{row.fault}")
def test_rehearsal_and_flight_show_the_same(row: Row, runs: Callable[[str], Pair]) -> None:
    found = []
    for run in runs(row.group):
        begin, end = window(run, row)
        before = row.figure(run, begin - SECOND, begin)
        struck = row.figure(run, begin, end)
        found.append(struck)
        if row.rise > 0:
            assert struck >= max(before, 0.0) + row.rise, (
                f"{row.what}: {before:.1f} before, {struck:.1f} in force"
            )
        else:
            assert struck <= before + row.rise, f"{row.what}: {before:.1f} before, {struck:.1f} in force"
        if row.settles >= 0:
            quiet = end + round(row.settles * SECOND)
            again = row.figure(run, quiet, quiet + SECOND // 2)
            assert again - before < max(0.35 * (struck - before), 0.5), f"{row.what}: {again:.1f} afterwards"
    rehearsed, flown = found
    assert abs(flown - rehearsed) <= max(row.slack, row.near * abs(rehearsed)), (row.what, rehearsed, flown)
