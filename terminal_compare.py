"""What a person sees of a comparison."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from .core.tolerance import OUTSIDE, WITHIN
from .reports.comparison import Comparison
from .reports.comparison_words import HEADER, decision_lines, deploy_lines, paired_lines, rows, sizes_line
from .terminal import err, out

MOST_LINES = 10
"""Lines about decisions; the page and JSON have all."""

_COLOURS = {WITHIN: "green", OUTSIDE: "red"}


def print_comparison(comparison: Comparison, page: Path | None) -> None:
    """Notes, the table of figures, and what lies behind it."""
    for note in comparison.notes:
        err.print(f"note: {note}", markup=False)
    out.print()
    for letter, run, scenario, seed in zip(
        "AB", comparison.runs, comparison.scenarios, comparison.seeds, strict=True
    ):
        out.print(f"{letter}  {run}: {scenario}, seed {seed}", markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(HEADER):
        table.add_column(name, justify="right" if place in (1, 2) else "left", no_wrap=place == 3)
    for *cells, verdict in rows(comparison):
        colour = _COLOURS.get(verdict.partition(",")[0], "default")
        table.add_row(*map(escape, cells), f"[{colour}]{verdict}[/]")
    out.print(table)
    if len(comparison.sizes.seconds):
        out.print(f"servers: {sizes_line(comparison)}", markup=False)
    for line in deploy_lines(comparison):
        out.print(f"deploys: {line}", markup=False)
    lines = decision_lines(comparison)
    for line in lines[:MOST_LINES]:
        out.print(f"decisions: {line}", markup=False)
    if len(lines) > MOST_LINES:
        out.print(
            f"decisions: {len(lines) - MOST_LINES} lines more with --out FILE.html or --json", markup=False
        )
    for line in paired_lines(comparison):
        out.print(f"paired: {line}", markup=False)
    if page is not None:
        out.print(f"page: {page}", markup=False)
    said = "[bold green]within tolerance[/]" if comparison.within else "[bold red]outside the tolerance[/]"
    out.print(said)
