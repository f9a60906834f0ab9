"""What a run does not record and a rerun with a probe tells: what routing decisions saw, single tries and calls, what was read from the registry and written to it.

Plain values; times in ns since the scenario's start. Who looks: ``sim.probe``; who shows it: ``reports.trace.probed``.
"""

from dataclasses import dataclass, field

ABANDONED = "abandoned"
"""How a try ends for which nobody waits any more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server of the proxy's table as a routing decision saw it: *cost* is what ``peak_ewma`` compares (elsewhere 0.0), *barred* says why it could not be taken, empty: it could."""

    server: int
    role: str
    in_flight: int
    cost: float
    barred: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A routing decision for try *number* of an attempt: *server* was taken, or 0 and the outcome that this led to."""

    attempt: int
    number: int
    time: int
    algorithm: str
    role: str
    candidates: tuple[Candidate, ...]
    server: int
    outcome: str


@dataclass(slots=True)
class Try:
    """A try of the proxy at *server*. It ends with an *outcome*, or is ABANDONED; *end* -1: it did not before the rerun ended."""

    attempt: int
    number: int
    server: int
    start: int
    end: int = -1
    outcome: str = ""
    status: int = 0


@dataclass(slots=True)
class Call:
    """Call *place* (from 0) of a try to a dependency, which waited there until *served* (-1: it was not served) and *end* (-1: no answer came before the rerun ended).

    *cached*: a cache answered.
    """

    attempt: int
    number: int
    place: int
    dependency: str
    start: int
    served: int = -1
    end: int = -1
    cached: bool = False
    succeeded: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """The proxy has read the lists: so many servers of each role."""

    time: int
    serving: int
    canary: int
    standby: int


@dataclass(frozen=True, slots=True)
class Write:
    """The monitors have written the samples of these servers (addresses); *error*: they could not."""

    time: int
    servers: tuple[str, ...]
    error: str = ""


@dataclass(slots=True)
class Request:
    """Of one request, in order of time."""

    choices: list[Choice] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class Probed:
    """Of some requests, by number; and of the registry, up to the end of the rerun."""

    requests: dict[int, Request] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)

    def table_read(self, time: int) -> Read | None:
        """The last time before *time* that the proxy read the lists."""
        return next((one for one in reversed(self.reads) if one.time <= time), None)
