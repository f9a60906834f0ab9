"""The build server's pages: HTML made here alone, everything escaped, nothing loaded from anywhere. A page with something under way loads itself anew."""

import time
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from .builds import Build, StageRun

REFRESH_SECONDS = 2
TAIL = 256 * 2**10
"""So much of a log's end is shown in the page."""

_SECOND = 1_000_000_000
_CSS = """:root{color-scheme:light dark;--good:#00694d;--bad:#b34700;--soft:#5b636d;--card:#f6f7f8;--grid:#dcdfe3}
@media(prefers-color-scheme:dark){:root{--good:#3ecf9f;--bad:#ff9152;--soft:#a3abb5;--card:#1d2126;--grid:#3a4048}}
body{margin:0 auto;max-width:76rem;padding:1.5rem;font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.4rem 0 .3rem}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--grid);vertical-align:top;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600}.wide{overflow-x:auto}code,pre{font:.85rem/1.4 ui-monospace,Menlo,Consolas,monospace}
pre{background:var(--card);padding:.6rem .8rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.passed{color:var(--good)}.failed,.timed,.interrupted{color:var(--bad)}.soft{color:var(--soft)}"""


def page(title: str, body: str, live: bool) -> str:
    """A page; a *live* one loads itself anew."""
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if live else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_CSS}</style></head><body><main>{body}</main></body></html>\n"
    )


def _state(text: str) -> str:
    return f'<span class="{escape(text)}">{escape(text)}</span>'


def _when(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ns / _SECOND)) if ns else ""


def _took(started: int, ended: int) -> str:
    if not started:
        return ""
    seconds = ((ended or time.time_ns()) - started) // _SECOND
    return f"{seconds // 60}:{seconds % 60:02}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def builds_page(builds: Sequence[Build]) -> str:
    """All builds, the newest first."""
    rows = [
        [
            f'<a href="/builds/{one.number}">{one.number}</a>',
            escape(one.branch),
            escape(one.role),
            f"<code>{escape(one.commit[:12])}</code>",
            _state(one.state),
            escape(_now_at(one)),
            _when(one.queued),
            _took(one.started, one.ended),
        ]
        for one in builds
    ]
    head = ("build", "branch", "role", "commit", "state", "", "queued (UTC)", "took")
    body = _table(head, rows) if rows else '<p class="soft">Nothing was built yet.</p>'
    return page("builds", f"<h1>Builds</h1>{body}", any(one.open for one in builds))


def _now_at(build: Build) -> str:
    """The stage that runs, or why it ended."""
    running = [one.stage for one in build.stages if one.state == "running"]
    return running[0] if running and build.state == "running" else build.reason


def build_page(build: Build, logs: Sequence[tuple[StageRun, str]]) -> str:
    """One build with its stages and the ends of their logs."""
    facts = [
        f"{_state(build.state)} {escape(build.reason)}",
        f"branch {escape(build.branch)}, role {escape(build.role)}, commit <code>{escape(build.commit)}</code>",
        f"{escape(build.origin)}, queued {_when(build.queued)}, attempt {build.attempt}, took {_took(build.started, build.ended)}",
    ]
    if build.tests is not None:
        told = build.tests
        facts.append(f"{told.tests:,} tests, {told.failures:,} failures, {told.skipped:,} skipped")
    stages = [
        [escape(one.stage), _state(one.state), escape(one.reason), _took(one.started, one.ended)]
        for one in build.stages
    ]
    kept = "".join(
        f'<li><a href="/builds/{build.number}/artifacts/{escape(quote(name))}">{escape(name)}</a></li>'
        for name in build.artifacts
    )
    body = [f'<p><a href="/">all builds</a></p><h1>Build {build.number}</h1>']
    body += [f"<p>{fact}</p>" for fact in facts]
    body.append(_table(("stage", "state", "", "took"), stages))
    if kept:
        body.append(f"<h2>artefacts</h2><ul>{kept}</ul>")
    for one, text in logs:
        body.append(f"<h2>{escape(one.stage)} {_state(one.state)}</h2><pre>{escape(text)}</pre>")
    return page(f"build {build.number}", "".join(body), build.open)
