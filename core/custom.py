"""Custom metrics: what a modelled app server says of itself besides requests, memory, CPU and requests in flight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

NOTHING: Mapping[str, float] = MappingProxyType({})

OWN = ("requests", "memory", "cpu", "in_flight", "queued", "version", "state", "time")
"""Names that mean something else already."""


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """A value that is linear in what a server's monitor sees: *base*, plus so much for each request in flight, for each of those that waits for a worker, and for
    each request of the second before.
    """

    name: str
    base: float = 0.0
    per_in_flight: float = 0.0
    per_queued: float = 0.0
    per_request: float = 0.0

    def value(self, requests: int, in_flight: int, queued: int) -> float:
        """What a server says of which the monitor has seen that."""
        return (
            self.base
            + self.per_in_flight * in_flight
            + self.per_queued * queued
            + self.per_request * requests
        )


def said(metrics: Sequence[CustomMetric], requests: int, in_flight: int, queued: int) -> Mapping[str, float]:
    """All of *metrics*, by name."""
    if not metrics:
        return NOTHING
    return {metric.name: metric.value(requests, in_flight, queued) for metric in metrics}
