"""Scale-out that came late, or not at all. When it was needed says the demand of the planned requests over the capacity of the servers that served (scene.Load), not what the policy saw."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ....core.model import SECOND
from ....core.outcomes import GOOD
from ...lifelines import Lifeline
from ...wording import duration, moment, plural, share
from .hint import Figure, Hint
from .scene import Scene, stretches
from .words import often

LEAST_LATE = 5 * SECOND
"""A delay that is told (ns)."""

LEAST_OVER = 3
"""Seconds for which demand has to be above capacity."""

LEAST_MISSING = 15
"""Seconds of it without a new server after which one is missing."""

NOTABLE = 0.01
"""A share of requests that fail."""

TOLD = 3
"""Of all stretches the longest so many are told."""

STEPS = (
    "until it was decided",
    "until it was launched",
    "until the boot began",
    "boot",
    "until it took traffic",
)


WHY = (
    "until it was decided",
    "until the launch was granted",
    "until the boot began",
    "boot",
    "until the proxy sent it requests",
)
"""The same in the sentence."""


@dataclass(frozen=True, slots=True)
class _Help:
    """A server that took traffic after it was *needed* (all ns): the ends of STEPS, none before the need; *held*: of the first step, the turns in which a limit stood against
    what the policy proposed; *refusals* of the cloud.
    """

    server: int
    needed: int
    ends: tuple[int, ...]
    held: int
    refusals: int

    @property
    def delay(self) -> int:
        """From the need to the first request."""
        return self.ends[-1] - self.needed


def scale_out_late(scene: Scene) -> Iterator[Hint]:
    """The planned requests needed more servers than served for at least three seconds, and of the servers that came in that time the latest took traffic five seconds or more after the load had needed it."""
    if scene.fleet.autoscaler is None:
        return
    for since, until in _overloads(scene):
        coming = _coming(scene, since, until)
        if not coming or (worst := max(coming, key=lambda one: (one.delay, -one.server))).delay < LEAST_LATE:
            continue
        steps = np.diff([worst.needed, *worst.ends]).tolist()
        most, lost = int(np.argmax(steps)), _lost(scene, since, until)
        needed, serving = _at_worst(scene, since, until)
        held = f", a limit stood against it for {duration(worst.held)}" if worst.held else ""
        refused = f", the cloud refused {often(worst.refusals)}" if worst.refusals else ""
        there = (
            f"more than the {plural(serving, 'server')} that served, up to {needed:.1f}"
            if serving
            else "a server, and none served"
        )
        others = f", the latest of {len(coming)}," if len(coming) > 1 else ""
        yield Hint(
            "scale_out_late", "critical" if lost >= NOTABLE else "warning", "autoscaler", "", since, until,
            f"Scale-out came {duration(worst.delay)} after it was needed, {duration(steps[most])} of them {WHY[most]}{held}{refused}: from {moment(since)} to "
            f"{moment(until)} the load needed {there}; server {worst.server}{others} was needed at {moment(worst.needed)} and took traffic at "
            f"{moment(worst.ends[-1])}; {share(lost)} of the requests meanwhile failed.",
            (Figure("delay", worst.delay, "ns"), *(Figure(name, step, "ns") for name, step in zip(STEPS, steps, strict=True)),
             Figure("held by limits", worst.held, "ns"), Figure("launches refused", worst.refusals, "refusal"), Figure("needed since", worst.needed, "at"),
             Figure("servers that came", len(coming), "server"), Figure("first of them after", min(one.ends[-1] for one in coming) - since, "ns"),
             Figure("servers needed", needed, "servers"), Figure("servers serving", serving, "server"), Figure("requests failed", lost, "1")),
        )  # fmt: skip


def scale_out_missing(scene: Scene) -> Iterator[Hint]:
    """The planned requests needed more servers than served for at least 15 seconds, and no new server took traffic in that time."""
    scaler = scene.fleet.autoscaler
    if scaler is None:
        return
    for since, until in _overloads(scene):
        if until - since < LEAST_MISSING * SECOND or _coming(scene, since, until):
            continue
        needed, serving = _at_worst(scene, since, until)
        lost, why = _lost(scene, since, until), _why_none(scene, since, until)
        yield Hint(
            "scale_out_missing", "critical" if lost >= NOTABLE else "warning", "autoscaler", "", since, until,
            f"From {moment(since)} to {moment(until)} the load needed up to {needed:.1f} servers and {serving} served; none came: {why}. "
            f"{share(lost)} of the requests meanwhile failed.",
            (Figure("servers needed", needed, "servers"), Figure("servers serving", serving, "server"), Figure("lasted", until - since, "ns"),
             Figure("requests failed", lost, "1")),
        )  # fmt: skip


def _overloads(scene: Scene) -> list[tuple[int, int]]:
    """When the load needed more than what served (ns), the longest TOLD stretches in order of time."""
    load = scene.load
    if load is None or (not any(life.launched > 0 for life in scene.evidence.lives) and not scene.turns):
        return []
    found = stretches(load.utilisation() >= 1, LEAST_OVER, apart=SECONDS_APART)
    longest = sorted(sorted(found, key=lambda one: one[0] - one[1])[:TOLD])
    return [(first * SECOND, min(last * SECOND, scene.end)) for first, last in longest]


SECONDS_APART = 10
"""Stretches that are no further apart are one."""


def _coming(scene: Scene, since: int, until: int) -> list[_Help]:
    """The servers that took traffic in a stretch, in order: each was needed as soon as the load needed more than those before it."""
    load = scene.load
    assert load is not None
    taking = sorted(
        (traffic, life.server, life) for life in scene.evidence.lives if life.launched > 0 and life.ready > since
        if since < (traffic := _first_request(scene, life.server)) <= until + SECONDS_APART * SECOND
    )  # fmt: skip
    first, found = since // SECOND, []
    for place, (traffic, _, life) in enumerate(taking):
        short = np.flatnonzero(load.needed[first : traffic // SECOND + 1] >= load.serving[first] + place)
        if len(short):
            found.append(_path(scene, life, max((first + int(short[0])) * SECOND, since), traffic))
    return found


def _path(scene: Scene, life: Lifeline, needed: int, traffic: int) -> _Help:
    """When each step of a server's coming ended. It was decided when as many as there were with it were first wanted."""
    sized = [
        (e["t"], e["desired"])
        for e in scene.evidence.happened("decision")
        if "desired" in e and e["t"] <= life.launched
    ]
    wanted = sized[-1][1] if sized else 0
    decided = life.launched
    for time, desired in reversed(sized):
        if desired < wanted:
            break
        decided = time
    booting = next((start for phase, start, _ in life.phases if phase == "booting"), life.launched)
    ends, last = [], needed
    for end in (decided, life.launched, booting, life.ready, traffic):
        last = max(last, end)
        ends.append(last)
    refused = [e for e in scene.evidence.happened("launch_refused") if needed <= e["t"] <= life.launched]
    return _Help(life.server, needed, tuple(ends), _held(scene, needed, ends[0]), len(refused))


