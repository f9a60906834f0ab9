"""A rollout's analysis: it gathers what canary and baseline did since the step began, and asks core.analysis at each look."""

from typing import Any

from ..analysis import FAIL, PASS, Look, Seen, look
from ..tallies import Tally
from .books import Window
from .commands import CANARIES, SERVING
from .moment import Moment
from .spec import Analyse


def begin(now: int, step: Analyse) -> Window:
    """A window that begins now."""
    data = {
        "last": None,
        "total": [_plain(Tally()), _plain(Tally())],
        "sums": [0.0, 0, 0.0, 0],
        "batches": [],
    }
    return Window(now, now + step.spec.every, data | {"looked": 0, "tried": 0, "answers": 0})


def gather(moment: Moment, window: Window) -> None:
    """Take in what this turn shows."""
    data, tallies = window.data, moment.observed.tallies
    if tallies is not None:
        both = (tallies.canary, tallies.serving)
        if data["last"] is not None:
            new = [now.since(_tally(last)) for now, last in zip(both, data["last"], strict=True)]
            data["total"] = [
                _plain(_tally(sum_).plus(one)) for sum_, one in zip(data["total"], new, strict=True)
            ]
        data["last"] = [_plain(one) for one in both]
    for server in moment.observed.servers:
        sample = moment.observed.memory.get(server.address)
        if (
            sample is None
            or sample[0] < window.look - _every(moment)
            or server.listed not in (CANARIES, SERVING)
        ):
            continue
        first = 0 if server.listed == CANARIES else 2
        data["sums"][first] += sample[1]
        data["sums"][first + 1] += 1


def due(moment: Moment, window: Window) -> Look | None:
    """What a look finds, if it is time for one."""
    if moment.now < window.look:
        return None
    step = moment.spec.steps[moment.books.step]
    assert isinstance(step, Analyse), f"step {moment.books.step} of {moment.spec.name} is no analysis"
    spec, data = step.spec, window.data
    canary, canaries, baseline, others = data["sums"]
    if canaries and others:
        data["batches"].append((canary / canaries, baseline / others))
    data["sums"] = [0.0, 0, 0.0, 0]
    seen = Seen(
        _tally(data["total"][0]),
        _tally(data["total"][1]),
        tuple((one, other) for one, other in data["batches"]),
    )
    elapsed = moment.now - window.since
    # A further pass is only tried with twice the data of the one before.
    may_pass = seen.canary.answers >= 2 * data["answers"]
    found = look(spec, seen, data["looked"], elapsed, data["tried"], may_pass)
    data["looked"] = elapsed
    window.look = moment.now + spec.every
    if found.tried:
        data["tried"] += 1
        data["answers"] = seen.canary.answers
    moment.log(
        "analysis", verdict=found.verdict, reason=found.reason, metrics=[one.fields() for one in found.findings],
    )  # fmt: skip
    if found.verdict not in (PASS, FAIL) and elapsed >= spec.timeout:
        return Look(FAIL, f"no verdict in time: {found.reason}", found.findings)
    return found


def _every(moment: Moment) -> int:
    step = moment.spec.steps[moment.books.step]
    return step.spec.every if isinstance(step, Analyse) else 0


def _plain(tally: Tally) -> list[Any]:
    """For JSON: latencies as pairs of bucket and number, for most are 0."""
    return [tally.answers, tally.failures, [[b, count] for b, count in enumerate(tally.latency) if count]]


def _tally(plain: list[Any]) -> Tally:
    answers, failures, pairs = plain
    latency = list(Tally().latency)
    for bucket, count in pairs:
        latency[bucket] = count
    return Tally(answers, failures, tuple(latency))
