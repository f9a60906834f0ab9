"""The proxy's table of app servers: one structured array, a row (slot) per server, sorted by server id.

Whoever runs the proxy (reference, kernel, live) owns the array; the decisions in ``routing``, ``health`` and
``retries`` read and write it. ``available`` is kept by :func:`refresh_available` whenever one of the things it depends on
changes, so that picking a server reads one field instead of four.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision

SERVING = 0
CANARY = 1

SERVER = np.dtype(
    [
        ("id", np.int64),
        ("role", np.int64),
        ("listed", np.int64),
        ("healthy", np.int64),
        ("ejected_until", np.int64),
        ("ejected_end", np.int64),
        ("available", np.int64),
        ("in_flight", np.int64),
        ("since", np.int64),
        ("weight", np.int64),
        ("current_weight", np.int64),
        ("passed", np.int64),
        ("failed", np.int64),
        ("errors", np.int64),
        ("ejections", np.int64),
        ("breaker", np.int64),
        ("ewma_at", np.int64),
        ("ewma", np.float64),
    ],
    align=True,
)
"""A row: ``since`` (ns, when it was listed) drives slow start, ``passed``/``failed`` are streaks of health checks,
``errors`` consecutive failures, ``ejected_until`` ns or 0,
``ejected_end`` the end of the last ejection in ns, ``ewma`` ns of peak-sensitive latency."""

Table = npt.NDArray[Any]


def empty_table(rows: int) -> Table:
    """A table of *rows* zeroed rows."""
    return np.zeros(rows, dtype=SERVER)


def list_server(table: Table, slot: int, server: int, role: int, weight: int, now: int) -> None:
    """Fill a zeroed row for a server first seen in the registry at *now* (ns). It starts out healthy."""
    row = table[slot]
    row["id"], row["role"], row["weight"], row["since"] = server, role, weight, now
    row["listed"] = row["healthy"] = row["available"] = 1


def update(servers: Table, listed: Mapping[int, int], weight: Callable[[int], int], now: int) -> Table:
    """The table after the registry's lists (server -> role) were read at *now* (ns); the same one if nothing changed.

    Departed servers stay until their requests have ended. *weight* gives a server's routing weight.
    """
    known = dict(zip(servers["id"].tolist(), servers["role"].tolist(), strict=True))
    if known == listed and bool(servers["listed"].all()):
        return servers
    slots = {server: slot for slot, server in enumerate(known)}
    staying = servers["id"][servers["in_flight"] > 0].tolist()
    numbers = sorted({*listed, *staying})
    fresh = empty_table(len(numbers))
    for slot, server in enumerate(numbers):
        if server not in slots:
            list_server(fresh, slot, server, listed[server], weight(server), now)
            continue
        fresh[slot] = servers[slots[server]]
        fresh["listed"][slot] = 1 if server in listed else 0
        if server in listed:
            fresh["role"][slot] = listed[server]
        refresh_available(fresh, slot)
    return fresh


@decision
def find(servers: Table, count: int, server: int) -> int:
    """The slot of *server* in the first *count* rows, or -1."""
    slot = lower_bound(servers, count, server)
    if slot < count and servers["id"][slot] == server:
        return slot
    return -1


@decision
def lower_bound(servers: Table, count: int, server: int) -> int:
    """The first slot whose id is not below *server* (count if there is none)."""
    ids = servers["id"]
    low = 0
    high = count
    while low < high:
        middle = (low + high) // 2
        if ids[middle] < server:
            low = middle + 1
        else:
            high = middle
    return low


@decision
def refresh_available(servers: Table, slot: int) -> None:
    """Recompute ``available``: listed, healthy and not ejected."""
    up = (
        servers["listed"][slot] == 1 and servers["healthy"][slot] == 1 and servers["ejected_until"][slot] == 0
    )
    servers["available"][slot] = 1 if up else 0
