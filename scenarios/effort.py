"""What a large fleet costs to rehearse, told before somebody waits for it."""

from collections.abc import Iterator

from ..core.model import SECOND
from .schema import Document
from .units import format_duration

REGISTRY_NS, MOTO_NS, SECOND_NS, PAIR_NS = 1_000_000, 4_000, 20_000, 120
"""Measured on one core of 2024, rounded: fakeredis per server and second, moto per pair of servers (each launch looks at those
before it), the rest per server and second, and the rest per pair. Traffic comes on top."""

LONG = 60 * SECOND
"""What takes longer is worth a note."""


def notes(document: Document) -> Iterator[str]:
    """A sentence if the servers alone cost more than LONG."""
    app, length = document.fleet.app, document.duration / SECOND
    servers = app.initial + app.canaries + app.standby
    least = int(servers * length * SECOND_NS) + servers * servers * PAIR_NS
    stand_ins = {
        "fleet.registry.backend": int(servers * length * REGISTRY_NS)
        if document.fleet.registry.backend == "fakeredis"
        else 0,
        "fleet.cloud.backend": servers * servers * MOTO_NS if document.fleet.cloud.backend == "moto" else 0,
    }
    whole = least + sum(stand_ins.values())
    if whole <= LONG:
        return
    slow = " and ".join(f"{name}: memory" for name, cost in stand_ins.items() if cost)
    sooner = f"; {slow} would give the same results in about {_rough(least)}" if slow else ""
    yield (
        f"{servers:,} servers for {format_duration(document.duration)} take about {_rough(whole)} to rehearse{sooner}"
    )


def _rough(ns: int) -> str:
    """One unit, rounded: more would be more than is known."""
    seconds = max(1, round(ns / SECOND))
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{round(seconds / unit):,} {name}"
    return f"{seconds} seconds" if seconds > 1 else "a second"
