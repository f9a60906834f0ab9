"""What a person sees: the chart of a request, and lists."""

from typing import Any

from windtunnel import Run
from windtunnel.reports.trace.listing import find
from windtunnel.reports.trace.traces import Traces
from windtunnel.reports.trace.waterfall import MOST_BESIDE, waterfall

SECOND = 1_000_000_000


def test_a_chart_has_each_span_and_what_happened_meanwhile(troubled: tuple[Run, Traces]) -> None:
    run, traces = troubled
    rows = run.requests.to_pylist()
    chosen = next(r for r in rows if r["attempts"] == 3 and 6.2 * SECOND < r["time_ns"] < 7.5 * SECOND)
    trace = traces.request(chosen["request"])
    assert trace is not None
    chart = waterfall(trace, traces.control)
    assert len(chart.lines) == len(trace.spans)
    assert [line.depth for line in chart.lines][:2] == [0, 1]
    labels = [line.label for line in chart.lines]
    assert [label for label in labels if label.startswith("attempt")] == ["attempt 1", "attempt 2", "attempt 3"]  # fmt: skip
    assert chart.lines[0].failed == (chosen["outcome"] != "ok")
    assert (chart.start, chart.end) == (trace.root.start, trace.root.end)
    assert "fault slow: slow (server 1, server 2, server 3, ...)" in [line.label for line in chart.beside] or any(
        line.label.startswith("fault slow: slow") for line in chart.beside
    )  # fmt: skip
    for line in chart.beside:
        assert line.start <= chart.end
        assert line.end >= chart.start
    assert len(chart.beside) <= MOST_BESIDE


def test_a_dead_server_is_named_beside_the_requests_that_met_it(troubled: tuple[Run, Traces]) -> None:
    run, traces = troubled
    (killed,) = [event for event in run.events if event["event"] == "killed"]
    soon = next(
        row for row in run.requests.to_pylist()
        if killed["t"] < row["time_ns"] < killed["t"] + SECOND // 2
    )  # fmt: skip
    trace = traces.request(soon["request"])
    assert trace is not None
    beside = {line.label: line for line in waterfall(trace, traces.control).beside}
    assert beside[f"server {killed['server']} failed (killed)"].failed


def test_lists_are_those_of_the_rows(troubled: tuple[Run, Traces]) -> None:
    run, traces = troubled
    rows = run.requests.to_pylist()

    def numbers(**options: Any) -> list[int]:
        given = {"errors": False, "slowest": None, "window": None, "most": None, **options}
        return [one.request for one in find(traces, **given).requests]

    failed = [row for row in rows if row["outcome"] != "ok"]
    assert numbers(errors=True) == [row["request"] for row in failed]
    by_latency = sorted(rows, key=lambda row: (-row["latency_ns"], row["request"]))
    assert numbers(slowest=7) == [row["request"] for row in by_latency[:7]]
    assert numbers(errors=True, slowest=3) == [row["request"] for row in by_latency if row["outcome"] != "ok"][:3]  # fmt: skip
    start, end = 3 * SECOND, 3 * SECOND + SECOND // 10
    flying = [r["request"] for r in rows if r["time_ns"] <= end and r["time_ns"] + r["latency_ns"] >= start]
    assert sorted(numbers(window=(start, end))) == flying
    some = find(traces, True, None, None, 5)
    assert (len(some.requests), some.total) == (5, len(failed))
    assert sum(count for _, count in some.outcomes) == len(failed)
    assert find(traces, False, None, (900 * SECOND, 901 * SECOND), None).total == 0
