"""The table of docs/profiler.md: for each type of fault, how much of what it causes is put down to it."""

from typing import Any

from windtunnel.core.faults import FAULTS
from windtunnel.tests.reports.profiler.catalogue import CATALOGUE, HARMLESS, crowded, guarded, weighed

SEEDS = (1, 2, 3)


def measured(document: dict[str, Any]) -> tuple[int, int]:
    """(failures that the fault caused, of these those that are said to be its), over SEEDS."""
    found = [weighed(document, seed) for seed in SEEDS]
    return sum(one.caused for one in found), sum(one.right for one in found)


def table() -> str:
    """As Markdown."""
    lines = [
        "| fault | failures that it causes | put down to it | with ejection and retries | put down to it |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in FAULTS:
        cells = [cell for document in (CATALOGUE[name], guarded(CATALOGUE[name])) for cell in _cells(*measured(document))]  # fmt: skip
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    blamed = total = 0
    for name in HARMLESS:
        found = weighed(crowded(name, **HARMLESS[name]))
        blamed, total = blamed + found.wrong, total + found.own
    lines += ["", f"Of {total:,} failures of overloaded fleets, {blamed:,} are put down to one of {len(HARMLESS)} harmless faults in force meanwhile."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cells(caused: int, right: int) -> tuple[str, str]:
    if not caused:
        return "none", ""
    # Rounded down: all of them is all of them.
    return f"{caused:,}", f"{int(1000 * right / caused) / 10:.1f}%"
