"""The fleet's size: changes that undo each other, servers taken away too early or kept for nothing, what a scale-in lost, and bounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ....core.model import SECOND
from ...wording import duration, moment, plural, servers, share
from .hint import Figure, Hint
from .scene import Scene, stretches
from .words import often

UNDONE = 3
"""Actions that undo the one before without a cause, from which a policy oscillates."""

TIGHT = 0.85
"""A share of the servers that are left after a scale-in that the load needs at that time."""

IDLE = 0.35
"""A share of the servers that the load needs at most, where there are too many."""

LONG = 300
"""Seconds before anybody calls a fleet too large."""

ROOM = 0.7
"""The share of its servers that a fleet of the right size needs at its peak."""


@dataclass(frozen=True, slots=True)
class _Action:
    """A turn that changed the size: when (ns), from how many servers to how many, and how many the load needed."""

    time: int
    before: int
    after: int
    needed: float

    @property
    def change(self) -> int:
        """Servers added, or taken away with a minus sign."""
        return self.after - self.before


def policy_oscillates(scene: Scene) -> Iterator[Hint]:
    """At least three actions of the autoscaler undid the one before, though between the two the load came to need less than half as many servers more or fewer as were added or taken away."""
    undone = [
        (one, next_)
        for one, next_ in pairwise(_actions(scene))
        if one.change * next_.change < 0 and _without_cause(one, next_)
    ]
    if len(undone) < UNDONE:
        return
    since, until = undone[0][0].time, undone[-1][1].time
    needed = [one.needed for pair in undone for one in pair]
    sizes = [size for pair in undone for one in pair for size in (one.before, one.after)]
    apart = [next_.time - one.time for one, next_ in undone]
    yield Hint(
        "policy_oscillates", "warning", "autoscaler", "", since, until,
        f"The policy oscillates: between {moment(since)} and {moment(until)} it undid {plural(len(undone), 'action')} of its own, the typical one after "
        f"{duration(float(np.median(apart)))}, with {min(sizes)} to {max(sizes)} servers, while the load needed {min(needed):.1f} to {max(needed):.1f}: "
        "a longer cooldown, thresholds further apart, or counting what is booting would settle it.",
        (Figure("actions undone", len(undone), "action"), Figure("after", float(np.median(apart)), "ns"), Figure("least servers", min(sizes), "server"),
         Figure("most servers", max(sizes), "server"), Figure("least needed", min(needed), "servers"), Figure("most needed", max(needed), "servers")),
    )  # fmt: skip


def _without_cause(one: _Action, next_: _Action) -> bool:
    return abs(next_.needed - one.needed) < 0.5 * min(abs(one.change), abs(next_.change))


def _actions(scene: Scene) -> list[_Action]:
    """The turns that changed the size, in order; none where nothing was served."""
    load = scene.load
    if load is None:
        return []
    seconds = len(load.needed)
    return [
        _Action(e["t"], e["actual"], e["desired"], float(load.needed[min(e["t"] // SECOND, seconds - 1)]))
        for e in scene.evidence.happened("decision")
        if e.get("actions", 0) and "desired" in e and e["desired"] != e["actual"]
    ]


def scaled_in_too_early(scene: Scene) -> Iterator[Hint]:
    """Servers were taken away when the load needed at least 85% of those that were left, and within a minute, and the time of a boot, the load needed more than served."""
    load = scene.load
    if load is None:
        return
    over, hit = load.utilisation() >= 1, []
    for one in _actions(scene):
        if one.change >= 0 or one.needed < TIGHT * max(one.after, 1):
            continue
        first = one.time // SECOND
        later = stretches(over[first : first + 60 + _boot(scene)], 2)
        if later:
            hit.append((one, later[0][0]))
    if not hit:
        return
    one, after = max(hit, key=lambda found: found[0].needed / max(found[0].after, 1))
    used = one.needed / max(one.after, 1)
    yield Hint(
        "scaled_in_too_early", "warning", "autoscaler", "", hit[0][0].time, hit[-1][0].time + hit[-1][1] * SECOND,
        f"Servers were taken away too early {often(len(hit))}: at {moment(one.time)} from {one.before} to {one.after}, while the load needed {one.needed:.1f}, "
        f"{share(used)} of what was left, and {f'{duration(after * SECOND)} later' if after else 'at once'} more than served: a lower threshold for scaling in, or a longer "
        "stabilization, would have kept them.",
        (Figure("times", len(hit), "time"), Figure("servers before", one.before, "server"), Figure("servers after", one.after, "server"),
         Figure("servers needed", one.needed, "servers"), Figure("share needed", used, "1"), Figure("until too few", after * SECOND, "ns")),
    )  # fmt: skip


def _boot(scene: Scene) -> int:
    """The seconds that a launch took, at most."""
    return max(
        (
            -(-(life.ready - life.launched) // SECOND)
            for life in scene.evidence.lives
            if life.ready > life.launched > 0
        ),
        default=0,
    )


def over_provisioned(scene: Scene) -> Iterator[Hint]:
    """Hardly a request failed, and in at least 80% of five minutes or more the load needed at most 35% of the servers that served, twice as many as its peak needs at 70% or more served on average, more than the minimum, and none used most of its memory."""
    load, metrics, spec = scene.load, scene.evidence.metrics, scene.fleet.app.memory
    if load is None or scene.evidence.seconds < LONG or scene.trouble:
        return
    planned = slice(0, max(scene.fleet.duration // SECOND, 1))
    serving, needed = load.serving[planned], load.needed[planned]
    idle = (load.utilisation()[planned] <= IDLE) & (serving > 0)
    enough = max(int(np.ceil(needed.max() / ROOM)), 1)
    mean = float(serving.mean())
    least = scene.fleet.autoscaler.minimum if scene.fleet.autoscaler else 0
    if idle.mean() < 0.8 or mean < 2 * enough or mean <= least + 0.5:
        return
    taking = scene.idle_states
    if spec.total > 0 and taking.any() and float(metrics["memory"][taking].max()) >= 0.6 * spec.total:
        return
    spare = float((serving - enough).clip(0).sum()) / 3600
    yield Hint(
        "over_provisioned", "notice", "fleet", "", 0, scene.end,
        f"The fleet is larger than its load: {mean:.1f} servers served on average, the load needed {float(needed.mean()):.1f} and {float(needed.max()):.1f} at its peak, "
        f"for which {plural(enough, 'server')} would do; {spare:.2f} instance-hours were to spare.",
        (Figure("servers serving", mean, "servers"), Figure("servers needed at the peak", float(needed.max()), "servers"), Figure("enough", enough, "server"),
         Figure("spare", spare * 3600 * SECOND, "ns")),
    )  # fmt: skip


def fleet_is_capped(scene: Scene) -> Iterator[Hint]:
    """A decision was held back by the autoscaler's maximum."""
    facts = scene.facts
    if not facts.capped or facts.fleet.autoscaler is None:
        return
    maximum = facts.fleet.autoscaler.maximum
    yield Hint(
        "fleet_is_capped", "warning", "autoscaler", "", facts.capped[0], facts.capped[-1],
        f"The autoscaler wanted more than {plural(maximum, 'server')} {often(len(facts.capped))}, "
        f"first at {moment(facts.capped[0])}: a greater maximum would let it.",
        (Figure("turns at the maximum", len(facts.capped), "turn"), Figure("maximum", maximum, "server")),
    )  # fmt: skip


