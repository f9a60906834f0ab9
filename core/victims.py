"""Whom a scale-in takes."""

from collections.abc import Iterable, Mapping

from .ports import Sample

YOUNGEST, OLDEST, LEAST_BUSY = "youngest", "oldest", "least_busy"
"""The rules. The younger server is the one with the greater number."""

Server = tuple[int, str]
"""Number and address."""


def in_order(rule: str, servers: Iterable[Server], samples: Mapping[str, Sample]) -> list[Server]:
    """*servers* in the order in which a scale-in takes them by *rule*.

    LEAST_BUSY: fewest requests in flight first, of equal ones the youngest; one that is not among the *samples* (only usable ones) may be busy and comes last.
    """
    youngest = sorted(servers, reverse=True)
    if rule == OLDEST:
        return youngest[::-1]
    if rule == LEAST_BUSY:
        return sorted(youngest, key=lambda server: _in_flight(samples.get(server[1])))
    return youngest


def _in_flight(sample: Sample | None) -> float:
    return float("inf") if sample is None else sample.in_flight
