"""Servers that fail, or are taken for failing, and requests that nobody takes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ....core.model import SECOND
from ....core.outcomes import Outcome
from ...facts import Facts
from ...wording import duration, listed, moment, plural, servers, share, times
from .change import excess
from .hint import Figure, Hint
from .scene import Scene
from .words import errors, failures, often

NOTABLE = 0.01
"""A share of the requests from which a failure is notable."""

ALPHA = 1e-4
"""The probability at most with which servers that fail alike get ``server_fails_more``."""

OWN = (Outcome.APP_ERROR, Outcome.CONNECT_FAILED, Outcome.UPSTREAM_RESET, Outcome.UPSTREAM_TIMEOUT)
"""Outcomes that are a server's own, or its link's; full queues come with load."""

FLAPS = 3
"""So often a server has to be taken out."""

MOST = 0.5
"""A share of the serving servers."""


def dead_stay_listed(scene: Scene) -> Iterator[Hint]:
    """Requests that were last sent to a server failed after it had died."""
    facts = scene.facts
    hit = [death for death in facts.deaths if death.failed]
    if not hit:
        return
    worst = max(hit, key=lambda death: (death.failed, -death.server))
    gone = f"terminated {duration(worst.gone - worst.died)} later" if worst.gone >= 0 else "never terminated"
    parts = (("health checks", facts.fleet.proxy.health), ("outlier detection", facts.fleet.proxy.outlier))
    missing = [word for word, part in parts if part is None]
    then = (
        f"{listed(missing)} would take such a server out"
        if missing
        else "a shorter check interval would take such a server out sooner"
    )
    failed = sum(death.failed for death in hit)
    part, which = ("server", str(worst.server)) if len(hit) == 1 else ("fleet", "")
    yield Hint(
        "dead_stay_listed", "critical", part, which, min(death.died for death in hit),
        max(death.gone if death.gone >= 0 else scene.end for death in hit),
        f"{plural(failed, 'request')} failed on {servers([death.server for death in hit])} after "
        f"{'it' if len(hit) == 1 else 'they'} had died; server {worst.server} died at {moment(worst.died)} and was {gone}: {then}.",
        (Figure("requests failed", failed, "request"), Figure("dead servers", len(hit), "server")),
    )  # fmt: skip


def nobody_served(scene: Scene) -> Iterator[Hint]:
    """Requests got no_server, and there were seconds without any serving server."""
    facts = scene.facts
    seconds, first, last = facts.unserved
    if errors(facts, "no_server") and seconds:
        yield Hint(
            "nobody_served", "critical", "fleet", "", first, last,
            f"{failures(facts, 'no_server')}; no server was serving in {plural(seconds, 'second')}, from {moment(first)} to {moment(last)}: "
            "a greater minimum, a shorter dead_after or standby servers would close the gap.",
            (_failed(facts, "no_server"), Figure("seconds without a server", seconds, "second")),
        )  # fmt: skip


def queues_overflow(scene: Scene) -> Iterator[Hint]:
    """At least 1% of the requests found a full queue."""
    facts = scene.facts
    if errors(facts, "queue_full") >= NOTABLE * max(facts.planned, 1):
        yield Hint(
            "queues_overflow", "critical", "fleet", "", *_when(scene, Outcome.QUEUE_FULL),
            f"{failures(facts, 'queue_full')}: the servers' queues hold {facts.fleet.app.queue:,} each; more servers would empty them sooner, "
            "a longer queue would turn errors into waiting.",
            (_failed(facts, "queue_full"), Figure("places in a queue", facts.fleet.app.queue, "place")),
        )  # fmt: skip


def cap_sheds(scene: Scene) -> Iterator[Hint]:
    """At least 1% of the requests were shed."""
    facts = scene.facts
    if errors(facts, "shed") >= NOTABLE * max(facts.planned, 1):
        cap = facts.fleet.proxy.max_in_flight
        yield Hint(
            "cap_sheds", "critical", "fleet", "", *_when(scene, Outcome.SHED),
            f"{failures(facts, 'shed')}: every server was at its cap of {plural(cap, 'request')} in flight; "
            "more servers or a greater cap would take them.",
            (_failed(facts, "shed"), Figure("cap", cap, "request")),
        )  # fmt: skip


def queue_full_while_idle(scene: Scene) -> Iterator[Hint]:
    """At least ten attempts found a full queue, in seconds at whose end less than 80% of the workers of all servers were busy."""
    outcome = scene.attempt("outcome")
    full = np.flatnonzero(outcome == Outcome.QUEUE_FULL)
    if len(full) < 10:
        return
    metrics, seconds, workers = scene.evidence.metrics, scene.evidence.seconds, scene.fleet.app.workers
    rows = scene.idle_states
    second = np.clip(metrics["time_ns"][rows] // SECOND - 1, 0, seconds - 1)
    working = np.minimum(metrics["in_flight"][rows] - metrics["queued"][rows], workers)
    places = np.bincount(second, minlength=seconds) * workers
    busy = np.bincount(second, working, seconds) / np.maximum(places, 1)
    when = np.clip(scene.attempt("end_ns")[full] // SECOND, 0, seconds - 1)
    able = places[when] > 0
    mean = float(busy[when[able]].mean()) if able.any() else 1.0
    if mean >= 0.8:
        return
    numbers, counts = np.unique(scene.attempt("server")[full], return_counts=True)
    worst = int(numbers[np.argmax(counts)])
    ends = scene.attempt("end_ns")[full]
    yield Hint(
        "queue_full_while_idle", "critical", "fleet", "", int(ends.min()), int(ends.max()),
        f"{plural(len(full), 'attempt')} found a full queue, {counts.max():,} of them on server {worst}, while only {share(mean)} of all workers were busy: "
        "the load is uneven, or the queues are short for bursts; routing by load or a longer queue would use the free workers.",
        (Figure("attempts turned away", len(full), "attempt"), Figure("of these on the worst", int(counts.max()), "attempt"),
         Figure("workers busy", mean, "1")),
    )  # fmt: skip


def server_fails_more(scene: Scene) -> Iterator[Hint]:
    """For a stretch of the run at least 1% of a server's attempts failed by themselves, twice the share of its peers' or more, and not by chance (Hoeffding's bound for draws without replacement, error 0.0001 over all servers and stretches); what failed on it after its death or end is not counted."""
    server, outcome = scene.attempt("server"), scene.attempt("outcome")
    bad = np.isin(outcome, OWN) & (server > 0) & ~_after_death(scene, server)
    if int(bad.sum()) < 10:
        return
    rows = np.flatnonzero((server > 0) & (bad | ~np.isin(outcome, OWN)))
    numbers, place = np.unique(server[rows], return_inverse=True)
    shape = (len(numbers), scene.bins)
    where = place * scene.bins + scene.bin_of(scene.attempt("start_ns")[rows])
    size = len(numbers) * scene.bins
    tried = np.bincount(where, minlength=size).reshape(shape)
    failed = np.bincount(where, bad[rows], size).reshape(shape)
    for index, number in enumerate(numbers.tolist()):
        found = _worse(tried, failed, index)
        if found is None:
            continue
        first, last, own, peers, chance = found
        own_time = scene.attempt("start_ns")[rows][place == index]
        since, until = (int(one) for one in np.clip(scene.span(first, last), own_time.min(), own_time.max()))
        what = np.bincount(outcome[rows][bad[rows] & (place == index)], minlength=16)
        yield Hint(
            "server_fails_more", "critical", "server", str(number), since, until,
            f"Server {number} failed {share(own[0] / own[1])} of {plural(round(own[1]), 'attempt')} between {moment(since)} and {moment(until)}, most of "
            f"them as {Outcome(int(what.argmax())).name.lower()}, its peers {share(peers)} of theirs: the fault is its own.",
            (Figure("attempts failed", own[0], "attempt"), Figure("attempts", own[1], "attempt"), Figure("share", own[0] / own[1], "1"),
             Figure("share of the peers", peers, "1"), Figure("chance", chance, "p")),
        )  # fmt: skip


def _worse(tried: Any, failed: Any, index: int) -> tuple[int, int, tuple[float, float], float, float] | None:
    """The stretch of bins in which a server failed more than its peers; with (failed, tried), the peers' share, and the chance."""
    total, lost, mine = tried.sum(axis=0), failed.sum(axis=0), tried[index]
    first, last = np.triu_indices(len(total) + 1, 1)

    def within(values: Any) -> Any:
        sums = np.concatenate([[0.0], np.cumsum(values)])
        return sums[last] - sums[first]

    own_lost, own, all_lost, every = within(failed[index]), within(mine), within(lost), within(total)
    expected = within(mine * lost / np.maximum(total, 1)) / np.maximum(own, 1)
    peers = (all_lost - own_lost) / np.maximum(every - own, 1)
    able = (
        (every - own >= 10) & (own_lost >= 10) & (own_lost >= NOTABLE * own) & (own_lost >= 2 * peers * own)
    )
    chances = np.where(able, excess(own_lost, own, expected), 1.0)
    best = int(np.argmin(chances))
    chance = min(float(chances[best]) * len(first) * len(tried), 1.0)
    if chance > ALPHA:
        return None
    return (
        int(first[best]),
        int(last[best]),
        (float(own_lost[best]), float(own[best])),
        float(peers[best]),
        chance,
    )


def _after_death(scene: Scene, server: Any) -> Any:
    """Attempts that ended, for want of an answer, on a server that had died by then."""
    outcome, ended = scene.attempt("outcome"), scene.attempt("end_ns")
    mute = np.isin(outcome, (Outcome.CONNECT_FAILED, Outcome.UPSTREAM_RESET, Outcome.UPSTREAM_TIMEOUT))
    found = np.zeros(len(server), dtype=bool)
    for life in scene.evidence.lives:
        gone = [time for time in (*(died for died, _ in life.deaths[:1]), life.gone) if time >= 0]
        if gone:
            found |= mute & (server == life.server) & (ended >= min(gone))
    return found


def timeout_too_short(scene: Scene) -> Iterator[Hint]:
    """At least ten attempts for an endpoint, and 0.1% of them, ended by a timeout, most of them with a worker that had taken them up at once (within a tenth of the timeout), and of those for it that were served the 99th percentile of service time is at least 80% of the timeout."""
    outcome = scene.attempt("outcome")
    kind = scene.evidence.requests["endpoint"][scene.owner]
    patience = [source.client.timeout for source in scene.fleet.sources if source.client.timeout > 0]
    for cut, limit, setting in (
        (Outcome.UPSTREAM_TIMEOUT, scene.fleet.proxy.upstream_timeout, "the proxy's upstream_timeout"),
        (Outcome.CLIENT_TIMEOUT, min(patience, default=-1), "the clients' timeout"),
    ):
        ended = np.flatnonzero(outcome == cut)
        if len(ended) < 10 or limit <= 0:
            continue
        numbers, counts = np.unique(kind[ended], return_counts=True)
        most = int(numbers[np.argmax(counts)])
        mine = ended[kind[ended] == most]
        started, arrived = scene.attempt("started_ns")[mine], scene.attempt("arrived_ns")[mine]
        at_once = (started >= 0) & (started - arrived <= limit / 10)
        times_ = scene.service.whole[scene.service.endpoint == most]
        if (
            len(mine) < 10
            or len(mine) < 0.001 * int((kind == most).sum())
            or at_once.mean() < 0.5
            or len(times_) < 100
        ):
            continue
        slow = float(np.quantile(times_, 0.99))
        if slow < 0.8 * limit:
            continue
        begun, path = scene.attempt("start_ns")[mine], scene.fleet.endpoints[most].path
        yield Hint(
            "timeout_too_short", "critical", "endpoint", path, int(begun.min()), int(begun.max()),
            f"{plural(len(mine), 'attempt')} for {path} ended by {setting} of {duration(limit)}, {share(float(at_once.mean()))} of them although a worker had "
            f"taken them up at once: service itself takes {duration(slow)} in one case of a hundred, as far as the timeout lets it be seen.",
            (Figure("attempts timed out", len(mine), "attempt"), Figure("taken up at once", float(at_once.mean()), "1"), Figure("timeout", limit, "ns"),
             Figure("service p99", slow, "ns")),
        )  # fmt: skip


def health_flaps(scene: Scene) -> Iterator[Hint]:
    """A server was found unhealthy, ejected, or cut off by the circuit breaker at least three times."""
    out: dict[int, list[int]] = {}
    for event in scene.evidence.happened("unhealthy", "ejected", "breaker_opened"):
        out.setdefault(int(event["server"]), []).append(int(event["t"]))
    flapping = {server: moments for server, moments in out.items() if len(moments) >= FLAPS}
    if not flapping:
        return
    worst = max(flapping, key=lambda server: (len(flapping[server]), -server))
    moments = flapping[worst]
    one = len(flapping) == 1
    first, last = min(min(at) for at in flapping.values()), max(max(at) for at in flapping.values())
    yield Hint(
        "health_flaps", "warning", "server" if one else "fleet", str(worst) if one else "", first, last,
        f"{servers(sorted(flapping)).capitalize()} went in and out of the proxy's choice; server {worst} was taken out {often(len(moments))} between "
        f"{moment(moments[0])} and {moment(moments[-1])}: a check that is nearer to what requests need, or higher thresholds, would settle it.",
        (Figure("times taken out", len(moments), "time"), Figure("servers", len(flapping), "server"),
         Figure("between", (moments[-1] - moments[0]) / (len(moments) - 1), "ns")),
    )  # fmt: skip


def most_are_out(scene: Scene) -> Iterator[Hint]:
    """At least half of the serving servers, and two of them, were unhealthy or ejected at the same time."""
    back = {"healthy": "unhealthy", "unejected": "ejected"}
    out: dict[int, set[str]] = {}
    worst, since, until, share_ = (0, 0), -1, -1, 0.0
    for event in scene.evidence.happened("unhealthy", "ejected", "healthy", "unejected"):
        name, server, time = str(event["event"]), int(event["server"]), int(event["t"])
        if name in back:
            out.get(server, set()).discard(back[name])
        else:
            out.setdefault(server, set()).add(name)
        serving = {
            life.server for life in scene.evidence.lives
            if any(phase in ("serving", "canary") and start <= time < stop for phase, start, stop in life.phases)
        }  # fmt: skip
        gone = len([one for one, why in out.items() if why and one in serving])
        if gone >= 2 and gone >= MOST * len(serving):
            since = time if since < 0 else since
            if gone / len(serving) > share_:
                share_, worst = gone / len(serving), (gone, len(serving))
            until = scene.end
        elif until == scene.end and since >= 0:
            until = time
    if since >= 0:
        left = worst[1] - worst[0]
        rest = f"the others get {times(worst[1] / left)} their share" if left else "nobody is left"
        yield Hint(
            "most_are_out", "critical", "proxy", "", since, max(until, since),
            f"The proxy had {worst[0]} of {plural(worst[1], 'serving server')} taken out at a time, from {moment(since)} on: {rest}; "
            "a lower max_ejection_percent, or checks that do not fail by load, would keep them.",
            (Figure("servers out", worst[0], "server"), Figure("servers serving", worst[1], "server"), Figure("share", share_, "1")),
        )  # fmt: skip


def _failed(facts: Facts, *kinds: str) -> Figure:
    return Figure("requests failed", errors(facts, *kinds), "request")


def _when(scene: Scene, outcome: Outcome) -> tuple[int, int]:
    """When requests first and last ended so."""
    requests = scene.evidence.requests
    rows = requests["outcome"] == outcome
    ended = requests["time_ns"][rows] + requests["latency_ns"][rows]
    return (int(ended.min()), int(ended.max())) if len(ended) else (0, scene.end)
