"""Where the slowest 1% of the requests spent their time. These rules speak only if somebody finds them slow: a latency objective is violated, there is none, or one request in a thousand timed out."""

from collections.abc import Iterator

import numpy as np

from ....core.routing import LEAST_CONNECTIONS, PEAK_EWMA, POWER_OF_TWO
from ... import stations
from ...facts import Facts
from ...wording import duration, listed, moment, plural, share
from .hint import Figure, Hint
from .scene import Scene

BUSY = 0.8
"""A share of workers, cores or an event loop from which it counts as busy."""


def queue_and_busy(scene: Scene) -> Iterator[Hint]:
    """The server's queue took most of the time of the slowest 1%, and when they arrived at least 80% of the workers were busy."""
    facts = scene.facts
    if _slowest_at(facts, stations.QUEUE) and facts.busy is not None and facts.busy >= BUSY:
        yield _hint(
            scene, "queue_and_busy", "fleet", "",
            f"{_slow(facts)} in the queue of the server; when they arrived, {share(facts.busy)} of all workers were busy: "
            "more servers or workers, or a lower scaling threshold, shorten the queue.",
            Figure("workers busy", facts.busy, "1"),
        )  # fmt: skip


def queue_though_idle(scene: Scene) -> Iterator[Hint]:
    """The queue took most of the time of the slowest 1%, workers were free, and the routing does not look at the load."""
    facts = scene.facts
    looks = facts.fleet.proxy.routing in (LEAST_CONNECTIONS, POWER_OF_TWO, PEAK_EWMA)
    if _slowest_at(facts, stations.QUEUE) and facts.busy is not None and facts.busy < BUSY and not looks:
        yield _hint(
            scene, "queue_though_idle", "fleet", "",
            f"{_slow(facts)} in the queue of one server; when they arrived, only {share(facts.busy)} of all workers were busy: "
            "routing by load (least_connections, power_of_two) would use the free ones.",
            Figure("workers busy", facts.busy, "1"),
        )  # fmt: skip


def cores_are_busy(scene: Scene) -> Iterator[Hint]:
    """CPU, with the wait for a core, took most of the time of the slowest 1%, and at least 80% of the cores were used in those seconds."""
    facts = scene.facts
    if _slowest_at(facts, stations.CPU) and facts.cores is not None and facts.cores >= BUSY:
        yield _hint(
            scene, "cores_are_busy", "fleet", "",
            f"{_slow(facts)} on CPU or waiting for a core, and {share(facts.cores)} of all cores were used in the seconds in which they came: "
            "more cores or servers would let them run at once.",
            Figure("cores used", facts.cores, "1"),
        )  # fmt: skip


def proxy_is_the_neck(scene: Scene) -> Iterator[Hint]:
    """The proxy took most of the time of the slowest 1%, and its event loop was at least 80% busy in some second."""
    facts = scene.facts
    if _slowest_at(facts, stations.PROXY) and facts.proxy_busy.value >= BUSY:
        yield _hint(
            scene, "proxy_is_the_neck", "proxy", "",
            f"{_slow(facts)} in the proxy, whose event loop was {share(facts.proxy_busy.value)} busy in the second before "
            f"{moment(facts.proxy_busy.at)}: more servers do not help; less CPU per request or a second proxy would.",
            Figure("event loop busy", facts.proxy_busy.value, "1"),
        )  # fmt: skip


def dependencies_are_slow(scene: Scene) -> Iterator[Hint]:
    """io and dependencies took most of the time of the slowest 1%."""
    facts = scene.facts
    if not _slowest_at(facts, stations.WAITS) or facts.slow is None:
        return
    numbers, counts = np.unique(facts.slow.endpoint, return_counts=True)
    place = int(np.argmax(counts))
    spec = facts.fleet.endpoints[int(numbers[place])]
    called = listed(list(dict.fromkeys(facts.fleet.dependencies[call].name for call in spec.calls)))
    parts = (["io of its own"] if spec.io else []) + ([f"calls to {called}"] if called else [])
    yield _hint(
        scene, "dependencies_are_slow", "endpoint", spec.path,
        f"{_slow(facts)} in io and calls; {counts[place]:,} of these {facts.slow.count:,} are for {spec.path}, which has "
        f"{listed(parts)}: more servers do not help as long as what they wait for is as slow.",
        Figure("of the slowest for it", int(counts[place]), "request"),
    )  # fmt: skip


def pool_is_small(scene: Scene) -> Iterator[Hint]:
    """The way to the proxy took most of the time of the slowest 1%, twice as long as the link needs at most for a handshake and a request, some source uses a pool, and the proxy's accept queue was not full."""
    facts = scene.facts
    link = facts.fleet.client_link
    if not _slowest_at(facts, stations.CONNECTION) or facts.slow is None or facts.backlog_full:
        return
    if facts.pooled() < 0 or facts.slow.means[stations.CONNECTION] < 2 * 3 * (link.latency + link.jitter):
        return
    yield _hint(
        scene, "pool_is_small", "clients", "",
        f"{_slow(facts)} on the way to the proxy, which needs at most {duration(3 * (link.latency + link.jitter))} with a handshake, and the accept queue "
        f"was never full: what is left is the wait for one of the clients' pools (at most {plural(facts.pooled(), 'connection')}).",
        Figure("way to the proxy", facts.slow.means[stations.CONNECTION], "ns"), Figure("greatest pool", facts.pooled(), "connection"),
    )  # fmt: skip


def retries_take_the_time(scene: Scene) -> Iterator[Hint]:
    """Earlier attempts and backoff took most of the time of the slowest 1%."""
    if _slowest_at(scene.facts, stations.EARLIER):
        yield _hint(
            scene, "retries_take_the_time", "clients", "",
            f"{_slow(scene.facts)} in attempts that failed and the waits between them: what made those fail is the matter, not the last answer.",
        )  # fmt: skip


def _slowest_at(facts: Facts, station: int) -> bool:
    return facts.too_slow and facts.slow is not None and facts.slow.total > 0 and facts.slow.most == station


def _slow(facts: Facts) -> str:
    assert facts.slow is not None
    return f"The slowest 1% of requests (median {duration(facts.slow.median)}) spent {share(facts.slow.share(facts.slow.most))} of their time"


def _hint(scene: Scene, kind: str, part: str, which: str, text: str, *more: Figure) -> Hint:
    slow = scene.facts.slow
    assert slow is not None
    planned = slow.planned
    since, until = (int(planned.min()), int(planned.max()) + slow.median) if len(planned) else (0, scene.end)
    told = (
        Figure("slowest requests", slow.count, "request"), Figure("their median", slow.median, "ns"),
        Figure("share of their time", slow.share(slow.most), "1"),
    )  # fmt: skip
    return Hint(kind, "warning", part, which, since, min(until, scene.end), text, (*told, *more))
