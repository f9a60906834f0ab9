"""A page as one self-contained HTML file: no request leaves it; its document, scripts and styles are inside."""

from html import escape
from pathlib import Path

from ..storage import write_whole
from .markup import section
from .model import Page
from .packing import packed
from .style import chart_css, css, script

SIGNS = {"good": "✓ ", "bad": "✗ ", "note": ""}

BAR = """<div class="timebar" role="group" aria-label="time shown by map and charts" hidden>
<div id="now"></div>
<label class="hidden" for="time">time</label><input id="time" type="range" min="0" max="0" step="1" value="0">
<button type="button" id="closer" aria-label="zoom in">+</button><button type="button" id="wider" aria-label="zoom out">−</button>
<button type="button" id="whole">whole run</button>
</div>
"""
"""It stands before the first section with a chart, and stays in sight from there on."""

NO_SCRIPT = (
    '<noscript><p class="message note">Map and charts need JavaScript; all tables stand without it, and '
    "<code>windtunnel report . --format svg</code> draws figures.</p></noscript>\n"
)


def render(page: Page, embedded: bool = True, scripts: str = "") -> str:
    """The page as HTML; the same page gives the same text. Without its document *embedded*, nothing is drawn before somebody calls ``windtunnelPage.load``: *scripts* do so."""
    title = escape(page.title)
    contents = "".join(
        f'<a href="#{one.anchor}">{number}. {escape(one.title)}</a> '
        for number, one in enumerate(page.sections, 1)
    )
    body, bar = "", BAR
    for number, one in enumerate(page.sections, 1):
        if 'class="chart"' in one.inside and bar:
            body, bar = body + NO_SCRIPT + bar, ""
        body += section(number, one.anchor, one.title, one.inside)
    data = (
        f'<script type="text/plain" id="windtunnel-document">{packed(page.document)}</script>\n'
        if embedded
        else ""
    )
    verdict = f'<p class="verdict {page.tone}">{SIGNS[page.tone]}{escape(page.verdict)}</p>'
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}: windtunnel</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{css()}{chart_css()}</style>\n</head>\n<body>\n'
        f'<a class="skip" href="#{page.sections[0].anchor}">To the contents</a>\n<header>\n<h1>{title}</h1>\n{verdict}\n</header>\n'
        f'<nav aria-label="sections">{contents}</nav>\n<main>\n{body}</main>\n<div id="said" class="hidden" role="status" aria-live="polite"></div>\n'
        f"{data}<script>{script()}</script>\n{scripts}</body>\n</html>\n"
    )  # fmt: skip


def write_page(page: Page, path: Path) -> None:
    """Write the page to *path*, whole or not at all."""
    write_whole(path, render(page))
