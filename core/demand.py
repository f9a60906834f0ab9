"""What a request asks of the fleet: drawn from (source, index, attempt), alike for every engine and world."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision
from .distributions import sample
from .draws import BODY, CPU, IO, below, draw

MIX = np.dtype([("until", np.int64), ("endpoint", np.int64)], align=True)
"""A source's endpoint mix: cumulative weights and endpoint numbers, one row per endpoint with a weight."""

Mix = npt.NDArray[Any]

SHORTEST_TURN = 100_000
"""A closed client begins no more than one request in so many ns: what fails at once, without any latency in the scenario,
would otherwise be repeated for ever at the same instant."""


def mix_of(weights: list[tuple[int, int]]) -> Mix:
    """The mix of (endpoint, weight) pairs; weights above 0."""
    mix = np.zeros(len(weights), dtype=MIX)
    total = 0
    for row, (endpoint, weight) in enumerate(weights):
        total += weight
        mix["until"][row], mix["endpoint"][row] = total, endpoint
    return mix


@decision
def choose_endpoint(mix: Mix, bits: int) -> int:
    """The endpoint that *bits* select from *mix* (at least one row)."""
    last = len(mix) - 1
    ticket = below(bits, mix["until"][last])
    for row in range(last):
        if ticket < mix["until"][row]:
            return int(mix["endpoint"][row])
    return int(mix["endpoint"][last])


@decision
def cpu_demand(kind: int, a: float, b: float, stream: int, index: int, attempt: int) -> int:
    """CPU time (ns) of an attempt (from 1) of request *index* of the source keyed *stream*."""
    return sample(kind, a, b, draw(stream, index, attempt, CPU))


@decision
def io_demand(kind: int, a: float, b: float, stream: int, index: int, attempt: int) -> int:
    """Time waited on io (ns), likewise."""
    return sample(kind, a, b, draw(stream, index, attempt, IO))


@decision
def body_size(kind: int, a: float, b: float, stream: int, index: int) -> int:
    """Bytes of the body of request *index*, the same for each of its attempts."""
    return sample(kind, a, b, draw(stream, index, 0, BODY))
