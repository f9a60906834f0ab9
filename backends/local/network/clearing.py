"""Removes namespaces and devices of flights, with whatever still runs there. As a program: those of the conductor whose process number is its argument."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ....core.errors import BackendFailure
from .naming import owner, run

_PATIENCE = 5.0
"""Seconds in which a process that was killed is gone."""


def namespaces() -> list[str]:
    """Every named one of this machine."""
    return [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]


def _devices() -> list[str]:
    return [str(one["ifname"]) for one in json.loads(run("ip", "-j", "link", "show") or "[]")]


def end_all_in(name: str) -> None:
    """Kill what runs in a namespace, whatever it waits for, and wait until it is gone."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            pids = run("ip", "netns", "pids", name).split()
        except BackendFailure:
            return
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)


def remove(name: str) -> None:
    """End a namespace with all that runs in it; one that is not there is no error."""
    end_all_in(name)
    with suppress(BackendFailure):
        run("ip", "netns", "delete", name)


def clear(pids: Iterable[int]) -> None:
    """Remove all that is left of the flights of these conductors. Raises BackendFailure where that cannot be seen."""
    gone = set(pids)
    for name in namespaces():
        if owner(name) in gone:
            remove(name)
    for device in _devices():
        if owner(device) in gone:
            # Its other end went first, or it went with that.
            with suppress(BackendFailure):
                run("ip", "link", "delete", device)


def clear_lost() -> None:
    """Remove what conductors have left that are no more. Raises BackendFailure."""
    owners = {owner(name) for name in (*namespaces(), *_devices())} - {0}
    clear(pid for pid in owners if not Path(f"/proc/{pid}").exists())


if __name__ == "__main__":
    clear([int(sys.argv[1])])
