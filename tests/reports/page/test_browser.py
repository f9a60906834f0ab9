"""The page in a browser: it complains of nothing, says what the summary says, and can be read with keys, without scripts, in the dark and on paper."""

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Scenario, replay
from windtunnel.reports.page.documents import begun
from windtunnel.reports.page.frames import as_json
from windtunnel.reports.page.html import render
from windtunnel.reports.page.model import CLASSES, EDGE, FLEET, SERVER
from windtunnel.reports.page.pages import live_page
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.support import TWINS

pytestmark = pytest.mark.long

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
PATIENCE = 60_000
"""Milliseconds."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("expected chromium on PATH: `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    settings = [
        "duration=60s",
        "fleet.proxy.retries.attempts=0",
        "slo[0].below=0.01%",
        "traffic[0].stages[0].for=60s",
    ]
    replay(Scenario.load("server-dies", settings), out=path, **TWINS)
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "many"
    settings = [
        "duration=20s",
        "fleet.app.initial=200",
        "fleet.app.min=200",
        "fleet.app.max=210",
        "traffic[0].stages[0].for=20s",
        "faults[0].at=5s",
    ]
    replay(Scenario.load("server-dies", settings), out=path, **TWINS)
    return path


def opened(browser: Any, folder: Path, complaints: list[str], **options: Any) -> Any:
    """The page of a run, as soon as its charts are there; *complaints* are collected."""
    page = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True, **options).new_page()
    page.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda one: complaints.append(str(one)))
    page.goto((folder / "report.html").as_uri())
    if options.get("java_script_enabled", True):
        page.wait_for_selector("html[data-ready]", timeout=PATIENCE)
        page.wait_for_selector("[data-chart=latency] canvas", timeout=PATIENCE)
    return page


def test_it_opens_without_a_word_and_says_what_the_summary_says(browser: Any, run: Path) -> None:
    complaints: list[str] = []
    page = opened(browser, run, complaints)
    summary = json.loads((run / "summary.json").read_text())
    totals = page.evaluate(
        "(names) => Object.fromEntries(names.map((name) => [name, windtunnelPage.store.total('fleet', null, name)]))",
        [*(f"status_{name}" for name in CLASSES), "errors"],
    )
    unfinished = summary["outcomes"].get("unfinished", 0)
    assert sum(totals[f"status_{name}"] for name in CLASSES) == summary["planned"] - unfinished
    assert totals["errors"] == summary["planned"] - unfinished - summary["outcomes"]["ok"]
    assert summary["digest"] in page.inner_text("#identity")
    row = page.locator("#outcomes tbody tr").first.locator("td").all_inner_texts()
    assert row[1] == f"{summary['planned']:,}"
    assert row[2] == f"{summary['sent']:,}"
    assert f"{summary['outcomes']['ok']:,}" in row
    p99 = summary["latency_ns"]["p99"]
    assert f"{p99 / 1e6:.3g} ms" in page.inner_text("#latency table")
    failed = page.inner_text("#errors")
    assert f"{totals['errors']:,} of {summary['planned']:,} requests failed" in failed
    assert "one-dies" in failed
    assert f"{summary['planned'] - unfinished:,}" in page.inner_text("#now")
    assert complaints == []


def test_one_cursor_for_charts_and_map(browser: Any, run: Path) -> None:
    complaints: list[str] = []
    page = opened(browser, run, complaints)
    assert page.inner_text("[data-chart=map] .when") == "the whole run"
    page.locator("[data-chart=latency] .u-over").hover(position={"x": 500, "y": 40})
    page.wait_for_function("windtunnelPage.view.cursor !== null")
    second = int(page.evaluate("windtunnelPage.view.cursor"))
    page.wait_for_function("document.querySelector('[data-chart=map] .when').textContent.includes('s up to')")
    expected = page.evaluate("(second) => windtunnelPage.store.value('fleet', null, 'p95', windtunnelPage.store.at(second))", second)  # fmt: skip
    shown = page.inner_text("[data-chart=latency] .key:nth-child(2) b")
    assert float(shown.split()[0].replace(",", "")) == pytest.approx(expected / 1000, abs=0.06)
    dead = page.evaluate("() => { windtunnelPage.at(33); return windtunnelPage.store.marks.find((one) => one.name === 'one-dies').nodes[0]; }")  # fmt: skip
    page.wait_for_selector(f"[data-id={dead}].down")
    assert "its process is dead" in (page.get_attribute(f"[data-id={dead}]", "aria-label") or "")
    before = page.evaluate("windtunnelPage.view.range")
    page.evaluate(
        "document.querySelector('[data-chart=requests]').scrollIntoView({ block: 'center', behavior: 'instant' })"
    )
    box = page.locator("[data-chart=requests] .u-over").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 30, steps=5)
    page.mouse.up()
    low, high = page.evaluate("windtunnelPage.view.range")
    assert before[0] < low < high < before[1]
    assert complaints == []


def test_keys_words_and_tables(browser: Any, run: Path) -> None:
    complaints: list[str] = []
    page = opened(browser, run, complaints)
    chart = page.locator("[data-chart=latency] .plot")
    assert "p99" in (chart.get_attribute("aria-label") or "")
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("windtunnelPage.view.cursor") == 2.5
    assert page.inner_text("#said").startswith("Latency of answered requests, 0:02: p99 ")
    page.keyboard.press("+")
    assert page.evaluate("windtunnelPage.view.range[1] - windtunnelPage.view.range[0]") < 60
    page.keyboard.press("Escape")
    assert page.evaluate("windtunnelPage.view.cursor") is None
    page.locator("[data-chart=latency] summary").click()
    rows = page.locator("[data-chart=latency] details tbody tr")
    assert rows.count() == page.evaluate("windtunnelPage.store.length")
    first = page.evaluate("windtunnelPage.store.value('fleet', null, 'p50', 0)")
    assert f"{first / 1000:.1f} ms" in rows.first.inner_text()
    page.locator("[data-id=clients]").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.id") == "proxy"
    # Every control has a name, and headings go down a step at a time.
    unnamed = page.evaluate("[...document.querySelectorAll('button, select, input, [tabindex]')].filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length)).length")  # fmt: skip
    assert unnamed == 0
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert complaints == []


def contrast(first: str, second: str) -> float:
    """WCAG 2's contrast of two colours such as ``rgb(1, 2, 3)``."""

    def light(text: str) -> float:
        parts = [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((light(first), light(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(browser: Any, many: Path, scheme: str) -> None:
    complaints: list[str] = []
    page = opened(browser, many, complaints, color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for selector in ("body", "th", "a", ".verdict", "figcaption", "summary"):
        colour = page.evaluate(
            "(selector) => getComputedStyle(document.querySelector(selector)).color", selector
        )
        assert contrast(colour, paper) >= 4.5, selector
    # 200 servers are a grid that nothing sticks out of, and rows of a heat map.
    cells = page.locator("svg.map.grid .node[data-id^=server]")
    assert cells.count() >= 200
    assert page.evaluate("(() => { const all = document.querySelector('svg.map').getBoundingClientRect(); return [...document.querySelectorAll('svg.map .node')].every((one) => { const box = one.getBoundingClientRect(); return box.left >= all.left - 1 && box.right <= all.right + 1 && box.bottom <= all.bottom + 1; }); })()")  # fmt: skip
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for measure in ("cpu", "p95", "state"):
        page.select_option("[data-chart=instances] select", measure)
    assert "200 servers" in (page.get_attribute("[data-chart=instances] .plot", "aria-label") or "").replace(
        "201", "200"
    )
    assert complaints == []


def test_on_paper(browser: Any, run: Path, tmp_path: Path) -> None:
    complaints: list[str] = []
    page = opened(browser, run, complaints, color_scheme="dark")
    page.evaluate("addEventListener('beforeprint', () => { window.width = document.querySelector('.plot canvas').clientWidth; window.unfolded = document.querySelectorAll('details:not(.figures):not([open])').length; })")  # fmt: skip
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").stat().st_size > 50_000
    assert page.evaluate("window.width") <= 520
    assert page.evaluate("window.unfolded") == 0
    assert page.evaluate("document.querySelector('.plot canvas').clientWidth") > 520
    assert complaints == []


def test_without_scripts_the_tables_stand(browser: Any, run: Path) -> None:
    page = opened(browser, run, [], java_script_enabled=False)
    assert page.locator("table:visible").count() >= 10
    assert page.locator("figure.chart:visible").count() == 0
    assert "need JavaScript" in page.inner_text("main")


LIVE = """<script>
function second(fleet, server, edge, count, number) {
  const columns = (names, value) => Object.fromEntries(names.map((name) => [name, [name === "state" ? 2 : value]]));
  const servers = {}, edges = { "clients>proxy": columns(edge, number % 100) };
  for (let each = 1; each <= count; each++) { servers[each] = columns(server, number % 7); edges[`proxy>server-${each}`] = columns(edge, 3); }
  return { first: number, width: 1, points: 1, fleet: columns(fleet, number % 50), servers, edges, marks: number % 10 ? [] : [{ t: number * 1e9, kind: "proxy", phase: "at", name: "x", text: "x", tone: "bad", until: -1, nodes: [] }] };
}
</script>"""


def test_an_hour_of_frames_at_200_servers_stays_bounded(browser: Any, tmp_path: Path) -> None:
    fleet = compile_plan(Scenario.load("server-dies")).fleet
    (tmp_path / "report.html").write_text(render(live_page(fleet), embedded=False, scripts=LIVE))
    complaints: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda one: complaints.append(str(one)))
    page.goto((tmp_path / "report.html").as_uri())
    document = begun(fleet)
    told = {**document, "frame": as_json(document["frame"])}
    page.evaluate("(document) => windtunnelPage.load(document)", told)
    names = [[*FLEET], [*SERVER], [*EDGE]]
    lengths = []
    for begin in range(0, 4200, 300):
        page.evaluate("([fleet, server, edge, begin]) => { for (let n = begin; n < begin + 300; n++) windtunnelPage.append(second(fleet, server, edge, 200, n)); }", [*names, begin])  # fmt: skip
        lengths.append(page.evaluate("[windtunnelPage.store.length, windtunnelPage.store.capacity]"))
    assert max(length for length, _ in lengths) <= 1200 + 1800 + 300
    assert lengths[-1][1] <= 4000
    state = page.evaluate("(() => { const s = windtunnelPage.store; return { end: s.end, total: s.total('fleet', null, 'errors'), high: Math.max(...s.groups.fleet.errors.high.subarray(0, s.length)), low: Math.min(...s.groups.fleet.errors.low.subarray(0, s.length)), last: s.value('fleet', null, 'errors', s.length - 1), marks: s.marks.length, spans: [s.span[0], s.span[s.length - 1]] }; })()")  # fmt: skip
    assert state["end"] == 4200
    # Nothing is lost where seconds are merged, and the extremes stay.
    assert state["total"] == pytest.approx(sum(n % 50 for n in range(4200)), rel=1e-4)
    assert (state["low"], state["high"]) == (0, 49)
    assert state["last"] == 4199 % 50
    assert state["spans"][0] > 1 == state["spans"][1]
    assert state["marks"] == 420
    # A second that is there already is replaced; one that was left out is empty.
    page.evaluate("([fleet, server, edge]) => { const again = second(fleet, server, edge, 200, 4199); again.fleet.errors = [7]; windtunnelPage.append(again); windtunnelPage.append(second(fleet, server, edge, 200, 4202)); }", names)  # fmt: skip
    values = page.evaluate(
        "[4199, 4200, 4201, 4202].map((n) => windtunnelPage.store.value('fleet', null, 'errors', windtunnelPage.store.at(n)))"
    )
    assert values == [7, None, None, 4202 % 50]
    # Drawing all of it takes less than a second's time, on a busy machine too.
    took = page.evaluate("(async () => { await new Promise(requestAnimationFrame); const begin = performance.now(); windtunnelPage.at(4000); await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame); return performance.now() - begin; })()")  # fmt: skip
    assert took < 5000
    assert complaints == []
