"""Who is getting slower: service time, that is the time for which a worker has a request, never the wait in a queue.

A server is compared with its peers in the same bin of time and for the same endpoint, by ranks: what comes over all servers alike (more load, a slow dependency) changes no rank. All servers
together are compared with themselves, earlier and later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...wording import duration, listed, moment, servers, times
from .change import LEAST_BINS, Stretch, drift, holm, raised, rank_scores, stretch_apart, whole_apart
from .hint import Figure, Hint
from .scene import Scene

ALPHA = 1e-3
"""The probability at most with which a run in which nothing changes gets a hint from one of these rules."""

SLOWER, BEYOND_PEERS = 1.2, 1.15
"""A server is called slower from this factor on its own former self, and on what its peers did meanwhile."""

PLAINLY = 1.6
"""And from this factor on where only the mean of the CPU time tells."""

ALL_SLOWER = 1.3
"""All servers together, from this factor on."""

LEAST = 100
"""Requests served, without which nothing is said of a server or an endpoint."""

OCTAVE = 12
"""Buckets to a doubling of the time, in which ranks are taken."""

MOST_PEERS = 8
"""So many peers are looked at request by request."""

MANY = 0.5
"""Of more than this share of the servers one hint is given for all."""


@dataclass(frozen=True, slots=True)
class _Slower:
    """A server in bins [first, last): medians (ns) and factors; *still*: it goes on becoming slower."""

    server: int
    first: int
    last: int
    before: float
    after: float
    factor: float
    peers: float
    z: float
    p: float
    still: bool


def server_slows(scene: Scene) -> Iterator[Hint]:
    """For a stretch of the run a server's service times were at least 1.2 times as long as before and 1.15 times as much as those of its peers, more than waiting for cores explains, and not by chance (ranks within each bin and endpoint, error 0.001 over all servers and stretches)."""
    found = list(_found(scene))
    alive = len({life.server for life in scene.evidence.lives if life.phases})
    if len(found) > max(MANY * alive, 1):
        yield _several(scene, found)
        return
    for one in found:
        since, until = scene.span(one.first, one.last)
        whole = one.last - one.first == scene.bins
        ends = "" if until >= scene.end or whole else f", until {moment(until)}"
        if one.first == 0 and not whole:
            verb = f"was slower than its peers until {moment(until)}"
        elif whole:
            verb = "was slower than its peers all along"
        elif one.still:
            verb = f"is getting slower since about {moment(since)}{ends}"
        else:
            verb = f"became slower at about {moment(since)}{ends}"
        yield Hint(
            "server_slows", "warning", "server", str(one.server), since, until,
            f"Server {one.server} {verb}: a request takes its worker {duration(one.after)} (median), {times(one.factor)} the "
            f"{duration(one.before)} {'of its peers' if whole else 'outside of that stretch'}"
            f"{'' if whole else f', while its peers took {times(one.peers)} theirs'}.",
            _evidence(one),
        )  # fmt: skip


def _evidence(one: _Slower) -> tuple[Figure, ...]:
    return (
        Figure("service before", one.before, "ns"), Figure("service then", one.after, "ns"), Figure("factor", one.factor, "times"),
        Figure("factor of the peers", one.peers, "times"), Figure("standard errors", one.z, "times"), Figure("chance", one.p, "p"),
    )  # fmt: skip


def _several(scene: Scene, found: list[_Slower]) -> Hint:
    since, until = scene.span(min(one.first for one in found), max(one.last for one in found))
    worst = max(found, key=lambda one: one.factor)
    return Hint(
        "server_slows", "warning", "fleet", "", since, until,
        f"{servers([one.server for one in found]).capitalize()} became slower between {moment(since)} and {moment(until)}, most of all server "
        f"{worst.server} with {duration(worst.after)} for a request (median), {times(worst.factor)} what it took otherwise.",
        (Figure("servers", len(found), "server"), *_evidence(worst)),
    )  # fmt: skip


_Candidate = tuple[int, int, int, int, float, float]
"""A server's number and place, the bins [first, last) in which it was slow, z and p."""


