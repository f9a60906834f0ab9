"""Lists of requests: the failed ones, the slowest ones, and what is told of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.outcomes import GOOD, NAMES
from .traces import Traces, within

COLUMNS = (
    "request",
    "source",
    "endpoint",
    "time_ns",
    "latency_ns",
    "outcome",
    "status",
    "attempts",
    "server",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A request in a list. Times are ns; *server*: the last one that it was sent to, 0: none."""

    request: int
    source: str
    endpoint: str
    time: int
    latency: int
    outcome: str
    status: int
    attempts: int
    server: int


@dataclass(frozen=True, slots=True)
class Found:
    """Requests of a list, how many there were in all, and how many of each outcome."""

    requests: tuple[Listed, ...]
    total: int
    outcomes: tuple[tuple[str, int], ...]

    @property
    def numbers(self) -> Any:
        """Their numbers, in order."""
        return np.sort(np.array([one.request for one in self.requests], dtype=np.int64))


def find(
    traces: Traces, errors: bool, slowest: int | None, window: tuple[int, int] | None, most: int | None
) -> Found:
    """Requests in flight in *window*: only failed ones if *errors*; the *slowest* so many, slowest first, else the first *most* (none: all) by time."""
    kept: dict[str, Any] | None = None
    total, counts = 0, np.zeros(len(NAMES), dtype=np.int64)
    for part in traces.rows.requests(*COLUMNS):
        chosen = within(part, window)
        if errors:
            failed = ~np.isin(chosen["outcome"], list(GOOD))
            chosen = {name: column[failed] for name, column in chosen.items()}
        total += len(chosen["request"])
        counts += np.bincount(chosen["outcome"], minlength=len(NAMES))
        if kept is not None:
            chosen = {name: np.concatenate([kept[name], column]) for name, column in chosen.items()}
        kept = _first(chosen, slowest, most)
    outcomes = [(NAMES[n], int(counts[n])) for n in np.argsort(-counts, kind="stable") if counts[n]]
    return Found(tuple(_listed(traces, kept)) if kept else (), total, tuple(outcomes))


def _first(chosen: dict[str, Any], slowest: int | None, most: int | None) -> dict[str, Any]:
    if slowest is not None:
        order = np.lexsort((chosen["request"], -chosen["latency_ns"]))[:slowest]
    else:
        order = np.lexsort((chosen["request"], chosen["time_ns"]))[:most]
    return {name: column[order] for name, column in chosen.items()}


def _listed(traces: Traces, kept: dict[str, Any]) -> Iterator[Listed]:
    fleet = traces.fleet
    for row in zip(*(kept[name].tolist() for name in COLUMNS), strict=True):
        number, source, endpoint, time, latency, outcome, status, attempts, server = row
        yield Listed(
            number, fleet.sources[source].name, fleet.endpoints[endpoint].path, time, latency, NAMES[outcome], status, attempts, server
        )  # fmt: skip
