"""Which traces are kept, and what they stand for."""

import numpy as np
import pytest
from windtunnel import Run
from windtunnel.core.draws import draw_block, key
from windtunnel.core.outcomes import Outcome
from windtunnel.core.trace.probability import threshold_of
from windtunnel.reports.trace.sampling import ERROR, SHARE, SLOW, Facts, choose
from windtunnel.reports.trace.spans import Span, Trace
from windtunnel.reports.trace.traces import Traces

FULL = 1 << 56


def facts(count: int, failing: int = 0) -> Facts:
    number = np.arange(count)
    outcome = np.full(count, Outcome.OK)
    outcome[:failing] = Outcome.NO_SERVER
    random = draw_block(key(1, "x"), number, 0, 1) & (FULL - 1)
    return Facts(number, (number * 7919) % 1000, outcome, random)


def test_counts_stay_right(troubled: tuple[Run, Traces]) -> None:
    run, traces = troubled
    for share in (0.0, 0.05, None):
        sample = traces.sample(share, 0.01)
        found = list(traces.requests(sample.wanted, sample))
        assert sum(trace.weight for trace in found) == pytest.approx(run.requests.num_rows)
        failed = [trace for trace in found if trace.root.error]
        assert len(failed) == sum(row not in ("ok", "unread") for row in run.requests.column("outcome").to_pylist())  # fmt: skip
        assert {(trace.kept, trace.weight) for trace in failed} == {(ERROR, 1.0)}


def test_a_share_is_a_share_and_the_smaller_is_within_the_larger() -> None:
    small, large = (choose([facts(100_000)], share, 0.0) for share in (0.05, 0.2))
    for sample, share in ((small, 0.05), (large, 0.2)):
        expected = 100_000 * share
        assert abs(len(sample.wanted) - expected) < 5 * np.sqrt(expected)
        assert sample.weight == pytest.approx(1 / share, rel=0.1)
        assert sample.threshold / FULL == pytest.approx(1 - share, abs=1e-4)
    assert set(small.wanted) < set(large.wanted)


def test_the_slowest_are_kept_and_so_many_of_them() -> None:
    one = facts(10_000, failing=100)
    sample = choose([one], 0.01, 0.02)
    slow = sample.wanted[sample.reasons == 2]
    assert sample.count(SLOW) == 200 - int((one.latency[:100] >= 980).sum())
    assert one.latency[slow].min() >= 980
    assert sample.count(ERROR) == 100
    alike = Facts(one.request, np.zeros(10_000, np.int64), one.outcome, one.random)
    assert choose([alike], 0.01, 0.02).count(SLOW) <= 200


def test_the_order_and_size_of_parts_do_not_matter() -> None:
    whole = facts(5_000, failing=30)
    parts = [Facts(*(getattr(whole, n)[k : k + 700] for n in ("request", "latency", "outcome", "random"))) for k in range(0, 5_000, 700)]  # fmt: skip
    one, other = choose([whole], 0.1), choose(reversed(parts), 0.1)
    assert one.wanted.tolist() == other.wanted.tolist()
    assert (one.weight, one.threshold) == (other.weight, other.threshold)


def test_something_stands_for_the_rest_and_nothing_for_nothing() -> None:
    lonely = choose([facts(10)], 0.0, 0.0)
    assert lonely.count(SHARE) == 1
    assert lonely.weight == 10
    assert len(choose([], None).wanted) == 0
    assert choose([facts(20, failing=20)], 0.5).total == 20


def test_thresholds_and_tracestate() -> None:
    span = Span("0" * 31 + "1", "1" * 16, "", "x", 1, None, 0, 1)  # type: ignore[arg-type]
    told = {share: Trace((span,), SHARE, 1.0, threshold_of(share)).state() for share in (1.0, 0.5, 0.25, 0.1)}
    assert told == {1.0: "ot=th:0", 0.5: "ot=th:8", 0.25: "ot=th:c", 0.1: "ot=th:e666"}
    assert 0 < FULL - threshold_of(1e-9) < FULL * 2e-9
    assert threshold_of(0.0) == FULL - 1
    assert Trace((span,)).state() == ""


def test_the_threshold_is_that_of_the_trace_id(troubled: tuple[Run, Traces]) -> None:
    """As OpenTelemetry says: kept if the last 56 bits of the id are not below it."""
    _, traces = troubled
    sample = traces.sample(0.2, 0.01)
    for trace in traces.requests(sample.wanted, sample):
        random = int(trace.root.trace[-14:], 16)
        assert random >= trace.threshold
        assert trace.threshold == (sample.threshold if trace.kept == SHARE else 0)
