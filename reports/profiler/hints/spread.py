"""How the load is spread over the servers: one that takes more than its share, one that gets nothing, one that is gone and still gets something."""

from collections.abc import Iterator

import numpy as np

from ....core.model import SECOND
from ....core.routing import WEIGHTED
from ...wording import duration, listed, moment, plural, times
from .hint import Figure, Hint
from .scene import Scene, stretches

UNEVEN = 1.5
"""Times its share that a server takes."""

LEAST = 100
"""Requests that its share has to be."""

NOTHING = 10
"""Seconds without a request."""

PEERS = 5.0
"""Requests a second that its peers get meanwhile."""


def load_is_uneven(scene: Scene) -> Iterator[Hint]:
    """A server got at least 1.5 times its share, by weight, of the requests of all that got any in the same second, with a share of 100 or more."""
    metrics = scene.evidence.metrics
    rows = np.flatnonzero(scene.idle_states & (metrics["requests"] > 0))
    if not len(rows):
        return
    number, second = metrics["server"][rows], metrics["time_ns"][rows] // SECOND
    app, weighs = scene.fleet.app, scene.fleet.proxy.routing == WEIGHTED
    weights = [app.weight(one) if weighs else 1 for one in range(1, int(number.max()) + 1)]
    weight = np.array(weights, dtype=float)[number - 1]
    size = int(second.max()) + 1
    got = metrics["requests"][rows]
    total, whole = np.bincount(second, got, size), np.bincount(second, weight, size)
    share_ = total[second] * weight / np.maximum(whole[second], 1e-9)
    owed, had = np.bincount(number, share_), np.bincount(number, got)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(owed >= LEAST, had / owed, 0.0)
    worst = int(np.argmax(ratio))
    if ratio[worst] < UNEVEN:
        return
    own = second[number == worst]
    yield Hint(
        "load_is_uneven", "warning", "server", str(worst), int(own.min() - 1) * SECOND, int(own.max()) * SECOND,
        f"Server {worst} took {times(float(ratio[worst]))} its share: {plural(int(had[worst]), 'request')} where its part of what all got in the same seconds was "
        f"{owed[worst]:,.0f}: another routing, or other weights, would spread them.",
        (Figure("factor", float(ratio[worst]), "times"), Figure("requests", float(had[worst]), "request"), Figure("its share", float(owed[worst]), "request")),
    )  # fmt: skip


def nobody_routes_to(scene: Scene) -> Iterator[Hint]:
    """A serving server got no request for at least ten seconds, in which those that got any got five a second or more each."""
    metrics, seconds = scene.evidence.metrics, scene.evidence.seconds
    rows = np.flatnonzero(scene.idle_states)
    number, got = metrics["server"][rows], metrics["requests"][rows]
    second = np.clip(metrics["time_ns"][rows] // SECOND - 1, 0, seconds - 1)
    taking = np.bincount(second, got > 0, seconds)
    each = np.bincount(second, got, seconds) / np.maximum(taking, 1)
    missed: list[tuple[int, int, int]] = []
    for server in np.unique(number).tolist():
        empty = np.zeros(seconds, dtype=bool)
        own = second[number == server]
        empty[own] = (got[number == server] == 0) & (each[own] >= PEERS)
        missed += [(server, first, last) for first, last in stretches(empty, NOTHING)]
    if not missed:
        return
    server, first, last = max(missed, key=lambda one: (one[2] - one[1], -one[0]))
    others = sorted({one[0] for one in missed} - {server})
    why, also = _why(scene, server, first, last), f"; likewise {listed(others)}" if others else ""
    peers = float(each[first:last].mean())
    yield Hint(
        "nobody_routes_to", "warning", "server", str(server), first * SECOND, last * SECOND,
        f"Server {server} served and got no request for {duration((last - first) * SECOND)} from {moment(first * SECOND)} on, while others got {peers:,.0f} a second: "
        f"{why}{also}.",
        (Figure("without a request", (last - first) * SECOND, "ns"), Figure("requests of its peers", peers, "1/s"),
         Figure("servers", len(others) + 1, "server")),
    )  # fmt: skip


def _why(scene: Scene, server: int, first: int, last: int) -> str:
    """What the event log knows of it."""
    out = {
        "unhealthy": "found unhealthy",
        "ejected": "ejected",
        "breaker_opened": "behind an open circuit breaker",
    }
    back = {"healthy": "unhealthy", "unejected": "ejected", "breaker_closed": "breaker_opened"}
    state: set[str] = set()
    for event in scene.evidence.happened(*out, *back):
        if event["server"] == server and event["t"] <= last * SECOND:
            name = str(event["event"])
            if name in out and event["t"] <= (first + 2) * SECOND:
                state.add(name)
            elif name in back and event["t"] <= first * SECOND:
                state.discard(back[name])
    if state:
        return f"the proxy had it {listed([out[name] for name in sorted(state)])}"
    return "it is paid for and in nobody's table, as a server is that the registry does not list"


def gone_are_routed_to(scene: Scene) -> Iterator[Hint]:
    """At least ten attempts were routed to a server after it had been terminated."""
    server, routed = scene.attempt("server"), scene.attempt("routed_ns")
    late, worst, longest, first = 0, (0, 0), 0, -1
    for life in scene.evidence.lives:
        if life.gone < 0:
            continue
        mine = routed[(server == life.server) & (routed > life.gone)]
        late += len(mine)
        if len(mine):
            first = life.gone if first < 0 else min(first, life.gone)
            longest = max(longest, int(mine.max()) - life.gone)
            worst = max(worst, (len(mine), life.server))
    if late >= 10:
        yield Hint(
            "gone_are_routed_to", "critical", "registry", "", first, first + longest,
            f"{plural(late, 'attempt')} went to servers that had been terminated, {worst[0]:,} of them to server {worst[1]}, up to {duration(longest)} later: "
            "the proxy's table is old; a shorter refresh interval, or draining before the end, would spare them.",
            (Figure("attempts", late, "attempt"), Figure("longest after the end", longest, "ns")),
        )  # fmt: skip
