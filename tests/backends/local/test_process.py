"""Roles as child processes of the conductor."""

import asyncio
import sys
import time
from pathlib import Path

import pytest
from windtunnel.backends.live.settings import DependencySettings
from windtunnel.backends.local.process import RoleProcess
from windtunnel.core.errors import BackendFailure

from ..app.running import dependency_settings, fleet_of


@pytest.fixture
def settings() -> DependencySettings:
    return dependency_settings(fleet_of())


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Instead of a role *script* is run."""
    program = folder / "role"
    program.write_text(f"#!/bin/sh\nread settings\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_one_that_ends_as_soon_as_it_is_up_was_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: DependencySettings
) -> None:
    """Its end may be known before its words are read: as of a proxy that crashes at its first connections."""
    pretend(monkeypatch, tmp_path, """echo '{"t": 5, "status": "up"}'""")

    async def run() -> None:
        for _ in range(10):
            role = RoleProcess("dependencies", "dependencies", lambda process, line: None)
            await role.start(settings)
            # Meanwhile the conductor is busy: its end and its words are found at once.
            time.sleep(0.1)
            assert (await role.wait_up(60))["t"] == 5
            await role.end(0)

    asyncio.run(run())


def test_one_that_ends_before_it_is_up_is_told_by_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: DependencySettings
) -> None:
    pretend(monkeypatch, tmp_path, "echo no room >&2; exit 3")

    async def run() -> None:
        role = RoleProcess("dependencies", "this one", lambda process, line: None)
        await role.start(settings)
        with pytest.raises(BackendFailure, match=r"^this one ended with status 3:\n  no room$"):
            await role.wait_up(60)
        await role.end(0)

    asyncio.run(run())
