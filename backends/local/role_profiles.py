"""Profiles of a flight's roles: each is looked into from when it is up to when it ends (backends.code_profiles)."""

import asyncio
from collections import Counter
from pathlib import Path

from ..code_profiles import FOLDER, Sampler
from .process import Line, RoleProcess

MOST_SERVERS = 8
"""So many app servers are profiled, the first ones: each takes a profiler, and they all run the same code."""


class RoleProfiles:
    """Those of the run whose *directory* it is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._samplers: list[Sampler] = []
        self._lives: Counter[str] = Counter()

    def heard(self, process: RoleProcess, line: Line) -> None:
        """A role said *line*; one that is up is profiled from now on. A process that takes another's place has a file of its own."""
        if line.get("status") != "up" or process.returncode is not None:
            return
        label = process.label
        if process.role == "app" and label not in self._lives and self._servers() >= MOST_SERVERS:
            return
        self._lives[label] += 1
        name = label if self._lives[label] == 1 else f"{label}-life-{self._lives[label]}"
        log = self._directory / "logs" / "py-spy.log"
        self._samplers.append(Sampler(process.pid, self._directory / FOLDER / f"{name}.svg", log))

    def _servers(self) -> int:
        return sum(label.startswith("app-") for label in self._lives)

    async def end(self) -> None:
        """Wait until all are written; the roles have ended."""
        await asyncio.gather(*(asyncio.to_thread(one.end) for one in self._samplers))
