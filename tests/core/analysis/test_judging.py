"""Whole analyses: verdicts, what is lacking, and error rates over many looks."""

import math

import numpy as np
import pytest
from windtunnel.core.analysis import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    AnalysisSpec,
    ErrorShare,
    Latency,
    MemoryUse,
    Seen,
    look,
)
from windtunnel.core.analysis import memory as m
from windtunnel.core.analysis.spending import of_pass, spent
from windtunnel.core.draws import draw_block, key
from windtunnel.core.tallies import BUCKETS, Tally

SECOND = 1_000_000_000
ERRORS = AnalysisSpec(latency=None)
LATENCY = AnalysisSpec(errors=None)
MEMORY = AnalysisSpec(errors=None, latency=None, memory=MemoryUse())


def tally(answers: int, failures: int = 0, bucket: int = 60) -> Tally:
    """Latencies spread over five buckets."""
    latency = [0] * BUCKETS
    for number in range(answers):
        latency[bucket + number % 5] += 1
    return Tally(answers, failures, tuple(latency))


def judged(spec: AnalysisSpec, seen: Seen, seconds: int = 60) -> tuple[str, str]:
    found = look(spec, seen, (seconds - 5) * SECOND, seconds * SECOND, 0, True)
    return found.verdict, found.reason


def test_no_traffic_is_inconclusive_and_says_so() -> None:
    for spec in (ERRORS, LATENCY):
        assert judged(spec, Seen(Tally(), tally(500)))[0] == INCONCLUSIVE
        assert "no traffic to the canary" in judged(spec, Seen(Tally(), tally(500)))[1]
        assert "no traffic to the baseline" in judged(spec, Seen(tally(500), Tally()))[1]
        assert "29 of at least 30 requests to the canary" in judged(spec, Seen(tally(29), tally(500)))[1]


def test_a_metric_without_data_never_passes() -> None:
    """A thousand flawless requests, and nobody samples memory."""
    spec = AnalysisSpec(memory=MemoryUse())
    assert judged(spec, Seen(tally(1000), tally(9000))) == (
        INCONCLUSIVE,
        "memory_level: 0 of at least 5 samples",
    )
    assert judged(AnalysisSpec(errors=None, latency=None), Seen(tally(1000), tally(9000))) == (
        INCONCLUSIVE,
        "no metric",
    )


def test_too_few_requests_for_the_power_are_inconclusive_however_good() -> None:
    few = look(ERRORS, Seen(tally(300), tally(2700)), 55 * SECOND, 60 * SECOND, 0, True)
    assert (few.verdict, few.tried) == (INCONCLUSIVE, False)
    assert few.findings[0].needed == 437
    enough = look(ERRORS, Seen(tally(500), tally(4500)), 55 * SECOND, 60 * SECOND, 0, True)
    assert (enough.verdict, enough.tried) == (PASS, True)
    # Not before the window is over, and not while a pass was tried with almost the same data.
    assert (
        look(ERRORS, Seen(tally(500), tally(4500)), 25 * SECOND, 30 * SECOND, 0, True).verdict == INCONCLUSIVE
    )
    assert (
        look(ERRORS, Seen(tally(500), tally(4500)), 55 * SECOND, 60 * SECOND, 1, False).verdict
        == INCONCLUSIVE
    )


def test_harm_is_seen_at_once_and_names_its_metric() -> None:
    assert judged(ERRORS, Seen(tally(50, 10), tally(450)), 5) == (
        FAIL,
        "error_share: 20% of 50 against 0% of 450",
    )
    # Even before there are enough requests for anything else.
    assert judged(ERRORS, Seen(tally(8, 8), tally(80)), 5)[0] == FAIL
    verdict, reason = judged(LATENCY, Seen(tally(100, 0, 70), tally(900)), 10)
    assert (verdict, reason.partition(":")[0]) == (FAIL, "latency")
    assert judged(LATENCY, Seen(tally(500), tally(4500)))[0] == PASS


def test_memory_that_grows_or_is_higher() -> None:
    def batches(level: float, growth: float) -> Seen:
        rows = [(0.3 + level + growth * n + 0.0004 * (-1) ** n, 0.3 + 0.0002 * (n % 3)) for n in range(24)]
        return Seen(Tally(), Tally(), tuple(rows))

    assert judged(MEMORY, batches(0.0, 0.0), 120)[0] == PASS
    assert judged(MEMORY, batches(0.2, 0.0), 120)[1].startswith("memory_level: 20% more")
    # 1% of the total in five seconds is 12% per minute.
    verdict, reason = judged(MEMORY, batches(0.0, 0.01), 120)
    assert verdict == FAIL
    assert "memory" in reason


def test_students_bounds_of_memory() -> None:
    """Mean 3 and deviation sqrt(2.5) of 1 to 5; t(0.95; 4) = 2.1318."""
    found = m.spread([1, 2, 3, 4, 5])
    assert found == pytest.approx((5, 3.0, math.sqrt(2.5)))
    half = 2.13185 * math.sqrt(2.5 / 5)
    assert m.is_above(found, 3.0 - half - 0.001, 0.05)
    assert not m.is_above(found, 3.0 - half + 0.001, 0.05)
    assert m.is_below(found, 3.0 + half + 0.001, 0.05)
    assert not m.is_below(found, 3.0 + half - 0.001, 0.05)


def test_all_looks_together_spend_alpha_and_no_more() -> None:
    looks = [spent(0.05, (n + 1) / 60) - spent(0.05, n / 60) for n in range(60)]
    assert math.fsum(looks) == pytest.approx(0.05)
    assert min(looks) > 0
    assert math.fsum(of_pass(0.05, n) for n in range(30)) < 0.05


def course(stream: str, share: float, spec: AnalysisSpec) -> str:
    """An analysis with 40 requests to the canary and 360 to the baseline, which fails in 2% of them, in each five seconds, up to its verdict or its end."""
    looks = spec.timeout // spec.every
    bad = draw_block(key(3, f"{stream}/c"), np.arange(40 * looks, dtype=np.int64), 0, 1) / 2.0**63 < share
    other = draw_block(key(3, f"{stream}/b"), np.arange(360 * looks, dtype=np.int64), 0, 1) / 2.0**63 < 0.02
    tried = answers = 0
    for turn in range(1, looks + 1):
        canary, baseline = int(bad[: 40 * turn].sum()), int(other[: 360 * turn].sum())
        seen = Seen(tally(40 * turn, canary), tally(360 * turn, baseline))
        found = look(spec, seen, (turn - 1) * spec.every, turn * spec.every, tried, 40 * turn >= 2 * answers)
        if found.verdict != INCONCLUSIVE:
            return found.verdict
        if found.tried:
            tried, answers = tried + 1, 40 * turn
    return INCONCLUSIVE


def test_error_rates_over_all_looks_by_simulation() -> None:
    """Sixty looks each: hardly a false alarm for a canary like the baseline, few false passes of one that is worse by the margin, and one far worse is found."""
    spec = AnalysisSpec(errors=ErrorShare(0.03), latency=None)
    runs = 40
    same = [course(f"same{n}", 0.02, spec) for n in range(runs)]
    at_margin = [course(f"margin{n}", 0.05, spec) for n in range(runs)]
    worse = [course(f"worse{n}", 0.15, spec) for n in range(runs)]
    most = 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)
    assert same.count(FAIL) == 0
    assert same.count(PASS) >= 0.8 * runs
    assert at_margin.count(PASS) <= most
    assert at_margin.count(FAIL) <= most
    assert worse.count(FAIL) == runs
    assert isinstance(LATENCY.latency, Latency)
