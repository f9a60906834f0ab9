"""Who has most of the work, where the fleet has too much of it: an endpoint, a source; and dependencies that are asked for more than they can do."""

from collections.abc import Iterator

import numpy as np

from ....core.model import SECOND
from ....core.outcomes import GOOD
from ...wording import duration, moment, share, times
from .hint import Figure, Hint
from .scene import Scene, smooth, stretches

MOST = 2 / 3
"""A share of the work."""

FEW = 1 / 3
"""A share of the requests that does not go with it."""

SATURATED = 0.95
"""Of what a dependency can serve, from which it counts as saturated."""


def endpoint_dominates(scene: Scene) -> Iterator[Hint]:
    """At least 1% of the requests failed, or a latency objective is violated, and one endpoint had two thirds of the workers' time with a third of the requests or less."""
    service = scene.service
    if not scene.trouble or len(scene.fleet.endpoints) < 2 or not len(service.server):
        return
    kinds = len(scene.fleet.endpoints)
    work = np.bincount(service.endpoint, service.whole, kinds)
    many = np.bincount(service.endpoint, minlength=kinds)
    most = int(np.argmax(work))
    part, count = float(work[most] / work.sum()), float(many[most] / many.sum())
    if part < MOST or count > FEW:
        return
    path = scene.fleet.endpoints[most].path
    yield Hint(
        "endpoint_dominates", "notice", "endpoint", path, 0, scene.end,
        f"{path} has {share(part)} of the workers' time with {share(count)} of the requests served: what helps it helps the fleet.",
        (Figure("share of the time", part, "1"), Figure("share of the requests", count, "1"), Figure("service", float(work[most] / many[most]), "ns")),
    )  # fmt: skip


def source_dominates(scene: Scene) -> Iterator[Hint]:
    """Of several sources one sent at least two thirds of the attempts in the seconds in which 10% or more of the attempts failed, and less than half of them in the others, of which there are ten or more."""
    if len(scene.fleet.sources) < 2:
        return
    seconds = scene.evidence.seconds
    second = np.clip(scene.attempt("start_ns") // SECOND, 0, seconds - 1)
    source = scene.evidence.requests["source"][scene.owner]
    sent = np.bincount(second, minlength=seconds)
    failed = np.bincount(second[~np.isin(scene.attempt("outcome"), list(GOOD))], minlength=seconds)
    bad = (sent >= 10) & (failed >= 0.1 * sent)
    if int(bad.sum()) < 3 or int((~bad & (sent >= 10)).sum()) < 10:
        return
    inside = bad[second]
    then = np.bincount(source[inside], minlength=len(scene.fleet.sources)) / max(int(inside.sum()), 1)
    otherwise = np.bincount(source[~inside], minlength=len(scene.fleet.sources)) / max(
        int((~inside).sum()), 1
    )
    most = int(np.argmax(then))
    if then[most] < MOST or otherwise[most] >= 0.5:
        return
    name, hit = scene.fleet.sources[most].name, np.flatnonzero(bad)
    yield Hint(
        "source_dominates", "critical", "source", name, int(hit[0]) * SECOND, min(int(hit[-1] + 1) * SECOND, scene.end),
        f"{name} sent {share(float(then[most]))} of the attempts in the seconds in which many failed, from {moment(int(hit[0]) * SECOND)} on, and "
        f"{share(float(otherwise[most]))} in the others: a limit of its own would keep the rest alive.",
        (Figure("share then", float(then[most]), "1"), Figure("share otherwise", float(otherwise[most]), "1"), Figure("seconds", len(hit), "second")),
    )  # fmt: skip


def dependency_saturated(scene: Scene) -> Iterator[Hint]:
    """For at least five seconds requests asked a dependency without a cache for 95% or more of the calls that it can serve, and waited for io and calls twice as long as these take by themselves, or more."""
    service, fleet, seconds = scene.service, scene.fleet, scene.evidence.seconds
    done = scene.attempt("cpu_done_ns")
    calling = np.flatnonzero(done >= 0)
    if not len(service.server):
        return
    began = np.clip(done[calling] // SECOND, 0, seconds - 1)
    kind = scene.evidence.requests["endpoint"][scene.owner[calling]]
    second = np.clip((service.begun + service.cpu) // SECOND, 0, seconds - 1)
    alone = np.array([_alone(scene, number) for number in range(len(fleet.endpoints))])
    for number, spec in enumerate(fleet.dependencies):
        calls = np.array([one.calls.count(number) for one in fleet.endpoints])
        if spec.cache is not None or spec.concurrency <= 0 or not calls.any():
            continue
        most = spec.concurrency * SECOND / max(spec.service.mean + spec.timer_slack, 1)
        asked = np.bincount(began, calls[kind], seconds)
        mine = calls[service.endpoint] > 0
        many = np.bincount(second[mine], minlength=seconds)
        waited = np.bincount(second[mine], service.wait[mine], seconds)
        expected = np.bincount(second[mine], alone[service.endpoint[mine]], seconds)
        slow = smooth(waited) >= 2 * np.maximum(smooth(expected), 1)
        hit = stretches(slow & (smooth(asked) >= SATURATED * most), 5)
        if not hit:
            continue
        first, last = max(hit, key=lambda one: one[1] - one[0])
        here = slice(first, last)
        longer, each = (float(waited[here].sum() / max(other[here].sum(), 1)) for other in (expected, many))
        rate = float(asked[here].mean())
        yield Hint(
            "dependency_saturated", "critical", "dependency", spec.name, first * SECOND, min(last * SECOND, scene.end),
            f"{spec.name} is saturated from {moment(first * SECOND)} to {moment(last * SECOND)}: it was asked for {rate:,.0f} calls a second and serves {most:,.0f} "
            f"({spec.concurrency:,} at a time), and requests waited {duration(each)} for io and calls, {times(longer)} what these take by themselves: "
            "more app servers would make it worse.",
            (Figure("calls asked for", rate, "1/s"), Figure("calls it can serve", most, "1/s"), Figure("wait", each, "ns"),
             Figure("times its own", longer, "times")),
        )  # fmt: skip


def _alone(scene: Scene, kind: int) -> float:
    """What io and calls of an endpoint take when nothing waits (ns)."""
    spec = scene.fleet.endpoints[kind]
    calls = sum(
        scene.fleet.dependencies[call].service.mean + scene.fleet.dependencies[call].round_trip
        for call in spec.calls
    )
    return (spec.io.mean if spec.io is not None else 0.0) + calls
