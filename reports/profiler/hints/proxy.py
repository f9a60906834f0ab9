"""The proxy: how close it came to its limits, and what happened when it reached them."""

from collections.abc import Iterator

import numpy as np

from ....core.model import SECOND
from ...facts import SYN_RETRY, Facts, Peak, proxy_loop
from ...wording import duration, moment, plural, share
from .hint import Figure, Hint
from .scene import Scene
from .words import errors, failures, often

FULL, CLOSE = 0.98, 0.8
"""Shares of a limit from which it counts as reached, and as close."""

LEAST_CLOSE = 3
"""Seconds in which it has to be close: connections of a single moment say little."""


def proxy_close_to_its_limits(scene: Scene) -> Iterator[Hint]:
    """In at least three seconds the proxy used 80% or more of its descriptors, of its memory, of its event loop or of its backlog."""
    metrics, proxy = scene.evidence.metrics, scene.fleet.proxy
    rows = np.flatnonzero(metrics["server"] == 0)
    moments = metrics["time_ns"][rows]
    for name, used, limit, unit, remedy in (
        ("descriptors", metrics["descriptors"][rows], proxy.max_connections, "descriptor", "a greater max_connections, or shorter keep-alive"),
        ("memory", metrics["memory"][rows], proxy.memory.total, "bytes", "more memory, or less per connection"),
        ("event loop", proxy_loop(scene.evidence)[rows], 1.0, "1", "less CPU per request, or a second proxy"),
        ("accept queue", metrics["queued"][rows], proxy.backlog, "connection", "a longer backlog, or a proxy that accepts sooner"),
    ):  # fmt: skip
        close = used >= CLOSE * limit if limit > 0 else np.zeros(len(rows), dtype=bool)
        if int(close.sum()) < LEAST_CLOSE:
            continue
        hit, worst = np.flatnonzero(close), int(np.argmax(used))
        most, since = float(used[worst]), int(moments[hit[0]]) - SECOND
        figures = (
            Figure(f"{name} used", most, unit),
            Figure("limit", float(limit), unit),
            Figure("seconds close", len(hit), "second"),
        )
        of = f"{figures[0].words} of {figures[1].words}" if unit != "1" else f"{share(most)} of a core"
        yield Hint(
            "proxy_close_to_its_limits", "critical" if most >= FULL * limit else "warning", "proxy", "", since, int(moments[hit[-1]]),
            f"The proxy {'was at' if most >= FULL * limit else 'is close to'} the limit of its {name}: {of} at {moment(int(moments[worst]))}, and at least "
            f"{share(CLOSE)} in {plural(len(hit), 'second')} from {moment(since)} on: {remedy}, would leave it room.",
            (Figure("share", most / limit, "1"), *figures),
        )  # fmt: skip


def syns_are_dropped(scene: Scene) -> Iterator[Hint]:
    """Attempts waited at least a second for a connection, and the accept queue was as long as the backlog in some second."""
    facts = scene.facts
    if facts.late_syns == 0 or not facts.backlog_full:
        return
    yield Hint(
        "syns_are_dropped", "critical", "proxy", "", *_around(scene, facts.accept_queue),
        f"{plural(facts.late_syns, 'attempt')} waited at least {duration(SYN_RETRY)} for a connection, as a client does whose SYN is dropped; "
        f"the accept queue held {facts.accept_queue.value:,.0f} of {facts.fleet.proxy.backlog:,} at {moment(facts.accept_queue.at)}: "
        "a longer backlog, more descriptors or a proxy that accepts sooner would spare them the wait.",
        (Figure("attempts that waited", facts.late_syns, "attempt"), Figure("accept queue", facts.accept_queue.value, "connection"),
         Figure("backlog", facts.fleet.proxy.backlog, "connection")),
    )  # fmt: skip


def descriptors_run_out(scene: Scene) -> Iterator[Hint]:
    """Requests failed as refused, connect_failed or evicted, and at least 98% of the descriptors were in use in some second."""
    facts, kinds = scene.facts, ("refused", "connect_failed", "evicted")
    limit = facts.fleet.proxy.max_connections
    if limit < 0 or not errors(facts, *kinds) or facts.descriptors.value < FULL * limit:
        return
    yield Hint(
        "descriptors_run_out", "critical", "proxy", "", *_around(scene, facts.descriptors),
        f"{failures(facts, *kinds)}, and {facts.descriptors.value:,.0f} of {limit:,} descriptors were in use at "
        f"{moment(facts.descriptors.at)}: a greater max_connections would admit them.",
        (_failed(facts, *kinds), Figure("descriptors used", facts.descriptors.value, "descriptor"), Figure("limit", limit, "descriptor")),
    )  # fmt: skip


def proxy_memory_runs_out(scene: Scene) -> Iterator[Hint]:
    """Requests failed as refused or evicted, and at least 98% of the proxy's memory was in use in some second."""
    facts, kinds = scene.facts, ("refused", "evicted")
    total = facts.fleet.proxy.memory.total
    if total <= 0 or not errors(facts, *kinds) or facts.proxy_memory.value < FULL * total:
        return
    yield Hint(
        "proxy_memory_runs_out", "critical", "proxy", "", *_around(scene, facts.proxy_memory),
        f"{failures(facts, *kinds)}, and the proxy used {share(facts.proxy_memory.value / total)} of its memory at "
        f"{moment(facts.proxy_memory.at)}: more memory, or less per connection, would keep them.",
        (_failed(facts, *kinds), Figure("memory used", facts.proxy_memory.value, "bytes"), Figure("memory", total, "bytes")),
    )  # fmt: skip


def proxy_was_down(scene: Scene) -> Iterator[Hint]:
    """The proxy went down."""
    facts = scene.facts
    if not facts.proxy_down:
        return
    time, up = facts.proxy_down[0]
    back = f"came back {duration(up - time)} later" if up >= 0 else "did not come back (restart_after)"
    refused = f"; {failures(facts, 'refused')}" if errors(facts, "refused") else ""
    last = facts.proxy_down[-1][1]
    yield Hint(
        "proxy_was_down", "critical", "proxy", "", time, last if last >= 0 else scene.end,
        f"The proxy went down {often(len(facts.proxy_down))}, first at {moment(time)}, and {back}{refused}: it is the one part that nothing replaces.",
        (Figure("times down", len(facts.proxy_down), "time"), Figure("first down", (up if up >= 0 else scene.end) - time, "ns"),
         _failed(facts, "refused")),
    )  # fmt: skip


def _failed(facts: Facts, *kinds: str) -> Figure:
    return Figure("requests failed", errors(facts, *kinds), "request")


def _around(scene: Scene, peak: Peak) -> tuple[int, int]:
    """The second of a peak."""
    return max(peak.at - SECOND, 0), min(peak.at, max(scene.end, peak.at))
