"""A comparison as one self-contained page, or as a picture."""

from html import escape
from pathlib import Path

from ..core.errors import UsageError
from .comparison import Comparison
from .comparison_figure import SAYS, Both, draw_comparison
from .comparison_words import HEADER, decision_lines, deploy_lines, paired_lines, rows, sizes_line
from .drawing import inline_svg, look, save
from .page.markup import figure, folding, paragraph, table
from .page.style import css
from .storage import write_whole
from .wording import moment

PICTURES = (".png", ".svg", ".pdf")
SUFFIXES = (".html", *PICTURES)


def check_suffix(path: Path) -> Path:
    """*path*. Raises UsageError if its suffix names no format."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: expected a file name that ends in one of {', '.join(SUFFIXES)}")
    return path


def write_comparison(comparison: Comparison, both: Both, path: Path) -> None:
    """Write the page (.html) or the figure alone (.png, .svg, .pdf) to *path*. Raises UsageError for another suffix."""
    check_suffix(path)
    with look():
        drawn = draw_comparison(comparison, both)
        if path.suffix in PICTURES:
            save(drawn, path)
            return
        picture = inline_svg(drawn, "comparison")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page(comparison, figure(picture, SAYS)))


def page(comparison: Comparison, picture: str) -> str:
    """The page; the same comparison gives the same text."""
    names = " and ".join(dict.fromkeys(comparison.scenarios))
    title = escape(f"{names}: A beside B")
    good = comparison.within
    verdict = "✓ within tolerance" if good else "✗ outside the tolerance"
    runs = [
        (letter, run, scenario, str(seed))
        for letter, run, scenario, seed in zip(
            "AB", comparison.runs, comparison.scenarios, comparison.seeds, strict=True
        )
    ]
    notes = "".join(f'<div class="message note">{escape(note)}</div>\n' for note in comparison.notes)
    window = (
        f"Compared: the first {moment(comparison.window)} of both, in {comparison.batches} batches of time."
    )
    body = (
        table(("", "run", "scenario", "seed"), runs, (3,)) + paragraph(window) + notes + picture
        + "<h2>Figures</h2>\n" + table(HEADER, rows(comparison), (1, 2)) + paragraph(_TOLD)
        + "".join(paragraph(f"{line}.") for line in deploy_lines(comparison))
        + "<h2>Servers over time</h2>\n" + paragraph(_sentence(sizes_line(comparison)))
        + "<h2>Scaling decisions</h2>\n" + _decisions(comparison)
        + "<h2>The same planned requests</h2>\n" + _paired(comparison)
    )  # fmt: skip
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}: windtunnel</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{css()}</style>\n</head>\n<body>\n'
        f'<header>\n<h1>{title}</h1>\n<p class="verdict {"good" if good else "bad"}">{verdict}</p>\n</header>\n<main>\n{body}</main>\n'
        "</body>\n</html>\n"
    )


_TOLD = (
    "Differences are B minus A, with 95% intervals by the jackknife over the batches of time. Uncertain: the interval reaches beyond the "
    "tolerance, or from beyond it inside. Throughput and percentiles are of requests that were answered as planned."
)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else "No second was sampled in both runs."


def _decisions(comparison: Comparison) -> str:
    decisions = comparison.decisions
    lines = decision_lines(comparison)
    told = "".join(map(paragraph, lines)) if lines else paragraph("Both runs took the same decisions.")
    rows = [
        (pair.first.time, pair.first.kind, moment(pair.first.time), moment(pair.second.time), f"{pair.ticks:+d}" if pair.ticks else "0")
        for pair in decisions.pairs
    ]  # fmt: skip
    rows += [(one.time, one.kind, moment(one.time), "", "only in A") for one in decisions.missing]
    rows += [(one.time, one.kind, "", moment(one.time), "only in B") for one in decisions.surplus]
    if not rows:
        return paragraph("Neither run took any.")
    header = ("decision", "A", "B", "ticks later in B")
    return told + folding("decisions", header, [row[1:] for row in sorted(rows)], (1, 2, 3))


def _paired(comparison: Comparison) -> str:
    lines = paired_lines(comparison)
    if not lines:
        return paragraph("The runs do not have the same planned requests: seeds or traffic differ.")
    return "".join(map(paragraph, lines))
