"""Memory of the servers: who ran out of it, who is near, and whose grows for good, with the time that is left."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....core.model import SECOND
from ...evidence import ALIVE
from ...wording import duration, moment, plural, servers, share
from .change import mann_kendall, theil_sen
from .hint import Figure, Hint
from .scene import Scene

ALPHA = 1e-4
"""The probability at most with which memory that only fluctuates counts as growing, over all servers."""

BINS = 24
"""A life is cut into so many, of each of which the least memory counts: what remains when the requests of the moment have ended."""

NEAR = 0.9
"""A share of the memory that is near its end."""

GROWN = 0.02
"""A share of the memory that it must have grown by."""

HORIZON = 24 * 3600 * SECOND
"""Of memory that lasts longer than this (ns) nothing is said."""


@dataclass(frozen=True, slots=True)
class _Growth:
    """A server whose memory grew from *since* to *until* by *slope* bytes a second, *each* bytes a request; *left*: ns until it has none, -1: unknown."""

    server: int
    since: int
    until: int
    slope: float
    each: float
    last: float
    left: float
    p: float


def servers_run_out_of_memory(scene: Scene) -> Iterator[Hint]:
    """A server ran out of memory."""
    facts = scene.facts
    if not facts.out_of_memory:
        return
    time, server = facts.out_of_memory[0]
    spec = facts.fleet.app.memory
    leak = f" and leaks {spec.leak:,} bytes a request" if spec.leak > 0 else ""
    one = len({number for _, number in facts.out_of_memory}) == 1
    yield Hint(
        "servers_run_out_of_memory", "critical", "server" if one else "fleet", str(server) if one else "", time, facts.out_of_memory[-1][0],
        f"{plural(len(facts.out_of_memory), 'server')} ran out of memory, first server {server} at {moment(time)}; a server has "
        f"{spec.total / 2**20:,.0f} MiB{leak}: more memory, a shorter queue or fewer requests per server would keep it alive.",
        (Figure("servers out of memory", len(facts.out_of_memory), "server"), Figure("memory of a server", spec.total, "bytes")),
    )  # fmt: skip


def memory_grows(scene: Scene) -> Iterator[Hint]:
    """The least memory of a server in each part of its life grew all along, in its later half too, by at least 2% of what it has, and not by chance (the test of Mann and Kendall, error 0.0001 over all servers), so that it is used up within a day."""
    lives = list(_lives(scene))
    found = [one for number, rows in lives if (one := _growth(scene, number, rows, len(lives))) is not None]
    if not found:
        return
    soonest = min(found, key=lambda one: (one.left if one.left >= 0 else HORIZON, one.server))
    alone = len(found) == 1
    if soonest.left < 0:
        then = ""
    elif soonest.until < scene.end:
        then = f"; at {moment(soonest.until)} it had enough for {duration(soonest.left)} more"
    else:
        then = f"; at that rate it is used up {duration(soonest.left)} after the end of the run"
    others = "" if alone else f"Of {plural(len(found), 'server')} whose memory grows, "
    yield Hint(
        "memory_grows", "critical" if 0 <= soonest.left <= 3600 * SECOND else "warning", "server" if alone else "fleet",
        str(soonest.server) if alone else "", soonest.since, soonest.until,
        f"{others}{'S' if alone else 's'}erver {soonest.server} loses {soonest.slope / 2**20:,.3g} MiB a second for good, {soonest.each / 2**10:,.3g} KiB a request{then}.",
        (Figure("slope", soonest.slope, "bytes/s"), Figure("per request", soonest.each, "bytes"), Figure("memory at the end", soonest.last, "bytes"),
         Figure("time left", soonest.left, "ns"), Figure("servers", len(found), "server"), Figure("chance", soonest.p, "p")),
    )  # fmt: skip


def _lives(scene: Scene) -> Iterator[tuple[int, Any]]:
    """Each server with the rows of the metrics since its process began to serve the last time."""
    metrics, born = scene.evidence.metrics, {}
    for event in scene.evidence.happened("ready", "updated", "restarted", "registered"):
        born[event.get("server")] = event["t"]
    rows = np.flatnonzero(scene.evidence.in_states(ALIVE))
    if not len(rows):
        return
    rows = rows[np.argsort(metrics["server"][rows], kind="stable")]
    numbers, starts = np.unique(metrics["server"][rows], return_index=True)
    for number, own in zip(numbers.tolist(), np.split(rows, starts[1:]), strict=True):
        yield number, own[metrics["time_ns"][own] > born.get(number, 0)]


def _growth(scene: Scene, number: int, rows: Any, tests: int) -> _Growth | None:
    if len(rows) < BINS:
        return None
    metrics, spec = scene.evidence.metrics, scene.fleet.app.memory
    time = metrics["time_ns"][rows]
    kept = metrics["memory"][rows] - max(spec.each, 0) * metrics["in_flight"][rows]
    place = np.arange(len(rows)) * BINS // len(rows)
    least = np.array([kept[place == one].min() for one in range(BINS)], dtype=float)
    middle = np.array([time[place == one].mean() for one in range(BINS)]) / SECOND
    tau, p = mann_kendall(least)
    p, slope = min(p * tests, 1.0), theil_sen(middle, least)
    half = BINS // 2
    later = theil_sen(middle[half:], least[half:])
    grown = float(least[-1] - least[0])
    enough = GROWN * spec.total if spec.total > 0 else max(0.1 * float(least[0]), 2**20)
    if p > ALPHA or tau < 0.7 or later < slope / 2 or mann_kendall(least[half:])[1] > 0.01 or grown < enough:
        return None
    last = float(least[-1])
    left = max(spec.total - last, 0.0) / slope * SECOND if spec.total > 0 else -1.0
    if left > HORIZON:
        return None
    many = float(metrics["requests"][rows].sum()) / max(float(time[-1] - time[0]) / SECOND, 1.0)
    return _Growth(
        number, int(time[0]), int(time[-1]), slope, slope / many if many > 0 else 0.0, last, left, p
    )


def memory_is_short(scene: Scene) -> Iterator[Hint]:
    """In at least three seconds a server used 90% or more of its memory, and none ran out of it."""
    metrics, total = scene.evidence.metrics, scene.fleet.app.memory.total
    if total <= 0 or scene.facts.out_of_memory:
        return
    near = scene.evidence.in_states(ALIVE) & (metrics["memory"] >= NEAR * total)
    numbers, counts = np.unique(metrics["server"][near], return_counts=True)
    hit = numbers[counts >= 3].tolist()
    if not hit:
        return
    rows = np.flatnonzero(near & np.isin(metrics["server"], hit))
    worst = rows[int(np.argmax(metrics["memory"][rows]))]
    most, server, at = (
        float(metrics["memory"][worst]),
        int(metrics["server"][worst]),
        int(metrics["time_ns"][worst]),
    )
    since, until = _ends(metrics["time_ns"][rows])
    one = len(hit) == 1
    yield Hint(
        "memory_is_short", "warning", "server" if one else "fleet", str(hit[0]) if one else "", since, until,
        f"{servers(hit).capitalize()} used more than {share(NEAR)} of the memory, most of all server {server} with {share(most / total)} at {moment(at)}: "
        "more memory, or fewer requests at a time, would leave it room.",
        (Figure("share", most / total, "1"), Figure("memory used", most, "bytes"), Figure("memory of a server", total, "bytes"),
         Figure("servers", len(hit), "server")),
    )  # fmt: skip


def _ends(moments: Any) -> tuple[int, int]:
    return max(int(moments.min()) - SECOND, 0), int(moments.max())
