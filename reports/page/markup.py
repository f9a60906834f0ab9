"""Pieces of HTML. Everything that a scenario names is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape

FOLD = 12
"""Longer tables are folded."""

LONG_WORD = 30
"""A longer word in a cell may be broken anywhere; others never are, for what is too wide can be scrolled."""


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = ()) -> str:
    """A table of plain texts; columns at *numeric* stand to the right."""

    def row(tag: str, cells: Sequence[object]) -> str:
        told = (
            f"<{tag}{' class=n' if place in numeric else _long(str(cell))}>{escape(str(cell))}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(told)}</tr>\n"

    body = "".join(row("td", cells) for cells in rows)
    return f'<div class="wide"><table>\n<thead>{row("th", header)}</thead>\n<tbody>\n{body}</tbody></table></div>\n'


def _long(text: str) -> str:
    return " class=long" if any(len(word) > LONG_WORD for word in text.split()) else ""


def folding(
    what: str, header: Sequence[str], rows: Sequence[Sequence[object]], numeric: Sequence[int] = ()
) -> str:
    """The table as it is, or folded behind how many of *what* it has if it is long."""
    whole = table(header, rows, numeric)
    return whole if len(rows) <= FOLD else folded(f"{len(rows):,} {what}", whole)


def folded(title: str, inside: str) -> str:
    """Something behind a title."""
    return f"<details><summary>{escape(title)}</summary>\n{inside}</details>\n"


def figure(picture: str, says: str) -> str:
    """A picture (HTML) with what it shows."""
    if not picture:
        return ""
    return f'<figure role="img" aria-label="{escape(says)}">\n{picture}\n<figcaption>{escape(says)}</figcaption></figure>\n'


def section(number: int, anchor: str, title: str, inside: str) -> str:
    """A section of the page."""
    return f'<section id="{anchor}">\n<h2>{number}. {escape(title)}</h2>\n{inside}</section>\n'


def chart(name: str, title: str, says: str, choices: Sequence[tuple[str, str]] = ()) -> str:
    """Where the scripts draw the chart called *name*; with *choices* (value, words) of what it shows. Its figures can be had as a table."""
    options = "".join(f'<option value="{escape(value)}">{escape(words)}</option>' for value, words in choices)
    choice = f' <select aria-label="{escape(title)}: what is shown">{options}</select>' if choices else ""
    return (
        f'<figure class="chart" data-chart="{name}" aria-labelledby="chart-{name}">\n<h3 id="chart-{name}">{escape(title)}{choice}</h3>\n'
        f'<div class="beside"><div class="plot"></div><div class="legend"></div></div>\n<figcaption>{escape(says)}</figcaption>\n'
        '<details class="figures"><summary>Figures as a table</summary><div class="wide"></div></details></figure>\n'
    )


def note(text: str) -> str:
    """A note in plain text."""
    return f'<div class="message note">{escape(text)}</div>\n'
