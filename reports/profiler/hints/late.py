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

LEAST_LATE = 5 * SECOND
"""A delay that is told (ns)."""

LEAST_OVER = 3
"""Seconds for which demand has to be above capacity."""

LEAST_MISSING = 15
"""Seconds of it without a new server after which one is missing."""

TOLD = 3
"""Of all stretches the longest so many are told."""

STEPS = (
    "until it was decided",
    "until it was launched",
    "until the boot began",
    "boot",
    "until it took traffic",
)


@dataclass(frozen=True, slots=True)
class _Help:
    """The first server that took traffic after it was needed (all ns): the ends of STEPS, none before the need; *held*: of the first step, the turns in which a limit stood against
    what the policy proposed; *refusals* of the cloud.
    """

    server: int
    ends: tuple[int, int, int, int, int]
    held: int
    refusals: int


def scale_out_late(scene: Scene) -> Iterator[Hint]:
    """The planned requests needed more servers than served for at least three seconds, and the first server that came in that time took traffic five seconds later or more."""
    if scene.fleet.autoscaler is None:
        return
    for since, until in _overloads(scene):
        help_ = _help(scene, since, until)
        if help_ is None or help_.ends[-1] - since < LEAST_LATE:
            continue
        steps = np.diff([since, *help_.ends]).tolist()
        delay, most = help_.ends[-1] - since, int(np.argmax(steps))
        needed, serving = _at_worst(scene, since, until)
        lost = _lost(scene, since, until)
        why = {
            0: "until it was decided",
            1: "until the launch was granted",
            2: "until the boot began",
            3: "boot",
            4: "until the proxy sent it requests",
        }
        by = scene.load.by if scene.load else ""
        held = f" (a limit stood against it for {duration(help_.held)})" if help_.held else ""
        yield Hint(
            "scale_out_late", "critical" if lost >= 0.01 else "warning", "autoscaler", "", since, until,
            f"Scale-out came {duration(delay)} after it was needed, {duration(steps[most])} of them {why[most]}{held}: from {moment(since)} on the load needed "
            f"more than the {plural(serving, 'server')} that served (up to {needed:.1f}, by {by}), server {help_.server} took traffic at "
            f"{moment(help_.ends[-1])}, and it sufficed at {moment(until)}; {share(lost)} of the requests meanwhile failed.",
            (Figure("delay", delay, "ns"), *(Figure(name, step, "ns") for name, step in zip(STEPS, steps, strict=True)),
             Figure("held by limits", help_.held, "ns"), Figure("launches refused", help_.refusals, "refusal"), Figure("needed since", since, "at"),
             Figure("servers needed", needed, "server"), Figure("servers serving", serving, "server"), Figure("requests failed", lost, "1")),
        )  # fmt: skip


def scale_out_missing(scene: Scene) -> Iterator[Hint]:
    """The planned requests needed more servers than served for at least 15 seconds, and no new server took traffic in that time."""
    scaler = scene.fleet.autoscaler
    if scaler is None:
        return
    for since, until in _overloads(scene):
        if until - since < LEAST_MISSING * SECOND or _help(scene, since, until) is not None:
            continue
        needed, serving = _at_worst(scene, since, until)
        lost, why = _lost(scene, since, until), _why_none(scene, since, until)
        yield Hint(
            "scale_out_missing", "critical" if lost >= 0.01 else "warning", "autoscaler", "", since, until,
            f"From {moment(since)} to {moment(until)} the load needed up to {needed:.1f} servers and {serving} served; none came: {why}. "
            f"{share(lost)} of the requests meanwhile failed.",
            (Figure("servers needed", needed, "server"), Figure("servers serving", serving, "server"), Figure("lasted", until - since, "ns"),
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


def _help(scene: Scene, since: int, until: int) -> _Help | None:
    coming = [
        (traffic, life) for life in scene.evidence.lives if life.launched > 0 and life.ready > since
        if (traffic := _first_request(scene, life.server)) >= 0 and since < traffic <= until + SECONDS_APART * SECOND
    ]  # fmt: skip
    if not coming:
        return None
    traffic, life = min(coming, key=lambda one: (one[0], one[1].server))
    wanted = [
        e["t"]
        for e in scene.evidence.happened("decision")
        if e.get("desired", 0) > e.get("actual", 0) and e["t"] <= life.launched
    ]
    after = [time for time in wanted if time >= since]
    decided = min(after) if after else max(wanted, default=life.launched)
    booting = next((start for phase, start, _ in life.phases if phase == "booting"), life.launched)
    ends, last = [], since
    for end in (decided, life.launched, booting, life.ready, traffic):
        last = max(last, end)
        ends.append(last)
    refused = [e for e in scene.evidence.happened("launch_refused") if decided <= e["t"] <= life.launched]
    return _Help(
        life.server, (ends[0], ends[1], ends[2], ends[3], ends[4]), _held(scene, since, ends[0]), len(refused)
    )


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
