"""The dashboard in a browser: against a real flight, and against a run that has ended."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Scenario, replay
from windtunnel.backends.live.whereabouts import read

from .browser import PATIENCE, chromium, dashboard, flight, needs_chromium, opened, wait

pytestmark = [pytest.mark.long, pytest.mark.live, needs_chromium]

FLOWN = """
scenario: watched
seed: 3
duration: 60s
fleet:
  app: {initial: 3, workers: 4, cores: 2, queue: 64, memory: {total: 512MiB, base: 100MiB, per_request: 1MiB}}
  proxy: {upstream_timeout: 5s}
endpoints: [{path: /, cpu: {constant: 2ms}}]
traffic: [{name: users, stages: [{for: 60s, rate: 40/s}], client: {timeout: 3s, connections: {pool: 20}}}]
slo: [{name: answered, indicator: availability, above: 99%}]
"""
REHEARSED = """
scenario: watched
seed: 3
duration: 60s
fleet:
  app: {initial: 3, workers: 2, cores: 1, queue: 8}
endpoints: [{path: /, cpu: {exponential: {mean: 60ms}}}]
traffic: [{name: users, stages: [{for: 60s, rate: 60/s}], client: {timeout: 2s}}]
faults: [{name: gone, type: kill, at: 20s}]
slo: [{name: answered, indicator: availability, above: 99.9%}]
"""


@pytest.fixture
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def figures(page: Any) -> tuple[int, int]:
    """Requests that ended and those that failed, by the bar of the page."""
    ended, failed = page.evaluate(
        """() => ["2xx", "3xx", "4xx", "5xx", "none"].map((name) => windtunnelPage.store.total("fleet", null, `status_${name}`) ?? 0)
            .reduce((sum, one) => [sum[0] + one, sum[1]], [0, windtunnelPage.store.total("fleet", null, "errors") ?? 0])"""
    )
    return round(ended), round(failed)


def counted(summary: dict[str, Any]) -> tuple[int, int]:
    outcomes = summary["outcomes"]
    ended = sum(count for name, count in outcomes.items() if name != "unfinished")
    return ended, ended - outcomes.get("ok", 0) - outcomes.get("unread", 0)


def test_a_finished_rehearsal(browser: Any, tmp_path: Path) -> None:
    run = replay(Scenario.parse(REHEARSED), out=tmp_path / "run", figure=False)
    complaints: list[str] = []
    with dashboard(tmp_path / "run") as url:
        page = opened(browser, url, complaints)
        wait(page, "window.windtunnelPage?.store?.length > 0")
        assert figures(page) == counted(run.summary)
        assert counted(run.summary)[1] > 0
        shown = page.locator("body").inner_text()
        assert "violated" in shown
        assert f"{run.summary['planned']:,}" in shown
        assert run.digest in shown
        assert page.evaluate("windtunnelPage.store.marks.some((mark) => mark.name === 'gone')")
        # No live section: nothing will happen any more.
        assert page.locator("#live").count() == 0
    assert complaints == []


def test_a_flight_from_the_first_look_to_its_verdict(browser: Any, tmp_path: Path) -> None:
    complaints: list[str] = []
    with flight(tmp_path, FLOWN, "--no-figure") as directory, dashboard(directory) as url:
        page = opened(browser, url, complaints)
        wait(page, "window.windtunnelPage?.store?.length > 2")
        assert page.locator("#live-state").inner_text() == "flying"
        assert page.locator("#live-loads tbody tr").count() == 3
        # A fault from the page: in force, on the timeline and in the log within two seconds of being asked for.
        token = read(directory)
        assert token is not None
        page.select_option("#live-type", "latency")
        page.fill("#live-count", "all")
        page.fill("#live-attribute-latency", "100ms")
        page.fill("#live-token", "wrong")
        page.press("#live-token", "Enter")
        wait(page, "document.getElementById('live-answer').textContent.startsWith('expected')")
        page.fill("#live-token", token.token)
        # Another page hears of it, too; only there it counts, for this one knows what it has asked for.
        other = opened(browser, url, complaints)
        wait(other, "window.windtunnelPage?.store?.length > 2")
        asked = time.monotonic()
        page.press("#live-token", "Enter")
        wait(other, "windtunnelPage.store.marks.some((mark) => mark.name === 'latency-by-hand-1')")
        took = time.monotonic() - asked
        assert took < 2.0, f"it took {took:.1f} s"
        wait(other, "document.getElementById('live-news').textContent.includes('latency-by-hand-1')")
        wait(page, "document.getElementById('live-faults').textContent.includes('latency-by-hand-1')")
        page.get_by_role("button", name="Stop latency-by-hand-1").click()
        wait(other, "document.getElementById('live-faults').textContent === 'none'")
        # It goes on by itself to the end, and then says what came of it.
        for one in (page, other):
            one.wait_for_selector("#identity", timeout=PATIENCE * 1000)
            wait(one, "window.windtunnelPage?.store?.length > 0")
        summary = json.loads((directory / "summary.json").read_text())
        assert figures(page) == figures(other) == counted(summary)
        assert summary["digest"] in page.locator("body").inner_text()
        events = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
        assert [(one["event"], one.get("by")) for one in events if one.get("name") == "latency-by-hand-1"] == [
            ("fault", "hand"), ("fault_over", None),
        ]  # fmt: skip
    assert complaints == ["Failed to load resource: the server responded with a status of 401 (Unauthorized)"]


def test_a_page_without_a_dashboard_says_so_and_comes_back(browser: Any, tmp_path: Path) -> None:
    complaints: list[str] = []
    with flight(tmp_path, FLOWN, "--no-figure") as directory:
        with dashboard(directory) as url:
            page = opened(browser, url, complaints)
            wait(page, "window.windtunnelPage?.store?.length > 2")
        wait(page, "document.getElementById('live-state').textContent.startsWith('connection lost')")
        known = page.evaluate("windtunnelPage.store.end")
        with dashboard(directory, int(url.rstrip("/").rpartition(":")[2])):
            wait(page, "document.getElementById('live-state').textContent === 'flying'")
            wait(page, f"windtunnelPage.store.end > {known + 2}")
            # No second is missing of the time in which nobody told it anything.
            assert page.evaluate(
                "windtunnelPage.store.values('fleet', null, 'arrived').every((value) => value !== null)"
            )


def test_keyboard_and_screen_reader_basics(browser: Any, tmp_path: Path) -> None:
    complaints: list[str] = []
    with flight(tmp_path, FLOWN, "--no-figure") as directory, dashboard(directory) as url:
        for scheme in ("light", "dark"):
            page = opened(browser, url, complaints, color_scheme=scheme)
            page.wait_for_selector("#live-form button", timeout=PATIENCE * 1000)
            wait(page, "document.querySelectorAll('#live-loads tbody tr').length === 3")
            # Every field has a name that is spoken, and is reached by the keyboard alone.
            nameless = page.evaluate(
                """[...document.querySelectorAll('#live input, #live select, #live button')].filter((one) => one.offsetParent)
                .filter((one) => !one.labels?.length && !one.textContent.trim() && !one.getAttribute('aria-label')).map((one) => one.id)"""
            )
            assert nameless == []
            reached = set()
            page.locator("#live-news").focus()
            for _ in range(12):
                reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
                page.keyboard.press("Tab")
            assert {
                "live-news",
                "live-loads",
                "live-type",
                "live-role",
                "live-count",
                "live-token",
                "Start",
            } <= reached
            roles = page.evaluate(
                "[...document.querySelectorAll('#live [role]')].map((one) => one.getAttribute('role'))"
            )
            assert {"status", "log", "region"} <= set(roles)
            paper, ink = page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('#live h2')).color]"
            )
            dark = [sum(int(part) for part in colour[4:-1].split(",")) < 384 for colour in (paper, ink)]
            assert dark == ([True, False] if scheme == "dark" else [False, True])
            page.close()
    assert complaints == []
