"""Arrival rates over time, and the inverse of their integral.

A rate profile is an array of segments with linear rates; its integral L(t) counts the requests expected until t. Arrivals are drawn as positions on
the axis of L and brought back to times (time change of a Poisson process, e.g. Cinlar, "Introduction to Stochastic Processes", 1975,
ch. 4.7).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision, fast
from .model import SECOND

SEGMENT = np.dtype(
    [("start", np.int64), ("length", np.float64), ("first", np.float64), ("last", np.float64), ("before", np.float64)],
    align=True,
)  # fmt: skip
"""Start (ns), length (s), rate at both ends (requests/s), and requests expected before it."""

Profile = npt.NDArray[Any]
Positions = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


def profile_of(segments: list[tuple[int, int, float, float]]) -> Profile:
    """From (start ns, end ns, first rate, last rate), in order and without gaps."""
    profile = np.zeros(len(segments), SEGMENT)
    expected = 0.0
    for row, (start, end, first, last) in enumerate(segments):
        length = (end - start) / SECOND
        profile[row] = (start, length, first, last, expected)
        expected += length * (first + last) / 2
    return profile


def expected_requests(profile: Profile) -> float:
    """Requests expected in all."""
    last = profile[-1]
    return float(last["before"] + last["length"] * (last["first"] + last["last"]) / 2)


@decision
def fill_times(profile: Profile, positions: Positions, earliest: int, out: Times) -> None:
    """Times (ns, from *earliest*, ascending) at which the integral of *profile* reaches each of *positions* (ascending, below what is expected)."""
    row, last = 0, len(profile) - 1
    latest = earliest
    for place in range(len(positions)):
        position = positions[place]
        while row < last and profile[row + 1]["before"] <= position:
            row += 1
        segment = profile[row]
        rest = position - segment["before"]
        first, length = segment["first"], segment["length"]
        slope = (segment["last"] - first) / length
        root = math.sqrt(max(first * first + 2.0 * slope * rest, 0.0))
        seconds = 0.0
        if first + root > 0.0:
            seconds = min(2.0 * rest / (first + root), length)
        time = segment["start"] + math.floor(seconds * 1e9)
        latest = max(latest, time)
        out[place] = latest


def times_at(profile: Profile, positions: Positions, earliest: int) -> Times:
    """:func:`fill_times`; in a compiled loop, if this process compiles at all."""
    begin = (
        max(int(np.searchsorted(profile["before"], positions[0], side="right")) - 1, 0)
        if len(positions)
        else 0
    )
    out = np.empty(len(positions), dtype=np.int64)
    (fast(fill_times) or fill_times)(profile[begin:], positions, earliest, out)
    return out
