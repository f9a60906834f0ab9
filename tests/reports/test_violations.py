"""When an objective was violated, and what came before."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.model import SECOND, SloSpec
from windtunnel.core.outcomes import Outcome
from windtunnel.core.slo import judge
from windtunnel.reports.violations import HARD, SOFT, bin_width, described, preceding, windows

ROWS = st.lists(
    st.tuples(
        st.integers(0, 30 * SECOND - 1),
        st.integers(0, 1),
        st.integers(0, 4 * SECOND),
        st.sampled_from([Outcome.OK, Outcome.OK, Outcome.QUEUE_FULL, Outcome.UNREAD, Outcome.UNFINISHED]),
    ),
    max_size=60,
)
INDICATORS = {
    "latency_p50": SECOND, "latency_p99": 2 * SECOND, "latency_mean": SECOND, "latency_max": 3 * SECOND,
    "error_rate": 0.3, "availability": 0.7, "throughput": 1.0,
}  # fmt: skip


def slo(indicator: str, below: bool, start: int = 0, end: int = 30 * SECOND) -> SloSpec:
    return SloSpec("x", indicator, below, float(INDICATORS[indicator]), start, end, (0,), "text")


def columns(rows: list[tuple[int, int, int, int]]) -> tuple[Any, Any, Any, Any]:
    array = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return array[:, 0], array[:, 1].astype(np.int32), array[:, 2], array[:, 3].astype(np.int8)


@given(
    ROWS, st.sampled_from(sorted(INDICATORS)), st.booleans(), st.integers(0, 9 * SECOND),
    st.integers(10 * SECOND, 30 * SECOND), st.sampled_from([SECOND, 3 * SECOND, 10 * SECOND]),
)  # fmt: skip
def test_the_windows_are_exactly_the_bins_that_violate(
    rows: list[tuple[int, int, int, int]], indicator: str, below: bool, start: int, end: int, width: int
) -> None:
    objective = slo(indicator, below, start, end)
    expected = set()
    for place in range(start, end, width):
        alone = slo(indicator, below, place, min(place + width, end))
        if not judge(alone, *columns(rows)).held:
            expected.add(place)
    found = list(windows(objective, *columns(rows), width=width))
    covered = [place for window in found for place in range(window.start, window.stop, width)]
    assert set(covered) == expected
    assert len(covered) == len(expected)
    # Two stretches do not touch, or they would be one.
    assert all(first.stop < second.start for first, second in pairwise(found))
    assert all(window.stop <= end for window in found)


@given(ROWS, st.sampled_from(sorted(set(INDICATORS) - {"latency_mean", "throughput"})), st.booleans())
def test_what_is_violated_as_a_whole_is_violated_in_some_bin(
    rows: list[tuple[int, int, int, int]], indicator: str, below: bool
) -> None:
    objective = slo(indicator, below)
    if not judge(objective, *columns(rows)).held and not (indicator == "latency_max" and not below):
        assert list(windows(objective, *columns(rows), width=SECOND))


def test_the_worst_value_and_the_onset() -> None:
    rows = [(SECOND, 0, SECOND // 2, 1), (5 * SECOND, 0, 3 * SECOND, 1), (5 * SECOND + 1, 0, 5 * SECOND, 1),
            (6 * SECOND, 0, 9 * SECOND, 1)]  # fmt: skip
    (window,) = windows(slo("latency_p99", True), *columns(rows), width=SECOND)
    assert (window.start, window.stop, window.worst) == (5 * SECOND, 7 * SECOND, 9 * SECOND)
    assert window.onset == 9 * SECOND


@pytest.mark.parametrize(
    ("seconds", "width"), [(60, 1), (180, 1), (181, 10), (1800, 10), (1801, 60), (86400, 600)]
)
def test_bins_are_as_fine_as_the_length_allows(seconds: int, width: int) -> None:
    assert bin_width(seconds * SECOND) == width * SECOND


EVENTS = [
    {"t": 1, "event": "boot_failed", "server": 9},
    {"t": 5, "event": "killed", "server": 1, "lost": 2},
    {"t": 5, "event": "fault", "name": "x", "type": "kill", "targets": [1]},
    {"t": 6, "event": "healthy", "server": 2},
    {"t": 7, "event": "ejected", "server": 1, "until": 90},
    {"t": 9, "event": "terminated", "server": 1, "reason": "silent", "lost": 0},
]  # fmt: skip


def test_the_last_hard_event_and_the_last_reaction_after_it() -> None:
    def names(time: int) -> list[str]:
        return [event["event"] for event in preceding(EVENTS, time)]

    assert names(0) == []
    assert names(4) == ["boot_failed"]
    assert names(6) == ["fault"]
    assert names(7) == ["fault", "ejected"]
    assert names(20) == ["fault", "terminated"]
    assert [event["event"] for event in preceding(EVENTS[4:], 8)] == ["ejected"]


def test_every_event_has_words() -> None:
    for name in (*HARD, *SOFT):
        assert "_" not in described({"event": name, "t": 0, "server": 3, "name": "x", "type": "y"})
    assert described(EVENTS[2]) == "fault x (kill, server 1)"
    assert (
        described({"event": "fault", "name": "f", "type": "slow", "targets": ["db"], "until": 5})
        == "fault f (slow, db)"
    )
    assert described({"event": "fault", "name": "f", "type": "slow", "targets": []}) == "fault f (slow)"
    assert "60 servers (1, 2, 3, 4, 5 and 55 more)" in described(
        {"event": "fault", "name": "f", "type": "kill", "targets": list(range(1, 61))}
    )
