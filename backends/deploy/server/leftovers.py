"""What a build has left running, found by the cookie in its environment, as Jenkins finds it: after the server, or a step's supervisor, was killed."""

import time
from collections.abc import Iterator

import psutil

from .supervisor import COOKIE

_MOST_SECONDS = 10.0


def cookie(owner: str, number: int) -> str:
    """The mark that all processes of build *number* carry; *owner* tells servers apart."""
    return f"windtunnel-{owner}-{number}"


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(COOKIE) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            continue


def end_leftovers(mark: str) -> list[str]:
    """Kill whatever carries *mark*; the command lines of what was found."""
    ended: dict[int, str] = {}
    deadline = time.monotonic() + _MOST_SECONDS
    empty = 0
    # Twice: a process that is just becoming another program shows no environment.
    while empty < 2 and time.monotonic() < deadline:
        found = list(_marked(mark))
        empty = 0 if found else empty + 1
        for process in found:
            try:
                ended.setdefault(process.pid, " ".join(process.cmdline()))
                process.kill()
            except psutil.Error:
                continue
        time.sleep(0.01)
    return list(ended.values())
