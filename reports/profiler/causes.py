"""What went wrong first with each failed request, in words, and where that was."""

from typing import Any

import numpy as np

from ...core.outcomes import Outcome
from ..stations import ANSWER, CONNECTION, CPU, PROXY, QUEUE, UPSTREAM, WAITS
from .case import Case
from .failed import ARRIVED, CPU_DONE, WAITED

_WHERE = {
    CONNECTION: "link to clients", PROXY: "proxy", UPSTREAM: "link to server", QUEUE: "app server", CPU: "app server", WAITS: "dependency", ANSWER: "the answer's way",
}  # fmt: skip
_WAITED = {
    CONNECTION: "no connection in time", PROXY: "the proxy took too long", UPSTREAM: "the server was not reached in time", QUEUE: "waited too long for a worker",
    CPU: "computed too long", WAITS: "io and calls took too long", ANSWER: "the answer did not arrive in time",
}  # fmt: skip
_PLAIN = {
    Outcome.NO_SERVER: ("the proxy knew no server", "proxy"),
    Outcome.QUEUE_FULL: ("the server's queue was full", "app server"),
    Outcome.SHED: ("every server was at its cap", "proxy"),
    Outcome.REFUSED: ("the connection was reset or refused", "proxy"),
    Outcome.BAD_REQUEST: ("the request was not accepted", "clients"),
    Outcome.EVICTED: ("the proxy closed the connection to make room", "proxy"),
    Outcome.UPSTREAM_RESET: ("the connection broke", "link to server"),
    Outcome.CONNECT_FAILED: ("nobody answered at the server", "app server"),
}  # fmt: skip


def causes(case: Case) -> tuple[Any, Any, list[str]]:
    """(cause, where) of each failure as places in a list of words, and the list."""
    rows, words = case.failed, [""]
    cause = np.zeros(len(rows), dtype=np.int64)
    where = np.zeros(len(rows), dtype=np.int64)

    def say(chosen: Any, why: str, place: str) -> None:
        for word, column in ((why, cause), (place, where)):
            if word not in words:
                words.append(word)
            column[chosen] = words.index(word)

    for outcome, (why, place) in _PLAIN.items():
        say(rows.outcome == outcome, why, place)
    waited = np.isin(rows.outcome, WAITED)
    for station, why in _WAITED.items():
        say(waited & (rows.station == station), why, _WHERE[station])
    called = np.array([bool(endpoint.calls) for endpoint in case.fleet.endpoints] or [False])[rows.endpoint]
    errors = rows.outcome == Outcome.APP_ERROR
    say(errors, "the application answered with an error", "app server")
    say(errors & called & rows.reached[CPU_DONE] & rows.worked, "a call failed", "dependency")
    dead = (rows.outcome == Outcome.UPSTREAM_RESET) & _gone(case)
    say(dead, "the server died", "app server")
    say((rows.outcome == Outcome.CONNECT_FAILED) & ~_gone(case) & ~rows.reached[ARRIVED], "no descriptor was left, or the server was not reached", "proxy")  # fmt: skip
    return cause, where, words


def _gone(case: Case) -> Any:
    """Which failures were at a server that was dead then."""
    rows = case.failed
    found = np.zeros(len(rows), dtype=bool)
    for one in case.absences:
        if one.dead and one.server > 0:
            found |= (rows.server == one.server) & (rows.end >= one.start) & (rows.begin <= one.end)
    return found
