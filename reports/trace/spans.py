"""What a trace consists of, whatever it is written as. Times are ns of the scenario's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INTERNAL, SERVER, CLIENT = 1, 2, 3
"""Kinds of spans, with OTLP's numbers."""

Value = bool | int | float | str | Sequence[str]
"""What an attribute may be."""


@dataclass(frozen=True, slots=True)
class Service:
    """Who did it: the kind of role, and which one of them, in which version (empty where there is only one)."""

    name: str
    instance: str = ""
    version: str = ""


CLIENTS, PROXY, AUTOSCALER, CLOUD, CHAOS, REGISTRY, DEPLOYS = (
    Service(name) for name in ("client", "proxy", "autoscaler", "cloud", "chaos", "registry", "deploys")
)
APP = "app"


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that this one follows from, and how: ``windtunnel.link`` in files."""

    trace: str
    span: str
    what: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened within a span."""

    time: int
    name: str
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """One span. *parent* is empty for the first of a trace; *error* says what went wrong, empty: nothing. *station* is the number in
    ``stations.STATIONS`` of a span whose time is a part of its request's latency: such spans do not overlap and sum up to it; else -1.
    """

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    service: Service
    start: int
    end: int
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""
    station: int = -1
    links: tuple[Link, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def duration(self) -> int:
        """ns."""
        return self.end - self.start


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
        return f"ot=th:{f'{self.threshold:014x}'.rstrip('0') or '0'}" if self.kept else ""


def value_of(item: Any) -> Value | None:
    """*item* as an attribute's value; None for what is none."""
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    if isinstance(item, (list, tuple)):
        return [str(one) for one in item]
    return str(item)
