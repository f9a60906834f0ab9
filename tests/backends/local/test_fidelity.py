"""How far a rehearsal is off: scenarios rehearsed, flown, and laid side by side."""

import os
from pathlib import Path

import pytest
from windtunnel import compare, replay
from windtunnel.reports.comparison import Comparison

SCENARIOS = ("steady", "chaos-monkey-small", "flash-crowd-small")
TOLERANCES = ("decisions=2",)
"""A decision that falls just before or after a new server's first sample moves by two ticks; the other tolerances are the defaults."""


def flown(name: str, folder: Path) -> Comparison:
    replay(name, out=folder / "rehearsal", figure=False)
    replay(name, backend="local", out=folder / "flight", figure=False)
    return compare(folder / "rehearsal", folder / "flight", tolerances=TOLERANCES)


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_rehearsal_predicts_its_flight(tmp_path: Path, name: str) -> None:
    """Of three flights one must be within tolerance: a machine that does something else meanwhile is no fleet's fault."""
    found = []
    for number in range(3):
        found.append(flown(name, tmp_path / str(number)))
        if found[-1].within:
            return
    load = os.getloadavg()[0]
    pytest.fail(f"load average {load:.1f}: {[[f.name, f.verdict] for one in found for f in one.figures]}")
