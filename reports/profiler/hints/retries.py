"""Retries: how much load they make of the load, and whether they keep it up when its cause is over."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ....core.model import SECOND
from ....core.outcomes import GOOD, Outcome
from ...violations import fault_spans
from ...wording import duration, moment, plural, share, times
from .hint import Figure, Hint
from .scene import Scene, smooth, stretches

AMPLIFIED = 1.2
"""Attempts per request, or tries per request, from which retries count as load."""

STORM = 1.5
"""Attempts per request planned in the same seconds."""

FAILING = 0.1
"""The share of attempts that fail in a storm."""

OUTLIVES = 10
"""Seconds for which a storm goes on after its cause."""


def retries_amplify(scene: Scene) -> Iterator[Hint]:
    """At least 1.2 attempts were sent per request, or the proxy's retries and the clients' together made 1.2 tries of each."""
    facts = scene.facts
    if facts.begun == 0:
        return
    clients, whole = facts.sent / facts.begun, max(facts.tries, facts.sent) / facts.begun
    if whole < AMPLIFIED:
        return
    upstream = (
        f", of which the proxy made {plural(facts.tries, 'try', 'tries')} at servers, {times(whole)} in all"
        if facts.tries > facts.sent
        else ""
    )
    yield Hint(
        "retries_amplify", "warning", "clients" if clients >= AMPLIFIED else "proxy", "", max(facts.storm.at - facts.bin, 0), max(facts.storm.at, 0),
        f"Clients' retries made {plural(facts.sent, 'attempt')} of {plural(facts.begun, 'request')}, {times(clients)} the load{upstream}, "
        f"and {times(facts.storm.value)} in the {duration(facts.bin)} before {moment(facts.storm.at)}: "
        "fewer retries or longer backoff would leave the fleet room to recover.",
        (Figure("amplification", whole, "times"), Figure("attempts per request", clients, "times"), Figure("requests", facts.begun, "request"),
         Figure("attempts", facts.sent, "attempt"), Figure("tries at servers", facts.tries, "try"),
         Figure("attempts per request at worst", facts.storm.value, "times")),
    )  # fmt: skip


def storm_outlives(scene: Scene) -> Iterator[Hint]:
    """For at least ten seconds after a fault, a downtime of the proxy or an overload had ended, clients sent 1.5 attempts per request or more, 10% of them failed, and the requests alone would have needed less than 95% of the servers."""
    load = scene.load
    if load is None:
        return
    seconds, starts = scene.evidence.seconds, scene.attempt("start_ns")
    second = np.clip(starts // SECOND, 0, seconds - 1)
    sent = smooth(np.bincount(second, minlength=seconds))
    wrong = ~np.isin(scene.attempt("outcome"), [*GOOD, Outcome.UNFINISHED])
    failed = smooth(np.bincount(second[wrong], minlength=seconds))
    planned = smooth(
        np.bincount(np.clip(scene.evidence.requests["time_ns"] // SECOND, 0, seconds - 1), minlength=seconds)
    )
    storm = (sent >= STORM * planned) & (failed >= FAILING * sent) & (planned > 0)
    used = load.utilisation()
    for first, last in stretches(storm, OUTLIVES, apart=3):
        trigger = _trigger(scene, first, last, used)
        if trigger is None:
            continue
        name, over = trigger
        tail = slice(over // SECOND + 1, min(last, scene.fleet.duration // SECOND))
        alone = float(np.mean(used[tail])) if tail.stop > tail.start else 1.0
        if tail.stop - tail.start < OUTLIVES or alone >= 0.95:
            continue
        amplified = float(sent[tail].sum() / planned[tail].sum())
        lost = float(failed[tail].sum() / max(sent[tail].sum(), 1))
        lasted = last * SECOND - over
        goes_on = (
            "to the end of the run"
            if last >= planned.nonzero()[0].max()
            else f"until {moment(last * SECOND)}"
        )
        yield Hint(
            "storm_outlives", "critical", "clients", "", over, min(last * SECOND, scene.end),
            f"Retries keep up an overload whose cause is over: {name} ended at {moment(over)}, and for {duration(lasted)} more, {goes_on}, clients sent "
            f"{times(amplified)} the requests planned and {share(lost)} of that failed, though the requests alone need {share(alone)} of the fleet: "
            "a retry budget, longer backoff or shedding early would let it recover.",
            (Figure("amplification", amplified, "times"), Figure("attempts failed", lost, "1"), Figure("lasted", lasted, "ns"),
             Figure("needed without retries", alone, "1"), Figure("cause over", over, "at")),
        )  # fmt: skip


def _trigger(scene: Scene, first: int, last: int, used: Any) -> tuple[str, int] | None:
    """What was going on when the storm began, and ended during it: its name, and when it was over (ns)."""
    evidence, found = scene.evidence, []
    # A storm takes a timeout to begin.
    begun, ended = (first + 10) * SECOND, last * SECOND
    for name, start, until in fault_spans(evidence.events, evidence.end):
        if start <= begun and (first - 10) * SECOND <= until < ended:
            found.append((f"fault {name}", until))
    for down, up in scene.facts.proxy_down:
        if down <= begun and (first - 10) * SECOND <= up < ended:
            found.append(("the proxy's downtime", up))
    for start, stop in stretches(used >= 1, 2):
        if start * SECOND <= begun and first - 10 <= stop < last:
            found.append(("the overload by requests", stop * SECOND))
    return max(found, key=lambda one: one[1], default=None)