def _found(scene: Scene) -> Iterator[_Slower]:
    service = scene.service
    numbers = np.unique(service.server)
    if len(numbers) < 2 or len(service.server) < 2 * LEAST:
        return
    place = np.searchsorted(numbers, service.server)
    score, variance, many = _scores(scene, place, len(numbers))
    candidates = []
    for index, number in enumerate(numbers.tolist()):
        here = np.flatnonzero(many[index])
        if many[index].sum() < LEAST or len(here) < 6:
            continue
        best = stretch_apart(score[index][here], variance[index][here], many[index][here])
        if best is not None:
            last = int(here[best.last - 1]) + 1
            # A few bins at the end say nothing of their own.
            last = scene.bins if scene.bins - last <= LEAST_BINS else last
            candidates.append((number, index, int(here[best.first]), last, best.z, best.p))
        z, p = whole_apart(score[index][here], variance[index][here], many[index][here])
        candidates.append((number, index, 0, scene.bins, z, p))
    kept = holm([one[-1] for one in candidates], ALPHA)
    told: set[int] = set()
    for candidate, significant in zip(candidates, kept, strict=True):
        if significant and candidate[0] not in told:
            slower = _measured(scene, place, candidate)
            if slower is not None:
                told.add(slower.server)
                yield slower


def _scores(scene: Scene, place: Any, size: int) -> tuple[Any, Any, Any]:
    """Per server and bin: the sum of the scores of its requests among those of all servers for the same endpoint, its variance by chance, and how many there are."""
    service, kinds = scene.service, max(len(scene.fleet.endpoints), 1)
    bin_ = scene.bin_of(service.begun)
    strata = bin_ * kinds + service.endpoint
    bucket = (np.log2(np.maximum(service.whole, 1)) * OCTAVE).astype(np.int64)
    low = int(bucket.min())
    value, spread = rank_scores(strata, bucket - low, (scene.bins * kinds, int(bucket.max()) - low + 1))
    where = place * scene.bins + bin_
    score = np.bincount(where, value, size * scene.bins).reshape(size, scene.bins)
    drawn = np.bincount(place * scene.bins * kinds + strata, minlength=size * scene.bins * kinds)
    drawn = drawn.reshape(size, scene.bins * kinds)
    total = drawn.sum(axis=0)
    # The variance of a sum of so many drawn without replacement.
    chance = drawn * spread * (total - drawn) / np.maximum(total - 1, 1)
    # Where it has no peer there is nothing to compare with.
    many = np.where(total > drawn, drawn, 0)
    shape = (size, scene.bins, kinds)
    return score, chance.reshape(shape).sum(axis=2), many.reshape(shape).sum(axis=2)


def _measured(scene: Scene, place: Any, candidate: _Candidate) -> _Slower | None:
    """By how much, from the requests themselves; None if it is not enough, or not the server's own doing."""
    number, index, first, last, z, p = candidate
    service = scene.service
    bin_ = scene.bin_of(service.begun)
    inside = (bin_ >= first) & (bin_ < last)
    own = place == index
    whole = last - first == scene.bins
    if whole:
        medians = _medians(scene, own, ~own)
        factor, peers = medians[2], 1.0
    else:
        medians = _medians(scene, own & inside, own & ~inside)
        factor, peers = medians[2], _medians(scene, ~own & inside, ~own & ~inside)[2]
    if not factor >= SLOWER or not factor >= BEYOND_PEERS * peers:
        return None
    if _only_crowded(scene, candidate, own & inside, ~own if whole else own & ~inside):
        return None
    # It may have become faster; then it was no slower than its peers before.
    if first == 0 and not whole and _medians(scene, own & inside, ~own & inside)[2] < BEYOND_PEERS:
        return None
    rise = None if whole or last < scene.bins else _rise(scene, own, bin_)
    if rise is not None:
        first = rise
    return _Slower(number, first, last, medians[1], medians[0], factor, peers, z, p, rise is not None)


def _rise(scene: Scene, own: Any, bin_: Any) -> int | None:
    """The bin in which a server's service times, over those of its peers, begin to rise little by little; None if they do so at once."""
    service, kinds = scene.service, max(len(scene.fleet.endpoints), 1)
    size = np.log(np.maximum(service.whole, 1))
    size -= (
        np.bincount(service.endpoint, size, kinds)
        / np.maximum(np.bincount(service.endpoint, minlength=kinds), 1)
    )[service.endpoint]
    many, others = (np.bincount(bin_[rows], minlength=scene.bins) for rows in (own, ~own))
    places = np.flatnonzero((many >= 5) & (others >= 5))
    level = np.bincount(bin_[own], size[own], scene.bins)[places] / many[places]
    level -= np.bincount(bin_[~own], size[~own], scene.bins)[places] / others[places]
    found = drift(level)
    return None if found is None else int(places[found[0]])


