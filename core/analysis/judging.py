"""A look at canary and baseline: the verdict of each metric, and of all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..tallies import Tally, bucket_start
from . import memory, proportions, ranks
from .memory import Batch
from .proportions import Count
from .spec import FAIL, INCONCLUSIVE, PASS, AnalysisSpec
from .spending import of_pass, spent

ERRORS, LATENCY, MEMORY_LEVEL, MEMORY_GROWTH = "error_share", "latency", "memory_level", "memory_growth"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to judge: tallies of the window for both, batches of memory (mean shares of canaries and baseline's servers, one per look)."""

    canary: Tally
    baseline: Tally
    batches: tuple[Batch, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one metric: verdict, what was found in words, how much data there is and how much the wanted power needs (0: not known)."""

    metric: str
    verdict: str
    words: str
    data: int = 0
    needed: int = 0

    def fields(self) -> dict[str, Any]:
        """For the event log."""
        return {
            "metric": self.metric, "verdict": self.verdict, "found": self.words, "data": self.data, "needed": self.needed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found. *tried*: whether a pass was possible and part of alpha has been used for it."""

    verdict: str
    reason: str
    findings: tuple[Finding, ...] = field(default=())
    tried: bool = False


@dataclass(frozen=True, slots=True)
class _Levels:
    """What this look may use: alpha of harm, alpha of a pass (0: not now), and the wanted power."""

    harm: float
    passing: float
    first: float
    power: float


def look(spec: AnalysisSpec, seen: Seen, before: int, now: int, tried: int, may_pass: bool) -> Look:
    """Judge *seen* at *now* (ns since the window began), the look before having been at *before*. *tried*: passes that were possible so far; *may_pass*: there is enough more data than then."""
    over = may_pass and now >= spec.length
    metrics = (spec.errors is not None) + (spec.latency is not None) + 2 * (spec.memory is not None)
    harm = spent(spec.alpha, now / spec.timeout) - spent(spec.alpha, before / spec.timeout)
    levels = _Levels(
        harm / max(metrics, 1), of_pass(spec.alpha, tried) if over else 0.0, of_pass(spec.alpha, 0), spec.power
    )  # fmt: skip
    findings = [
        *_errors(spec, seen, levels),
        *_latency(spec, seen, levels),
        *_memory(spec, seen, levels),
    ]
    worse = [one for one in findings if one.verdict == FAIL]
    if worse:
        return Look(FAIL, f"{worse[0].metric}: {worse[0].words}", tuple(findings))
    open_ = [one for one in findings if one.verdict != PASS]
    if findings and not open_:
        return Look(PASS, "not worse in any metric", tuple(findings), tried=True)
    reason = f"{open_[0].metric}: {open_[0].words}" if open_ else "no metric"
    # A pass was possible, and used its part of alpha, once nothing lacked data.
    enough = over and all(0 < one.needed <= one.data for one in findings)
    return Look(INCONCLUSIVE, reason, tuple(findings), tried=enough)


def _lacks(spec: AnalysisSpec, seen: Seen) -> str:
    """Which side has had no traffic to speak of."""
    for who, tally in (("canary", seen.canary), ("baseline", seen.baseline)):
        if tally.answers == 0:
            return f"no traffic to the {who}"
        if tally.answers < spec.least:
            return f"{tally.answers} of at least {spec.least} requests to the {who}"
    return ""


def _errors(spec: AnalysisSpec, seen: Seen, levels: _Levels) -> list[Finding]:
    if spec.errors is None:
        return []
    margin = spec.errors.margin
    canary = Count(seen.canary.failures, seen.canary.answers)
    baseline = Count(seen.baseline.failures, seen.baseline.answers)
    if lack := (_lacks(spec, seen) if not (canary.number and baseline.number) else ""):
        return [Finding(ERRORS, INCONCLUSIVE, lack)]
    words = (
        f"{_percent(canary.share)} of {canary.number} against {_percent(baseline.share)} of {baseline.number}"
    )
    size = proportions.needed(
        baseline.share, baseline.number / canary.number, margin, levels.first, levels.power
    )
    if proportions.is_worse(canary, baseline, margin, levels.harm):
        return [Finding(ERRORS, FAIL, words, canary.number, size)]
    if lack := _lacks(spec, seen):
        return [Finding(ERRORS, INCONCLUSIVE, lack, canary.number, size)]
    enough = canary.number >= size and levels.passing > 0
    passed = enough and proportions.is_not_worse(canary, baseline, margin, levels.passing)
    return [Finding(ERRORS, PASS if passed else INCONCLUSIVE, words, canary.number, size)]


def _latency(spec: AnalysisSpec, seen: Seen, levels: _Levels) -> list[Finding]:
    if spec.latency is None:
        return []
    if lack := _lacks(spec, seen):
        return [Finding(LATENCY, INCONCLUSIVE, lack)]
    canary = [float(count) for count in seen.canary.latency]
    plain = [float(count) for count in seen.baseline.latency]
    # The margin is the baseline's own latencies, all of them longer.
    bound = ranks.stretched(seen.baseline.latency, 1.0 + spec.latency.margin, bucket_start)
    found = ranks.superiority(canary, bound)
    share = seen.canary.answers / (seen.canary.answers + seen.baseline.answers)
    size = ranks.needed(ranks.superiority(plain, bound), share, levels.first, levels.power)
    needed = int(size) if size < math.inf else 0
    words = f"p50 {_shown(canary)} against {_shown(plain)}; longer than {1 + spec.latency.margin:g} times the baseline's with {_percent(found.probability)}"
    data = seen.canary.answers
    if ranks.p_longer(found) <= levels.harm:
        return [Finding(LATENCY, FAIL, words, data, needed)]
    enough = 0 < needed <= data and levels.passing > 0
    passed = enough and ranks.p_not_longer(found) <= levels.passing
    return [Finding(LATENCY, PASS if passed else INCONCLUSIVE, words, data, needed)]


def _memory(spec: AnalysisSpec, seen: Seen, levels: _Levels) -> list[Finding]:
    if spec.memory is None:
        return []
    found = []
    for metric, margin, values in (
        (MEMORY_LEVEL, spec.memory.level, memory.levels(seen.batches)),
        (MEMORY_GROWTH, spec.memory.growth, memory.growths(seen.batches, spec.every)),
    ):
        if len(values) < memory.LEAST_VALUES:
            words = f"{len(values)} of at least {memory.LEAST_VALUES} samples"
            found.append(Finding(metric, INCONCLUSIVE, words, len(values)))
            continue
        spread = memory.spread(values)
        size = memory.needed(spread, margin, levels.first, levels.power)
        words = f"{_percent(spread.mean)} more" + (" per minute" if metric == MEMORY_GROWTH else "")
        verdict = INCONCLUSIVE
        if memory.is_above(spread, margin, levels.harm):
            verdict = FAIL
        elif levels.passing > 0 and spread.number >= size and memory.is_below(spread, margin, levels.passing):
            verdict = PASS
        found.append(Finding(metric, verdict, words, spread.number, size))
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _shown(counts: Sequence[float]) -> str:
    """The median, by the middle of its bucket."""
    half, seen = math.fsum(counts) / 2, 0.0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= half and count:
            return f"{(bucket_start(bucket) + bucket_start(bucket + 1)) / 2e6:.3g} ms"
    return "nothing"
