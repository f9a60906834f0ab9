"""Names and addresses of a flight's network, and iproute2's programs."""

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from ....core.errors import BackendFailure

_SECONDS = 30.0
_NAME = re.compile(r"wt([0-9]+)(?:[bcpt]|n[0-9]+)").fullmatch
"""Bridge, clients' link, proxy, trial, server. The longest fits in the 15 characters of a device."""


@dataclass(frozen=True, slots=True)
class Names:
    """Those of the flight of conductor *pid*: of namespaces, and of the devices on this machine that lead there."""

    pid: int

    @property
    def bridge(self) -> str:
        """The device by which this machine reaches all namespaces."""
        return f"wt{self.pid}b"

    @property
    def clients(self) -> str:
        """The clients' end of their link with the proxy."""
        return f"wt{self.pid}c"

    @property
    def proxy(self) -> str:
        """The proxy's namespace."""
        return f"wt{self.pid}p"

    @property
    def trial(self) -> str:
        """A namespace in which it is tried what the kernel can do."""
        return f"wt{self.pid}t"

    def server(self, number: int) -> str:
        """The namespace of a server."""
        return f"wt{self.pid}n{number}"


def owner(name: str) -> int:
    """The process number of the conductor whose namespace or device has this name; 0: nobody's of ours."""
    found = _NAME(name)
    return int(found[1]) if found else 0


def run(program: str, *words: str, lines: Iterable[str] = ()) -> str:
    """What a program of iproute2 says; *lines* are its input. Raises BackendFailure with its last word."""
    try:
        done = subprocess.run(
            [program, *words], input="\n".join((*lines, "")), capture_output=True, text=True,
            timeout=_SECONDS, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendFailure(f"{program} {' '.join(words)}: {error}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not line.startswith("Command failed")]
        raise BackendFailure(
            f"{program} {' '.join(words)}: {said[0] if said else f'status {done.returncode}'}"
        )
    return done.stdout


def batch(program: str, lines: Iterable[str], inside: str = "") -> None:
    """Carry out *lines* of ``ip`` or ``tc``, in the namespace *inside* if one is named. Raises BackendFailure for the first that fails."""
    run(program, *(("-n", inside) if inside else ()), "-batch", "-", lines=lines)