def _held(scene: Scene, since: int, decided: int) -> int:
    """For how long (ns) before it was decided turn after turn wanted more and was limited."""
    scaler = scene.fleet.autoscaler
    turns = [
        row for row in scene.turns
        if since <= row["time_ns"] < decided and row["limits"] and row["proposal"] > row["desired"]
    ]  # fmt: skip
    return min(len(turns) * scaler.interval, decided - since) if scaler else 0


def _first_request(scene: Scene, server: int) -> int:
    """When a server got its first request, -1: never."""
    arrived = scene.attempt("arrived_ns")[scene.attempt("server") == server]
    arrived = arrived[arrived >= 0]
    return int(arrived.min()) if len(arrived) else -1


def _at_worst(scene: Scene, since: int, until: int) -> tuple[float, int]:
    """The most servers needed, and how many served when it began."""
    load = scene.load
    assert load is not None
    first, last = since // SECOND, max(-(-until // SECOND), since // SECOND + 1)
    return float(load.needed[first:last].max()), int(load.serving[first])


def _lost(scene: Scene, since: int, until: int) -> float:
    """The share of the requests planned in a stretch that failed."""
    requests = scene.evidence.requests
    rows = (requests["time_ns"] >= since) & (requests["time_ns"] < until) & scene.evidence.readers
    return float((~np.isin(requests["outcome"][rows], list(GOOD))).mean()) if rows.any() else 0.0


def _why_none(scene: Scene, since: int, until: int) -> str:
    """Why no server came, as far as the record says."""
    inside = [row for row in scene.turns if since <= row["time_ns"] < until]
    if any(_booted(life, since, until) for life in scene.evidence.lives):
        return "one was booting all the while"
    if any(since <= e["t"] < until for e in scene.evidence.happened("launch_refused")):
        return "the cloud refused launches"
    if any("maximum" in row["limits"] for row in inside):
        return f"the fleet was at its maximum of {inside[-1]['maximum']:,}"
    if any("cost" in row["limits"] for row in inside):
        return "the cap on cost stood against it"
    if not inside:
        return "the autoscaler decided nothing"
    if any(row["blind"] for row in inside):
        return "the policy did not see what it wanted to know"
    if all(row["proposal"] <= row["serving"] + row["booting"] for row in inside):
        return f"the policy asked for none in {plural(len(inside), 'turn')}"
    return "what was decided came to nothing"


def _booted(life: Lifeline, since: int, until: int) -> bool:
    return any(
        phase in ("pending", "booting") and start < until and stop > since
        for phase, start, stop in life.phases
    )
