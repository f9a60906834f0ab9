"""Which worker of a server did what, as far as that can be told."""

from heapq import heappop, heappush
from typing import Any

import numpy as np


def lanes(start: Any, end: Any) -> Any:
    """For each stretch of time [start, end), in order of *start*, the lowest number that no other stretch has meanwhile: as few as overlap at a time."""
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    found = np.empty(len(start), dtype=np.int64)
    for place, (begins, ends) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        while busy and busy[0][0] <= begins:
            heappush(free, heappop(busy)[1])
        lane = heappop(free) if free else len(busy)
        heappush(busy, (ends, lane))
        found[place] = lane
    return found