def _medians(scene: Scene, then: Any, otherwise: Any) -> tuple[float, float, float]:
    """Medians of the endpoint with most requests then, and the ratio of medians over the endpoints, weighted by requests; 1 if there are too few."""
    service = scene.service
    ratios, weights, best = [], [], (0, 1.0, 1.0)
    for kind in np.unique(service.endpoint[then]).tolist():
        mine = service.endpoint == kind
        after, before = service.whole[then & mine], service.whole[otherwise & mine]
        if len(after) < 20 or len(before) < 20:
            continue
        one, other = float(np.median(after)), max(float(np.median(before)), 1.0)
        ratios.append(one / other)
        weights.append(len(after))
        if len(after) > best[0]:
            best = (len(after), one, other)
    if not weights:
        return 1.0, 1.0, 1.0
    return best[1], best[2], float(np.average(ratios, weights=weights))


def _only_crowded(scene: Scene, candidate: _Candidate, own: Any, others: Any) -> bool:
    """Whether requests merely waited for a core, as they do where there are more workers than cores and more load, or one large request: those that found a core free took
    no longer then than otherwise (or than at its peers, if it was so all along). *own* and *others*: which requests.
    """
    server, _, first, last, _, _ = candidate
    app, service, metrics = scene.fleet.app, scene.service, scene.evidence.metrics
    if app.workers <= app.cores:
        return False
    free = _found_free(scene, own)
    calm = np.zeros(len(free), dtype=bool)
    for peer in np.unique(service.server[others])[:MOST_PEERS].tolist():
        calm |= _found_free(scene, others & (service.server == peer))
    if int(free.sum()) >= 20 and int(calm.sum()) >= 20:
        return _medians(scene, free, calm)[2] < SLOWER
    # Nobody found one free: CPU time to a request, without the largest. Some large ones may come together by chance.
    bin_ = scene.bin_of(metrics["time_ns"] - 1)
    then, mine = (bin_ >= first) & (bin_ < last), metrics["server"] == server
    rest = (~mine if last - first == scene.bins else mine & ~then) & (metrics["server"] > 0)

    def cost(rows: Any, requests: Any) -> float:
        used = float(metrics["cpu_ns"][rows].sum()) - float(service.cpu[requests].max(initial=0))
        return max(used, 0.0) / max(int(requests.sum()) - 1, 1)

    return cost(mine & then, own) < PLAINLY * cost(rest, others)


def _found_free(scene: Scene, own: Any) -> Any:
    """Of the requests of one server those that began when fewer were on CPU there than it has cores."""
    service, found = scene.service, np.zeros(len(own), dtype=bool)
    rows = np.flatnonzero(own)
    if not len(rows):
        return found
    mine = np.flatnonzero(
        (scene.attempt("server") == service.server[rows[0]]) & (scene.attempt("started_ns") >= 0)
    )
    done = scene.attempt("cpu_done_ns")[mine]
    leaves = np.sort(np.where(done >= 0, done, scene.attempt("end_ns")[mine]))
    begins, time = np.sort(scene.attempt("started_ns")[mine]), service.begun[rows]
    found[rows] = (
        np.searchsorted(begins, time) - np.searchsorted(leaves, time, "right") < scene.fleet.app.cores
    )
    return found


def all_slow(scene: Scene) -> Iterator[Hint]:
    """For a stretch of the run an endpoint's requests took at least 1.3 times as much time in io and calls, or as much CPU time, on all servers together, and not by chance (by the ranks of the bins, error 0.001 over all endpoints)."""
    service = scene.service
    if len(service.server) < 2 * LEAST:
        return
    kinds = np.unique(service.endpoint).tolist()
    for kind in kinds:
        spec = scene.fleet.endpoints[kind]
        mine = service.endpoint == kind
        if int(mine.sum()) < LEAST:
            continue
        waits = service.wait[mine]
        if (spec.io is not None or spec.calls) and waits.any():
            yield from _later_slower(scene, kind, service.begun[mine], waits, len(kinds))
    yield from _cpu_of_all(scene)


