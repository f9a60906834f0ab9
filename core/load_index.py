"""Who has the fewest requests in flight: an index over the proxy's table, so that least connections need not look at every server.

Theory of operation
-------------------
Two tournament trees, one per role, over the slots of the table: a leaf holds the requests in flight of an available server of that role (and ABSENT
otherwise), an inner node the least of its two children. A change climbs from its leaf (O(log n)); the least is at the root; the first slot
from a given one on that holds it is found by climbing and descending (O(log n)). Layout of the array: the number of leaves of a tree (a power of two; 0: no index is
kept), then the nodes of each tree from 1 on, in the order of a heap. Whoever owns the table calls :func:`load_changed` after each change
of ``in_flight``, ``available`` or ``role``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision
from .table import CANARY, SERVING, Table

ABSENT = 1 << 62

Index = npt.NDArray[Any]


def no_index() -> Index:
    """For routing algorithms that need none."""
    return np.zeros(1, np.int64)


def build_index(servers: Table) -> Index:
    """The index of a table."""
    leaves = 1
    while leaves < len(servers):
        leaves *= 2
    index = np.full(1 + 4 * leaves, ABSENT, np.int64)
    index[0] = leaves
    for slot in range(len(servers)):
        load_changed(servers, index, slot)
    return index


@decision
def load_changed(servers: Table, load: Index, slot: int) -> None:
    """Bring the index up to what the table says of *slot*."""
    leaves = load[0]
    if leaves == 0:
        return
    for role in (SERVING, CANARY):
        value = ABSENT
        if servers["available"][slot] == 1 and servers["role"][slot] == role:
            value = servers["in_flight"][slot]
        base = role * 2 * leaves
        node = leaves + slot
        load[1 + base + node] = value
        while node > 1:
            node //= 2
            least = min(load[1 + base + 2 * node], load[2 + base + 2 * node])
            if load[1 + base + node] == least:
                break
            load[1 + base + node] = least


@decision
def first_least(load: Index, role: int, start: int, cap: int) -> int:
    """The slot with the fewest requests in flight in *role*; of several the first from *start* on, cyclically. -1: none below *cap* (-1: none)."""
    leaves = load[0]
    base = 1 + role * 2 * leaves
    least = load[base + 1]
    if least == ABSENT or 0 <= cap <= least:
        return -1
    slot = first_from(load, base, leaves, start, least)
    if slot < 0:
        slot = first_from(load, base, leaves, 0, least)
    return slot


@decision
def first_from(load: Index, base: int, leaves: int, start: int, value: int) -> int:
    """The first leaf from *start* on that holds *value*, the least of the tree at *base*, or -1."""
    if start >= leaves:
        return -1
    node = leaves + start
    while load[base + node] != value:
        while node & 1 == 1:
            node //= 2
        if node == 0:
            return -1
        node += 1
    while node < leaves:
        node *= 2
        if load[base + node] != value:
            node += 1
    return int(node - leaves)
