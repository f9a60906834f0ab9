"""The life of each instance, from the event log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PHASES = ("pending", "booting", "serving", "canary", "standby", "draining", "updating", "failed")
"""In the order in which they are drawn; an instance that is gone has no phase."""

DEATHS = {
    "killed": "killed",
    "out_of_memory": "out of memory",
    "boot_failed": "boot failed",
    "crashed": "crashed",
}

_NEXT = {
    "launched": "pending", "booting": "booting", "promoted": "serving", "draining": "draining", "killed": "failed",
    "out_of_memory": "failed", "boot_failed": "failed", "crashed": "failed", "updating": "updating",
}  # fmt: skip


@dataclass(slots=True)
class Lifeline:
    """An instance: its phases as (name, from, to) in ns, its deaths as (ns, how); *gone* is -1 while it is not."""

    server: int
    launched: int
    phases: list[tuple[str, int, int]] = field(default_factory=list)
    deaths: list[tuple[int, str]] = field(default_factory=list)
    ready: int = -1
    gone: int = -1
    reason: str = ""


def lifelines(events: Iterable[Mapping[str, Any]], end: int) -> list[Lifeline]:
    """The lives of all instances up to *end*, by number."""
    lives: dict[int, Lifeline] = {}
    phase: dict[int, tuple[str, int]] = {}

    def turn(server: int, time: int, name: str) -> None:
        before = phase.get(server)
        if before and time > before[1]:
            lives[server].phases.append((before[0], before[1], time))
        phase[server] = (name, time)

    for event in events:
        name, server, time = event["event"], event.get("server"), int(event["t"])
        if not isinstance(server, int):
            continue
        if name == "launched":
            lives[server] = Lifeline(server, time)
        if server not in lives:
            continue
        life = lives[server]
        if name in DEATHS:
            life.deaths.append((time, DEATHS[name]))
        if name in ("ready", "registered"):
            life.ready = time if name == "ready" else life.ready
            role = event.get("role")
            turn(server, time, role if role in PHASES else "serving")
        elif name in _NEXT:
            turn(server, time, _NEXT[name])
        elif name == "terminated":
            turn(server, time, "gone")
            life.gone, life.reason = time, str(event.get("reason", ""))
    for server, (name, since) in phase.items():
        if name != "gone" and end > since:
            lives[server].phases.append((name, since, end))
    return [lives[server] for server in sorted(lives)]


def paid_ns(lives: Sequence[Lifeline]) -> int:
    """Instance time from launch to gone, or to the end, summed (ns)."""
    return sum(stop - start for life in lives for _, start, stop in life.phases)


def populations(lives: Sequence[Lifeline], seconds: int, width: int) -> dict[str, Any]:
    """How many instances are in each phase at the middle of each bin of *width* seconds."""
    bins = -(-seconds // width)
    found = {}
    for name in PHASES:
        change = np.zeros(bins + 1, dtype=np.int64)
        spans = [(start, stop) for life in lives for phase, start, stop in life.phases if phase == name]
        if spans:
            # A bin counts a phase that covers its middle.
            places = np.ceil(np.array(spans) / 1e9 / width - 0.5).astype(np.int64).clip(0, bins)
            np.add.at(change, places[:, 0], 1)
            np.add.at(change, places[:, 1], -1)
        found[name] = change[:-1].cumsum()
    return found
