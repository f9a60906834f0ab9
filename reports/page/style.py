"""Style sheets and scripts of the page: files of ``web/``, put into the page whole, for it loads nothing."""

from functools import cache
from importlib.resources import files

SCRIPTS = (
    "format", "decode", "store", "theme", "dom", "view", "table", "plot", "panels", "timeline", "instances", "health", "map", "main",
)  # fmt: skip
"""Modules in the order in which they are put together: one scope of their own."""


@cache
def css() -> str:
    """What every page has: text, tables, messages; light, dark and print."""
    return _text("page.css")


@cache
def chart_css() -> str:
    """What charts need besides."""
    return _text("vendor/uPlot.min.css") + "\n" + _text("charts.css")


@cache
def script() -> str:
    """uPlot with its licence, and our modules."""
    library = _text("vendor/uPlot.iife.min.js").partition("\n")[2]  # The first line is an address.
    licence = _text("vendor/uPlot-LICENSE")
    modules = "\n".join(_text(f"{name}.js") for name in SCRIPTS)
    return f'/* uPlot 1.6.32\n{licence}*/\n{library}\n(() => {{\n"use strict";\n{modules}\n}})();\n'


def _text(name: str) -> str:
    return files(__package__).joinpath("web", *name.split("/")).read_text(encoding="utf-8")
