"""Roles that come back: struck, replaced while they are away, and succeeded by another process."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from windtunnel.backends.local.process import RoleProcess
from windtunnel.backends.local.roles import Lasting
from windtunnel.core.errors import BackendFailure

from ..app.running import dependency_settings, fleet_of
from .test_process import pretend

HOUR = 3_600_000_000_000
SERVES = """echo '{"t": 5, "status": "up"}'; exec sleep 60"""


def flown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, work: Callable[[Lasting, list[str]], Awaitable[None]]
) -> None:
    """*work* with a role that is up and kept; what it is told of ends and returns."""
    pretend(monkeypatch, tmp_path, SERVES)

    async def run() -> None:
        told: list[str] = []
        settings = dependency_settings(fleet_of())
        role = Lasting(
            lambda: RoleProcess("dependencies", "dependencies", lambda process, line: None), lambda: settings
        )
        await role.start()
        role.keep(HOUR, lambda status: told.append("ended"), lambda: told.append("back"))
        try:
            async with asyncio.timeout(60):
                await work(role, told)
        finally:
            await role.end()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_one_that_is_away_can_be_called_back_sooner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def work(role: Lasting, told: list[str]) -> None:
        assert role.is_up
        role.strike(-1)
        assert not role.is_up, "whether or not its end has been heard of"
        await until(lambda: told == ["ended"])
        assert not role.is_up
        await asyncio.sleep(0.05)
        role.replace(HOUR)
        await asyncio.sleep(0.05)
        assert told == ["ended"]
        role.replace(1)
        await until(lambda: told == ["ended", "back"])
        assert role.is_up
        role.replace(1)
        await until(lambda: told == ["ended", "back"] * 2)

    flown(monkeypatch, tmp_path, work)


def test_one_that_was_struck_can_be_recalled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def work(role: Lasting, told: list[str]) -> None:
        role.recall()
        await asyncio.sleep(0.05)
        assert told == []
        role.strike(-1)
        await until(lambda: told == ["ended"])
        await asyncio.sleep(0.05)
        role.recall()
        await until(lambda: told == ["ended", "back"])
        # Also before anybody has noticed that it is gone; and a later end is an end as any other.
        role.strike(HOUR)
        role.recall()
        await until(lambda: told == ["ended", "back"] * 2)
        role.process.signal(9)
        await until(lambda: told == ["ended", "back", "ended", "back", "ended"])

    flown(monkeypatch, tmp_path, work)


def test_another_process_takes_over_and_nobody_calls_that_an_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(role: Lasting, told: list[str]) -> None:
        old = role.process
        await role.succeed()
        assert role.is_up
        assert role.process is not old
        old.signal(15)
        await old.wait()
        await asyncio.sleep(0.05)
        assert told == []
        role.strike(1)
        await until(lambda: told == ["ended", "back"])

    flown(monkeypatch, tmp_path, work)


def test_one_that_does_not_come_up_takes_nothing_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(role: Lasting, told: list[str]) -> None:
        old = role.process
        Path(sys.executable).write_text("#!/bin/sh\nexit 3\n")
        with pytest.raises(BackendFailure, match="status 3"):
            await role.succeed()
        assert role.process is old
        assert role.is_up
        assert told == []

    flown(monkeypatch, tmp_path, work)
