"""Measure what faults do in rehearsal and flight, and write it into the table of docs/faults-flown.md: ``python tests/update_faults_flown.py [GROUP ...]`` (about a minute each)."""

import sys
import tempfile
from pathlib import Path

from windtunnel import Run, Scenario, replay
from windtunnel.core.model import SECOND
from windtunnel.tests.backends.local.faults.catalogue import GROUPS, ROWS, Row, window

PAGE = Path(__file__).parents[1] / "docs" / "faults-flown.md"
HEAD = "| fault | scenario | figure | before | rehearsed | flown | afterwards, flown |"


def key(line: str) -> tuple[str, ...]:
    """What a line of the table is about."""
    return tuple(cell.strip() for cell in line.split("|")[1:4])


def line_of(row: Row, rehearsed: Run, flown: Run) -> str:
    """The line of *row*."""
    begin, end = window(flown, row)
    quiet = end + round(row.settles * SECOND)
    before = _text(row.figure(flown, begin - SECOND, begin))
    after = _text(row.figure(flown, quiet, quiet + SECOND // 2)) if row.settles >= 0 else ""
    inside = [_text(row.figure(run, *window(run, row))) for run in (rehearsed, flown)]
    return f"| `{row.type}` | {row.group}: {row.fault} | {row.what} | {before} | {inside[0]} | {inside[1]} | {after} |"


def _text(value: float) -> str:
    return "-" if value == -1 else f"{round(value, 1):g}"


def main() -> None:
    """See the module."""
    text = PAGE.read_text()
    old = {key(line): line for line in text.splitlines() if line.startswith("| `")}
    new: dict[tuple[str, ...], str] = {}
    measured = sys.argv[1:] or [*GROUPS]
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for group in measured:
            scenario = Scenario.parse(GROUPS[group])
            rehearsed = replay(scenario, out=Path(folder) / group / "rehearsal", figure=False)
            flown = replay(scenario, backend="local", out=Path(folder) / group / "flight", figure=False)
            runs[group] = rehearsed, flown
        for row in ROWS:
            name = key(f"| `{row.type}` | {row.group}: {row.fault} | {row.what} |")
            if row.group in runs:
                new[name] = line_of(row, *runs[row.group])
            elif name in old:
                new[name] = old[name]
    start = text.index(HEAD)
    end = text.index("\n\n", start)
    PAGE.write_text(text[:start] + "\n".join((HEAD, "| --- " * 7 + "|", *new.values())) + text[end:])


if __name__ == "__main__":
    main()