def _later_slower(scene: Scene, kind: int, begun: Any, waits: Any, tests: int) -> Iterator[Hint]:
    bin_ = scene.bin_of(begun)
    levels, places = _levels(bin_, waits, scene.bins)
    found = raised(levels)
    if found is None or found.p > ALPHA / tests / 2:
        return
    since, until = _ends(scene, places, found)
    then = (begun >= since) & (begun < until)
    before, after = float(np.median(waits[~then])), float(np.median(waits[then]))
    if before <= 0 or after < ALL_SLOWER * before:
        return
    spec = scene.fleet.endpoints[kind]
    called = [scene.fleet.dependencies[call].name for call in dict.fromkeys(spec.calls)]
    part, which = (
        ("dependency", called[0]) if len(called) == 1 and spec.io is None else ("endpoint", spec.path)
    )
    whom = f"calls to {listed(called)}" if called else "io"
    yield Hint(
        "all_slow", "warning", part, which, since, until,
        f"On all servers requests for {spec.path} wait longer {_from_to(scene, since, until)}: {duration(after)} for {whom}"
        f"{' and io' if called and spec.io else ''} (median), {times(after / before)} the {duration(before)} otherwise.",
        (Figure("wait otherwise", before, "ns"), Figure("wait then", after, "ns"), Figure("factor", after / before, "times"),
         Figure("chance", found.p * tests * 2, "p")),
    )  # fmt: skip


def _levels(bin_: Any, values: Any, bins: int) -> tuple[Any, Any]:
    """The median of each bin that has at least ten values, and which bins these are."""
    order = np.argsort(bin_, kind="stable")
    ends = np.searchsorted(bin_[order], np.arange(bins + 1))
    places = np.flatnonzero(np.diff(ends) >= 10)
    values = values[order]
    return np.array([np.median(values[ends[place] : ends[place + 1]]) for place in places]), places


def _cpu_of_all(scene: Scene) -> Iterator[Hint]:
    """CPU time that requests used, over what requests for the same endpoints use on average in this run: neither load nor another mix changes that."""
    service, metrics = scene.service, scene.evidence.metrics
    kinds = max(len(scene.fleet.endpoints), 1)
    usual = np.bincount(service.endpoint, service.cpu, kinds) / np.maximum(
        np.bincount(service.endpoint, minlength=kinds), 1
    )
    asked = np.bincount(scene.bin_of(service.begun), usual[service.endpoint], scene.bins)
    rows = (metrics["server"] > 0) & (metrics["cpu_ns"] > 0)
    used = np.bincount(scene.bin_of(metrics["time_ns"][rows] - 1), metrics["cpu_ns"][rows], scene.bins)
    places = np.flatnonzero(
        (asked > 0) & (np.bincount(scene.bin_of(service.begun), minlength=scene.bins) >= 10)
    )
    level = used[places] / np.maximum(asked[places], 1)
    found = raised(level)
    if found is None or found.p > ALPHA / 2:
        return
    inside = np.zeros(len(level), dtype=bool)
    inside[found.first : found.last] = True
    before, after = float(np.median(level[~inside])), float(np.median(level[inside]))
    since, until = _ends(scene, places, found)
    if before <= 0 or after < ALL_SLOWER * before or _typical_cost(scene, since, until) < ALL_SLOWER:
        return
    mean = float(service.cpu.mean())
    yield Hint(
        "all_slow", "warning", "fleet", "", since, until,
        f"On all servers requests use more CPU time {_from_to(scene, since, until)}: {times(after / before)} what they use otherwise.",
        (Figure("CPU otherwise", before * mean, "ns"), Figure("CPU then", after * mean, "ns"), Figure("factor", after / before, "times"),
         Figure("chance", found.p * 2, "p")),
    )  # fmt: skip


def _ends(scene: Scene, places: Any, found: Stretch) -> tuple[int, int]:
    """From when to when (ns) the bins of a stretch go; a few at the end say nothing of their own."""
    last = int(places[found.last - 1]) + 1
    last = scene.bins if found.last >= len(places) - LEAST_BINS else last
    return scene.span(int(places[found.first]), last)


def _from_to(scene: Scene, since: int, until: int) -> str:
    return (
        f"since about {moment(since)}"
        if until >= scene.end
        else f"from about {moment(since)} to {moment(until)}"
    )


def _typical_cost(scene: Scene, since: int, until: int) -> float:
    """CPU time a request used then over that otherwise: the median over the servers, so that one of them alone is not all."""
    metrics, taking = scene.evidence.metrics, scene.idle_states
    later, found = (metrics["time_ns"] > since) & (metrics["time_ns"] <= until), []
    for server in np.unique(metrics["server"][taking]).tolist():
        own = taking & (metrics["server"] == server)
        used = [float(metrics["cpu_ns"][own & side].sum()) for side in (later, ~later)]
        many = [float(metrics["requests"][own & side].sum()) for side in (later, ~later)]
        if min(used) > 0 and min(many) >= 20:
            found.append(used[0] / many[0] / (used[1] / many[1]))
    return float(np.median(found)) if found else 0.0