def scale_in_loses(scene: Scene) -> Iterator[Hint]:
    """A server that the autoscaler drained was terminated with requests in flight."""
    facts = scene.facts
    lost = [one for one in facts.lost if one[2] in ("drained", "drain timeout", "not needed")]
    if not lost:
        return
    time, server, reason, _ = lost[0]
    scaler = facts.fleet.autoscaler
    now = f" (now {duration(scaler.drain_timeout)})" if scaler else ""
    many = sum(one[3] for one in lost)
    yield Hint(
        "scale_in_loses", "critical", "autoscaler", "", time, lost[-1][0],
        f"Scaling in lost {plural(many, 'request')} in flight on {servers([one[1] for one in lost])}, "
        f"first at {moment(time)} (server {server}, {reason}): a longer drain_timeout{now} lets them end.",
        (Figure("requests lost", many, "request"), Figure("servers", len(lost), "server")),
    )  # fmt: skip


def short_lives(scene: Scene) -> Iterator[Hint]:
    """A server was drained sooner after it was ready than it had taken to boot."""
    facts = scene.facts
    short = [
        (life, facts.drains[life.server] - life.ready)
        for life in facts.lives
        if life.launched > 0 and life.ready >= 0 and life.server in facts.drains
        and facts.drains[life.server] - life.ready < life.ready - life.launched
    ]  # fmt: skip
    if not short:
        return
    life, served = min(short, key=lambda one: (one[1], one[0].server))
    ends = [facts.drains[one.server] for one, _ in short]
    yield Hint(
        "short_lives", "warning", "autoscaler", "", min(one.launched for one, _ in short), max(ends),
        f"{plural(len(short), 'server')} served for less time than booting took; server {life.server} took {duration(life.ready - life.launched)} "
        f"and was drained {duration(served)} after it was ready, at {moment(facts.drains[life.server])}: "
        "thresholds further apart or a longer cooldown would keep it.",
        (Figure("servers", len(short), "server"), Figure("boot", life.ready - life.launched, "ns"), Figure("served", served, "ns")),
    )  # fmt: skip
