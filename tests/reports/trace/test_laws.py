"""Laws of traces: what is rebuilt agrees with the rows, over a run with everything in it and over random scenarios."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel import Run
from windtunnel.core.outcomes import GOOD, NAMES
from windtunnel.core.trace.ids import Ids
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.stations import ANSWER, QUEUE, STATIONS, UPSTREAM, breakdown
from windtunnel.reports.trace.rebuilding import Rebuilder
from windtunnel.reports.trace.rows import Block
from windtunnel.reports.trace.spans import Trace
from windtunnel.reports.trace.traces import Traces
from windtunnel.tests.reports.trace.fleets import TROUBLED, traces_of_document
from windtunnel.tests.strategies.documents import documents

FINE = {NAMES[outcome] for outcome in GOOD}


def every(traces: Traces, run: Run) -> list[Trace]:
    return list(traces.requests(run.requests.column("request").to_numpy()))


def check_tree(trace: Trace) -> None:
    """Each span lies within its parent, which stands before it; ids are unique in the trace."""
    known: dict[str, Any] = {}
    for span in trace.spans:
        assert span.trace == trace.root.trace
        assert len(span.trace) == 32
        assert len(span.id) == 16
        assert int(span.id, 16) > 0
        assert span.start <= span.end
        assert span.id not in known
        if span.parent:
            parent = known[span.parent]
            assert parent.start <= span.start <= span.end <= parent.end, (span, parent)
        known[span.id] = span
    assert [span for span in trace.spans if not span.parent] == [trace.root]


def check_stations(trace: Trace) -> None:
    """The stretches follow one another without gap or overlap, from the intended send time to the end."""
    parts = sorted((span.start, span.end) for span in trace.spans if span.station >= 0)
    if not parts:
        assert trace.root.duration == 0
        return
    assert parts[0][0] == trace.root.start
    assert parts[-1][1] == trace.root.end
    assert all(end == start for (_, end), (start, _) in pairwise(parts))


def check_run(run: Run, traces: Traces) -> None:
    rows, found = run.requests.to_pylist(), every(traces, run)
    assert len(found) == len(rows)
    for row, trace in zip(rows, found, strict=True):
        root = trace.root
        assert root.attributes["windtunnel.request"] == row["request"]
        assert (root.start, root.duration) == (row["time_ns"], row["latency_ns"])
        assert root.attributes["windtunnel.outcome"] == row["outcome"]
        assert bool(root.error) == (row["outcome"] not in FINE)
        attempts = [span for span in trace.spans if "windtunnel.attempt" in span.attributes]
        assert len(attempts) == row["attempts"]
        check_tree(trace)
        check_stations(trace)
    for trace in traces.control:
        check_tree(trace)
    check_unique([*found, *traces.control])


def check_unique(traces: Iterable[Trace]) -> None:
    found = list(traces)
    assert len({trace.root.trace for trace in found}) == len(found)
    spans = [span.id for trace in found for span in trace.spans]
    assert len(set(spans)) == len(spans)


def test_a_run_with_everything_in_it(troubled: tuple[Run, Traces]) -> None:
    check_run(*troubled)
    run, traces = troubled
    names = {span.name for trace in every(traces, run) for span in trace.spans}
    assert {"backoff", "queue", "cpu", "io", "call db", "answer", "GET /gone"} <= names
    assert "2 failed tries, then to the server" in names


@settings(
    max_examples=8, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(documents(), st.integers(0, 2**31))
def test_random_scenarios(document: dict[str, Any], seed: int) -> None:
    check_run(*traces_of_document(document, seed))


def test_stretches_are_the_stations_of_the_report(troubled: tuple[Run, Traces]) -> None:
    """But for what a proxy or a full queue answers at once, which the report counts where the attempt was last."""
    run, traces = troubled
    evidence = Evidence(run, traces.fleet)
    times, _ = breakdown(evidence, np.arange(run.requests.num_rows))
    first = [trace for trace in every(traces, run) if trace.root.attributes["windtunnel.attempts"] == 1]
    for trace in first:
        expected = times[:, trace.root.attributes["windtunnel.request"]].tolist()
        sums = [0] * len(STATIONS)
        for span in trace.spans:
            if span.station >= 0:
                sums[span.station] += span.duration
        if trace.root.error in ("queue_full", "no_server", "shed", "connect_failed"):
            for place in (UPSTREAM, QUEUE):
                expected[ANSWER] += expected[place] - sums[place]
                expected[place] = sums[place]
        assert sums == expected
    assert len(first) > 1000


def test_ids_are_the_same_again_and_others_under_another_seed(troubled: tuple[Run, Traces]) -> None:
    run, traces = troubled
    again = every(traces_of_document(TROUBLED)[1], run)
    ids = [[span.id for span in trace.spans] for trace in every(traces, run)]
    assert [[span.id for span in trace.spans] for trace in again] == ids
    elsewhere, others = traces_of_document(TROUBLED, seed=2)
    other = every(others, elsewhere)
    assert not {trace.root.trace for trace in other} & {trace.root.trace for trace in again}
    assert traces.request(17) == again[17]
    assert traces.named(again[17].root.trace) == 17
    assert traces.named("f" * 32) == -1


def test_who_failed(troubled: tuple[Run, Traces]) -> None:
    """The error stands where it came from, and on whoever had to pass it on; not on servers that are not to blame."""
    run, traces = troubled
    for trace in every(traces, run):
        for span in trace.spans:
            outcome, service = span.error, span.service.name
            assert span.error == "" or "error.type" in span.attributes or span.station >= 0
            if service == "app" and span.station < 0:
                assert outcome in ("", "queue_full", "app_error")
            if span.attributes.get("http.response.status_code") == 404:
                assert not span.error, "a planned 404 is no error"


def test_causes_are_linked(troubled: tuple[Run, Traces]) -> None:
    _, traces = troubled
    at = {(span.trace, span.id): span for trace in traces.control for span in trace.spans}
    (killed,) = [t.root for t in traces.control if any(note.name == "killed" for note in t.root.notes)]
    causes = {link.what: at[link.trace, link.span] for link in killed.links}
    assert causes["hit by the fault"].name.startswith("fault dies: kill")
    ended = str(causes["ended by"].attributes["windtunnel.actions"])
    assert ended.startswith(f"terminate {killed.attributes['windtunnel.server']}")
    launched = [t.root for t in traces.control if t.root.name.startswith("server ") and t.root.start > 0 and t.root.links]  # fmt: skip
    assert launched
    for life in launched:
        turn = {link.what: at[link.trace, link.span] for link in life.links}.get("launched by")
        if turn is not None:
            assert turn.start == life.start
            assert "launch" in str(turn.attributes["windtunnel.actions"])
            assert turn.notes, "a turn that acts tells what it saw"


def test_requests_are_linked_to_the_life_of_their_server(troubled: tuple[Run, Traces]) -> None:
    run, traces = troubled
    lives = {(t.root.trace, t.root.id): t.root for t in traces.control}
    linked = [span for trace in every(traces, run) for span in trace.spans if span.links]
    assert linked
    for span in linked:
        (link,) = span.links
        life = lives[link.trace, link.span]
        assert life.attributes["windtunnel.server"] == span.attributes["windtunnel.server"]
        assert life.start <= span.start <= span.end <= life.end or life.error


def foreign(traces: Traces, **moments: int) -> list[str]:
    """Names of the stretches of an answered request of which only these *moments* are known."""
    request = {"request": 0, "source": 0, "index": 0, "endpoint": 0, "time_ns": 100, "latency_ns": 900, "outcome": 1, "status": 200,
               "attempts": 1, "server": 1}  # fmt: skip
    known = {
        "proxy_ns": -1,
        "routed_ns": -1,
        "arrived_ns": -1,
        "started_ns": -1,
        "cpu_done_ns": -1,
        "served_ns": -1,
        **moments,
    }
    attempt = {"request": 0, "attempt": 1, "start_ns": 120, "answered_ns": 1000, "end_ns": 1000, "outcome": 1, "status": 200, "server": 1, "tries": 1,
               "connection": 1, **known}  # fmt: skip
    columns = [{name: np.array([value]) for name, value in row.items()} for row in (request, attempt)]
    block = Block(columns[0], columns[1], np.array([0]), np.array([1]))
    ((_, trace),) = Rebuilder(traces.fleet, Ids(1, "foreign"), lambda *_: "").traces(block)
    check_tree(trace)
    check_stations(trace)
    return [span.name for span in trace.spans if span.station >= 0]


def test_what_a_foreign_proxy_or_program_does_not_tell_is_called_so(troubled: tuple[Run, Traces]) -> None:
    _, traces = troubled
    assert foreign(traces) == ["sent late", "proxy and server, not recorded"]
    told = foreign(traces, proxy_ns=200, routed_ns=300)
    assert told == ["sent late", "connect and send", "accept and read", "server, not recorded"]
    assert foreign(traces, proxy_ns=200, routed_ns=300, arrived_ns=400)[-2:] == ["to the server", "queue"]
