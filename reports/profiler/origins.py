"""Where failures come from: the earliest span that went wrong, and the fault, deploy or scaling decision that it followed. Times are ns."""

from dataclasses import dataclass

FAULT, DEPLOY, SCALING, LOAD, UNKNOWN = "fault", "deploy", "scaling", "load", "unknown"
ORIGINS = (FAULT, DEPLOY, SCALING, LOAD, UNKNOWN)
"""Kinds of origins. *load*: more was asked than the fleet could do, and nothing else brought that about; *unknown*: nothing in the record explains it."""

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"
"""Confidence. *certain*: the record names the cause (the server that the fault killed); *likely*: the cause was in force where the request failed, and such failures are rarer without it;
*possible*: a consequence that outlived it, or load that moved."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What failures go back to. *name* is that of the fault or deploy, of a scaling decision what it did (``drain 3``); *type* a fault's type, a deploy's branch, else empty. It was in force from *start*
    to *end* (-1: to the end of the run); *targets* are servers by number, else names. *text* is all of it in words."""

    kind: str
    name: str
    type: str
    start: int
    end: int
    targets: tuple[int | str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest span in the causal chain that went wrong, of one request as an example: its attempt (from 1), the station where it was
    (``reports.stations``), at whom (``server-3``, ``proxy``, ``client link``), and when it began and ended."""

    request: int
    attempt: int
    station: str
    where: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """Failures of one signature with one origin. *rule* is the name of the rule that says so (docs/profiler.md), *evidence* sentences with figures; *count* requests from *first* to *last*."""

    origin: Origin
    rule: str
    confidence: str
    evidence: tuple[str, ...]
    count: int
    first: int
    last: int
    span: Span
