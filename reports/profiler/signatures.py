"""Failures grouped by signature: what became of them, why, where it began, on which route, with which version. Times are ns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .origins import Attribution, Origin


@dataclass(frozen=True, slots=True)
class Signature:
    """What failures have in common. *outcome* is the request's; *cause* is what went wrong first, in words (``the server died``); *where* it began: ``app server``, ``proxy``,
    ``link to server``, ``link to clients``, ``dependency db``, ``accept queue``; *route* is the endpoint's path; *version* that of the server, empty where there is none."""

    outcome: str
    cause: str
    where: str
    route: str
    version: str


@dataclass(frozen=True, slots=True)
class Failures:
    """All failures of one signature. *share* is of all requests (0 to 1); *first* and *last*: when they failed; *servers*: how many at which server, most first (0: no server);
    *origins*: most first, their counts sum up to *count*; *examples*: numbers of requests, for ``windtunnel trace``."""

    signature: Signature
    count: int
    share: float
    first: int
    last: int
    servers: tuple[tuple[int, int], ...]
    origins: tuple[Attribution, ...]
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OriginTotal:
    """How many failures have this origin, of all signatures together."""

    origin: Origin
    count: int
    share: float
    first: int
    last: int


@dataclass(frozen=True)
class Diagnosis:
    """All failures of a run: groups and totals, most first. *failed* holds the numbers of the failed requests in order, *origin_of* for each of them the place of its origin in *origins*
    (numpy arrays of one length)."""

    requests: int
    failures: tuple[Failures, ...]
    origins: tuple[OriginTotal, ...]
    failed: Any
    origin_of: Any

    @property
    def count(self) -> int:
        """Failed requests."""
        return len(self.failed)

    def by_name(self) -> Mapping[str, int]:
        """Failed requests by the name of their origin; of load and unknown the kind is the name."""
        found: dict[str, int] = {}
        for total in self.origins:
            found[total.origin.name] = found.get(total.origin.name, 0) + total.count
        return found
