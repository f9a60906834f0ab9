"""The headers by which load generator, proxy and app server know a planned request and say when what happened to it.

- ``windtunnel-request: SOURCE-INDEX-ATTEMPT`` (decimal) goes with every planned request, through the proxy to the app server. All draws of that
  attempt follow from it. A request without it is foreign: it is served, and drawn for under a number of the server's own.
- ``windtunnel-try: N`` goes from the proxy to the app server with the N-th upstream try of an attempt, from 2 on; what is drawn for a try (errors, calls) follows from it.
- ``windtunnel-call: POSITION`` goes from an app server to a dependency, beside the two above: which of its endpoint's calls this is, from 0.
- ``windtunnel-app: ARRIVED-STARTED-CPU_DONE-SERVED`` is the app server's answer to the proxy, for planned requests.
- ``windtunnel-times: PROXY-ROUTED-ARRIVED-STARTED-CPU_DONE-SERVED-SERVER-TRIES`` is the proxy's to the client, for planned requests. Times are ns on the live clock;
  ``x`` stands for what was never reached or is not known.
- ``windtunnel-cause: OUTCOME`` names the outcome (core.outcomes) of an answer that the proxy or a full queue gave by itself.
"""

import re
from dataclasses import dataclass

REQUEST = "windtunnel-request"
TRY = "windtunnel-try"
CALL = "windtunnel-call"
APP = "windtunnel-app"
TIMES = "windtunnel-times"
CAUSE = "windtunnel-cause"

UNKNOWN = "x"
_LONGEST = 200
_LARGEST = 1 << 62
_request = re.compile(r"\s*([0-9]+)-([0-9]+)-([0-9]+)\s*").fullmatch


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """Which attempt of the plan a message belongs to: number of the source, index within it, attempt from 1."""

    source: int
    index: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.source}-{self.index}-{self.attempt}"


def read_request(text: str) -> PlannedRequest | None:
    """The planned attempt that a header's value names; None for anything else (a header may hold whatever a client writes)."""
    numbers = request_numbers(text)
    return PlannedRequest(*numbers) if numbers is not None else None


def request_numbers(text: str) -> tuple[int, int, int] | None:
    """Source, index and attempt alone, likewise."""
    match = _request(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    source, index, attempt = int(match[1]), int(match[2]), int(match[3])
    return (source, index, attempt) if attempt >= 1 and max(source, index, attempt) < _LARGEST else None


def write_numbers(*numbers: int) -> str:
    """Numbers as one value; negative ones are unknown."""
    return "-".join(UNKNOWN if number < 0 else str(number) for number in numbers)


def read_numbers(text: str, count: int) -> tuple[int, ...] | None:
    """*count* numbers of a value, -1 for unknown ones; None if it holds something else."""
    parts = text.strip().split("-") if len(text) <= _LONGEST else []
    if len(parts) != count:
        return None
    numbers = []
    for part in parts:
        if part != UNKNOWN and not (part.isascii() and part.isdigit()):
            return None
        numbers.append(-1 if part == UNKNOWN else int(part))
    return tuple(numbers) if max(numbers) < _LARGEST else None
