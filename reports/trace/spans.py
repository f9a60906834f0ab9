"""A trace, with why and for how many it was kept; and the model of its spans, which flights share."""

from dataclasses import dataclass

from ...core.trace.probability import state_of
from ...core.trace.spans import (
    APP,
    AUTOSCALER,
    CHAOS,
    CLIENT,
    CLIENTS,
    CLOUD,
    DEPLOYS,
    INTERNAL,
    PROXY,
    REGISTRY,
    SERVER,
    Link,
    Note,
    Service,
    Span,
    Value,
    value_of,
)

__all__ = [
    "APP", "AUTOSCALER", "CHAOS", "CLIENT", "CLIENTS", "CLOUD", "DEPLOYS", "INTERNAL", "PROXY", "REGISTRY", "SERVER",
    "Link", "Note", "Service", "Span", "Trace", "Value", "value_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trace:
    """Spans of one id, parents before their children. *kept* says why a sample holds it (``error``, ``slow``, ``share``; empty: there is no sample),
    *weight* how many it stands for, *threshold* is OpenTelemetry's rejection threshold, of 56 bits.
    """

    spans: tuple[Span, ...]
    kept: str = ""
    weight: float = 1.0
    threshold: int = 0

    @property
    def root(self) -> Span:
        """The first span."""
        return self.spans[0]

    def state(self) -> str:
        """The W3C tracestate: ``ot=th:`` and the threshold without its last zeros; only of requests' traces that were sampled."""
        return state_of(self.threshold) if self.kept else ""
