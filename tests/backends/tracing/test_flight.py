"""A flight whose roles export what they do: complete traces, and the same ones that are rebuilt from its rows; a program of the user's sees them too, and its log is inside."""

import json
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.backends.local.options import FlightOptions
from windtunnel.reports.trace.logs import APPLICATION, FROM, LOG, MESSAGE
from windtunnel.reports.trace.traces import Traces
from windtunnel.tracing import open_traces

from .collector import Collector, Got, collecting

pytestmark = pytest.mark.long

MS = 1_000_000
SMALL = """
scenario: small
seed: 3
duration: 4s
fleet:
  app: {initial: 2, workers: 2, cores: 1, queue: 3, max: 4}
  proxy: {upstream_timeout: 20s, retries: {attempts: 1}, health_check: {interval: 1s}}
  dependencies: [{name: db, concurrency: 4, service: {constant: 2ms}}]
endpoints:
  - {path: /, weight: 3, cpu: {exponential: {mean: 15ms}}, response_size: 12KiB}
  - {path: /slow, cpu: {constant: 1ms}, io: {constant: 30ms}, calls: [db], status: 404}
traffic:
  - {name: users, stages: [{for: 4s, rate: 90/s}], client: {timeout: 10s, retries: {attempts: 1, backoff: 20ms}, connections: {pool: 50}}}
  - {name: closed, closed: {concurrency: 3, for: 4s, think: {constant: 50ms}}, client: {connections: per_request}}
autoscaler: {policy: {threshold: {requests_high: 20/s, requests_low: 1/s}}, interval: 1s, cooldown: 2s}
"""

Flown = tuple[Run, Traces, Collector, list[str]]


def fly(scenario: Scenario | Path, folder: Path, **options: Any) -> tuple[Run, list[str]]:
    said: list[str] = []
    run = replay(
        scenario,
        backend="local",
        flight=FlightOptions(notice=said.append),
        out=folder,
        figure=False,
        **options,
    )
    return run, said


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flown]:
    folder = tmp_path_factory.mktemp("traced") / "run"
    with pytest.MonkeyPatch.context() as patch, collecting() as collector:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20000")
        run, said = fly(Scenario.parse(SMALL), folder)
        yield run, open_traces(folder), collector, said


def by_trace(collector: Collector) -> dict[str, dict[str, Got]]:
    found: dict[str, dict[str, Got]] = defaultdict(dict)
    for span in collector.spans:
        assert span.id not in found[span.trace], "an id is there once"
        found[span.trace][span.id] = span
    return found


def test_every_parent_is_there_and_holds_its_children(flown: Flown) -> None:
    _, _, collector, said = flown
    assert said == [f"traces: {len(collector.spans):,} spans exported"]
    for spans in by_trace(collector).values():
        assert sum(not span.parent for span in spans.values()) == 1
        for span in spans.values():
            assert span.end >= span.start
            if span.parent:
                above = spans[span.parent]
                # What a client is told to be over may reach it before the proxy has written it down.
                slack = 500 * MS if above.service != span.service else 0
                assert above.start <= span.start + slack
                assert span.end <= above.end + slack


def test_they_are_the_traces_that_are_rebuilt(flown: Flown) -> None:
    run, traces, collector, _ = flown
    recorded = by_trace(collector)
    services = set()
    count = 0
    for rebuilt in traces.requests(range(len(run.requests))):
        live = recorded[rebuilt.root.trace]
        count += 1
        for span in rebuilt.spans:
            assert span.id in live, (span, [(one.name, one.id) for one in live.values()])
            one = live[span.id]
            services.add(one.service)
            if "failed tr" in span.name:
                # The rows know of the earlier tries only how many they were, so that this stretch holds them.
                continue
            assert (one.name, one.kind, one.service) == (span.name, span.kind, span.service.name)
            ours = {
                name for name in span.attributes if name not in ("http.response.status_code", "error.type")
            }
            assert ours <= set(one.attributes), (span.name, span.attributes, one.attributes)
            assert one.resource.get("service.instance.id", "") == span.service.instance
            assert abs(one.end - traces.origin.zero - span.end) < 500 * MS
        root = live[rebuilt.root.id]
        assert root.attributes["windtunnel.outcome"] == rebuilt.root.attributes["windtunnel.outcome"]
        assert (root.start, root.end) == (
            rebuilt.root.start + traces.origin.zero,
            rebuilt.root.end + traces.origin.zero,
        )
    assert count == len(run.requests) > 300
    assert services == {"client", "proxy", "app"}


def test_the_control_plane_is_there_too(flown: Flown) -> None:
    _, traces, collector, _ = flown
    named = defaultdict(list)
    for span in collector.spans:
        named[span.service, span.name].append(span)
    turns = named["autoscaler", "turn of the autoscaler"]
    rebuilt = [one.root for one in traces.control if one.root.name == "turn of the autoscaler"]
    assert abs(len(turns) - len(rebuilt)) <= 2
    assert set(rebuilt[0].attributes) <= set(turns[0].attributes)
    assert any("server seen" in turn.events for turn in turns)
    launches = named["autoscaler", "cloud launch"]
    assert launches
    assert {span.parent for span in launches} <= {turn.id for turn in turns}
    calls = named["autoscaler", "registry read samples"]
    assert all(span.attributes["db.system.name"] == "redis" for span in calls)
    assert all(named[service, name] for service, name in (
        ("proxy", "lists read"), ("app", "samples written"), ("proxy", "health check /health"),
    ))  # fmt: skip


def test_lines_of_the_log_are_in_their_traces(flown: Flown) -> None:
    _, traces, collector, _ = flown
    full = [line for line in collector.logs if line.name == "answered 503: queue full"]
    assert full, "a queue of three is full at times"
    for line in full[:5]:
        trace = traces.request(traces.named(line.trace))
        assert trace is not None
        noted = {note.attributes[MESSAGE] for span in trace.spans for note in span.notes if note.name == LOG}
        assert line.name in noted


PROGRAM = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        given = self.headers["traceparent"]
        _, trace, span, _ = given.split("-")
        line = {"msg": "served " + self.path, "level": "info", "trace_id": trace, "span_id": span}
        # One write a line: other threads write too.
        sys.stdout.write(json.dumps(line) + "\\n")
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"own")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_program_of_the_users_logs_into_traces_without_any_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    command = json.dumps([sys.executable, "program.py", "{port}"])
    path = tmp_path / "own.yaml"
    path.write_text(f"""
scenario: own
seed: 5
duration: 2s
fleet: {{app: {{command: {command}, initial: 1, memory: {{total: 400MiB}}}}}}
endpoints: [{{path: /}}]
traffic:
  - {{name: users, stages: [{{for: 2s, rate: 30/s}}], client: {{timeout: 10s, connections: {{pool: 10}}}}}}
""")
    run, said = fly(path, tmp_path / "run", trace=True)
    assert said == []
    traces = open_traces(tmp_path / "run")
    for trace in traces.requests(range(len(run.requests))):
        (note,) = [note for span in trace.spans for note in span.notes if note.name == LOG]
        (span,) = [span for span in trace.spans if note in span.notes]
        assert (note.attributes[MESSAGE], note.attributes[FROM]) == ("served /", APPLICATION)
        assert span.service.name == "proxy", "the span that called it"
        assert span.start - 200 * MS <= note.time <= span.end + 500 * MS
    assert "log.message" in (tmp_path / "run" / "trace.otlp.jsonl").read_text()
