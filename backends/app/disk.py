"""An app server's disk, as faults leave it: the role can write to no file while it is full, and a process that would begin waits until it can."""

import asyncio
import resource
import tempfile

from ..live.role import Command, RoleLink

_TRIED_EACH = 1.0
"""Seconds between two tries of a process that cannot begin."""


class Disk:
    """The disk of one server. While it is full the kernel lets no file of this process, or of what it starts, grow (RLIMIT_FSIZE: setrlimit(2)), and what it would log is lost."""

    def __init__(self, link: RoleLink) -> None:
        self._link = link
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def obey(self, command: Command) -> bool:
        """Whether *command* is about the disk: ``disk`` (full)."""
        if command.get("command") != "disk":
            return False
        full = bool(command["full"])
        self._link.loses_log = full
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self._limits[1]) if full else self._limits)
        return True

    async def until_writable(self) -> None:
        """Wait until a file can be written, as a process needs one that begins; it is tried each second."""
        while not _writes():
            await asyncio.sleep(_TRIED_EACH)


def _writes() -> bool:
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(b"1")
    except OSError:
        return False
    return True
