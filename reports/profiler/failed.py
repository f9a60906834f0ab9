"""The failed requests of a run: how far each came in the attempt that decided it, where its time went, when and at which server. Times are ns."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.outcomes import GOOD, NAMES, Outcome
from ..evidence import Evidence
from ..stations import ANSWER, CONNECTION, CPU, PROXY, QUEUE, UPSTREAM, WAITS, fill
from ..tables import codes

MOMENTS = ("start_ns", "proxy_ns", "routed_ns", "arrived_ns", "started_ns", "cpu_done_ns", "served_ns")
START, AT_PROXY, ROUTED, ARRIVED, STARTED, CPU_DONE, SERVED, END = range(8)
ORDER = (CONNECTION, PROXY, UPSTREAM, QUEUE, CPU, WAITS, ANSWER)
"""Stations between each moment and the next."""

WAITED = (Outcome.CLIENT_TIMEOUT, Outcome.UPSTREAM_TIMEOUT, Outcome.UNFINISHED)
"""Outcomes of requests that took too long: where they took it is what counts. Others failed where they were."""


@dataclass(frozen=True)
class Failed:
    """Columns of one length, a row for each failed request, in order of number. *station* (``reports.stations``) is where the deciding attempt failed or lost its time, which it entered at *since* and
    left, or was cut at, at *until*; *begin* and *end* of that attempt; *reached* (rows by moment) what it reached; *server* 0: none; *early*: when the request was planned; *worked*: whether CPU was spent on it; *longest*: the station that took most of its time, from *longest_since* to *longest_until*."""

    request: Any
    source: Any
    endpoint: Any
    outcome: Any
    server: Any
    attempts: Any
    tries: Any
    early: Any
    begin: Any
    end: Any
    station: Any
    since: Any
    until: Any
    reached: Any
    status: Any
    worked: Any
    longest: Any
    longest_since: Any
    longest_until: Any

    def __len__(self) -> int:
        """How many failed."""
        return len(self.request)


def failed(evidence: Evidence, first: bool = False) -> Failed:
    """Those of *evidence*, each by its last attempt; by its *first* one if that is asked for."""
    requests = evidence.requests
    rows = np.flatnonzero(~np.isin(requests["outcome"], [*GOOD, Outcome.PENDING]))
    number = evidence.attempts("request")
    wanted = requests["request"][rows]
    last = np.searchsorted(number, wanted, "left") if first else np.searchsorted(number, wanted, "right") - 1
    last = last.clip(max=len(number) - 1) if len(number) else last
    # Of a flight that was cut off, a request may be there without its attempts.
    known = (last >= 0) & (number[last.clip(0)] == wanted) if len(number) else np.zeros(len(rows), bool)
    last = last.clip(0)

    def column(name: str, missing: int = -1) -> Any:
        if not len(number):
            return np.full(len(rows), missing, dtype=np.int64)
        return np.where(known, evidence.attempts(name)[last].astype(np.int64), missing)

    planned = requests["time_ns"][rows]
    end = np.where(known, column("end_ns"), planned + requests["latency_ns"][rows])
    end = np.where(end < 0, planned + requests["latency_ns"][rows], end)
    moments = np.empty((len(MOMENTS) + 1, len(rows)), dtype=np.int64)
    for place, name in enumerate(MOMENTS):
        moments[place] = column(name)
    moments[START] = np.where(moments[START] < 0, planned, moments[START])
    moments[END] = end
    reached = moments >= 0
    fill(moments)
    moments[AT_PROXY:END] = np.minimum(moments[AT_PROXY:END], end)
    outcome = requests["outcome"][rows]
    if first and len(number):
        made = codes(evidence.run.table("attempts", ("outcome",)), "outcome", NAMES)
        outcome = np.where(known, made[last], outcome)
    lengths = np.diff(moments, axis=0)
    longest = np.argmax(lengths, axis=0)
    station = np.where(np.isin(outcome, WAITED), longest, _furthest(reached))
    across = np.arange(len(rows))
    return Failed(
        request=wanted,
        source=requests["source"][rows],
        endpoint=requests["endpoint"][rows],
        outcome=outcome,
        server=np.where(known, column("server", 0), requests["server"][rows]),
        attempts=requests["attempts"][rows],
        tries=column("tries", 0),
        early=planned,
        begin=moments[START],
        end=end,
        station=np.asarray(ORDER)[station],
        since=moments[station, across],
        until=moments[station + 1, across],
        reached=reached,
        status=column("status", 0),
        worked=moments[CPU_DONE] > moments[STARTED],
        longest=np.asarray(ORDER)[longest],
        longest_since=moments[longest, across],
        longest_until=moments[longest + 1, across],
    )


def _furthest(reached: Any) -> Any:
    """Places in ORDER: the furthest that was reached."""
    furthest = np.zeros(reached.shape[1], dtype=np.int64)
    for place in range(1, len(ORDER)):
        furthest = np.where(reached[place], place, furthest)
    return furthest
