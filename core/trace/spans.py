"""What a trace consists of, whatever it is written as, and whoever recorded it."""

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
    """One span; times are ns of the scenario's clock, of one that a role records itself of the live clock. *parent* is empty for the first of a trace; *error* says what went
    wrong, empty: nothing. *station* is the number (``schema``) of a span whose time is a part of its request's latency: such spans do not overlap and sum up to it; else -1.
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


def value_of(item: Any) -> Value | None:
    """*item* as an attribute's value; None for what is none."""
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    if isinstance(item, (list, tuple)):
        return [str(one) for one in item]
    return str(item)
