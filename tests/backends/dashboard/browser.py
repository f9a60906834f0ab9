"""A browser, a dashboard as a process, and flights, for the tests that look at the page."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from windtunnel.backends.live.whereabouts import read

from ..app.running import until

PATIENCE = 120.0
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-precise-memory-info")  # fmt: skip
CHROMIUM = shutil.which("chromium")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="expected chromium on PATH")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Any, url: str, complaints: list[str], **options: Any) -> Any:
    """A page; what it complains of goes into *complaints*."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}, **options).new_page()

    def heard(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    return page


def wait(page: Any, condition: str) -> None:
    """Wait until the expression *condition* is true. The browser's own way to wait evaluates text on the page, which the page forbids."""
    until(lambda: page.evaluate(condition), condition, PATIENCE)


@contextmanager
def ended_with(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """Ends *process* at the end."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def dashboard_process(directory: Path, port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command: its URL, and its process."""
    command = [sys.executable, "-m", "windtunnel", "dashboard", str(directory), "--port", str(port)]
    with ended_with(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1], process


@contextmanager
def dashboard(directory: Path, port: int = 0) -> Iterator[str]:
    """The command's URL."""
    with dashboard_process(directory, port) as (url, _):
        yield url


@contextmanager
def flight(folder: Path, scenario: str, *options: str) -> Iterator[Path]:
    """A flight with leave for faults; its run's directory, once it says where it is."""
    path, directory = folder / "scenario.yaml", folder / "run"
    path.write_text(scenario)
    command = ["replay", str(path), "--backend", "local", "--allow-faults", "--out", str(directory), *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "windtunnel", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )  # fmt: skip
    with ended_with(process):
        until(lambda: read(directory), "the flight says where it is", PATIENCE)
        yield directory
