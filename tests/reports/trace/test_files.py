"""The files: OTLP as its protobufs read it, Perfetto by the rules of the Trace Event Format; the same bytes each time."""

import hashlib
import io
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData
from windtunnel import Run, replay
from windtunnel.reports.storage import StorageError
from windtunnel.reports.trace.otlp import EPOCH, Origin, write_otlp
from windtunnel.reports.trace.spans import CHAOS, INTERNAL, Note, Trace
from windtunnel.reports.trace.spans import Span as OurSpan
from windtunnel.reports.trace.traces import Traces
from windtunnel.reports.trace.workers import lanes
from windtunnel.tests.reports.trace.fleets import traces_of_document
from windtunnel.tests.support import scenario, steady
from windtunnel.tracing import FILES, OTLP, PERFETTO, open_traces, write_requests, write_sample

GOLDEN = {OTLP: "c6a0e8c89c09ef00", PERFETTO: "ff107d6385e9cac5"}
"""blake2b of the files of a small run: whoever changes a format, an id or a name sees it here."""


def written(traces: Traces, format: str, folder: Path, share: float | None = None) -> str:
    path = folder / FILES[format]
    write_sample(traces, format, path, share)
    return path.read_text()


def test_otlp_is_read_by_its_protobufs(troubled: tuple[Run, Traces], tmp_path: Path) -> None:
    run, traces = troubled
    lines = written(traces, OTLP, tmp_path, 0.02).splitlines()
    assert len(lines) > 2
    roots, spans = {}, 0
    for line in lines:
        for resource in Parse(line, TracesData()).resource_spans:
            (scope,) = resource.scope_spans
            for span in scope.spans:
                spans += 1
                assert span.start_time_unix_nano <= span.end_time_unix_nano
                assert span.kind in (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
                said = {pair.key: pair.value for pair in span.attributes}
                if "windtunnel.request" in said:
                    roots[said["windtunnel.request"].int_value] = (span, said)
    assert json.loads(lines[0])["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"]
    wanted = traces.sample(0.02, 0.01).wanted
    rows = [row for row in run.requests.to_pylist() if row["request"] in roots]
    assert sorted(roots) == wanted.tolist()
    assert spans == sum(len(trace.spans) for trace in [*traces.requests(wanted), *traces.control])
    assert sum(said["windtunnel.sample.weight"].double_value for _, said in roots.values()) == pytest.approx(run.requests.num_rows)  # fmt: skip
    for row in rows:
        span, said = roots[row["request"]]
        assert span.start_time_unix_nano == EPOCH + row["time_ns"]
        assert span.end_time_unix_nano - span.start_time_unix_nano == row["latency_ns"]
        failed = row["outcome"] not in ("ok", "unread")
        assert span.status.code == (Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET)
        assert said["windtunnel.sample"].string_value in ("error", "slow", "share")
        shared = said["windtunnel.sample"].string_value == "share"
        assert (span.trace_state == "ot=th:0") == (not shared)


def test_ids_are_hex_and_parents_are_in_the_file(troubled: tuple[Run, Traces], tmp_path: Path) -> None:
    """The protobufs' own JSON would have base64; OTLP's has hex."""
    _, traces = troubled
    spans = [
        span
        for line in written(traces, OTLP, tmp_path, 0.1).splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for span in resource["scopeSpans"][0]["spans"]
    ]
    ids = {(span["traceId"], span["spanId"]) for span in spans}
    assert len(ids) == len(spans)
    for span in spans:
        assert len(bytes.fromhex(span["traceId"])) == 16
        assert len(bytes.fromhex(span["spanId"])) == 8
        assert isinstance(span["startTimeUnixNano"], str)
        if "parentSpanId" in span:
            assert (span["traceId"], span["parentSpanId"]) in ids
        for link in span.get("links", ()):
            assert (link["traceId"], link["spanId"]) in ids
        assert span["flags"] & 0x103 == 0x103


def test_values_of_every_kind_survive() -> None:
    values: dict[str, Any] = {"a": True, "b": 2**62, "c": 0.1, "d": 'quoted "\n', "e": ["x", "ü"], "f": float("inf")}  # fmt: skip
    note = Note(5, "note", {"k": "v"})
    span = OurSpan("1" * 32, "2" * 16, "", "näme", INTERNAL, CHAOS, 1, 2, values, "wrong", notes=(note,))
    file = io.StringIO()
    assert write_otlp(file, Origin("s", "hash", 1, "rehearsal", "0"), [Trace((span,))]) == 1
    (resource,) = Parse(file.getvalue(), TracesData()).resource_spans
    (read,) = resource.scope_spans[0].spans
    found = {pair.key: pair.value for pair in read.attributes}
    assert found["a"].bool_value is True
    assert found["b"].int_value == 2**62
    assert found["c"].double_value == 0.1
    assert found["d"].string_value == 'quoted "\n'
    assert [one.string_value for one in found["e"].array_value.values] == ["x", "ü"]
    assert found["f"].double_value == float("inf")
    assert (read.name, read.status.message, read.events[0].name) == ("näme", "wrong", "note")
    resources = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert resources["service.name"] == "chaos"
    assert resources["deployment.environment.name"] == "rehearsal"


def test_perfetto_keeps_the_rules_of_the_format(troubled: tuple[Run, Traces], tmp_path: Path) -> None:
    run, traces = troubled
    document = json.loads(written(traces, PERFETTO, tmp_path, 1.0))
    events = document["traceEvents"]
    assert document["otherData"]["scenario"] == "test"
    open_: dict[Any, list[Any]] = defaultdict(list)
    last: dict[Any, float] = defaultdict(float)
    slices: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        assert event["ph"] in "MbeXiC"
        assert {"name", "pid", "tid"} <= set(event)
        if event["ph"] in "be":
            key = (event["cat"], event["id"])
            assert event["ts"] >= last[key], "time goes on within what has one id"
            last[key] = event["ts"]
            if event["ph"] == "b":
                open_[key].append(event["name"])
            else:
                assert open_[key].pop() == event["name"], "what was begun last ends first"
        elif event["ph"] == "X":
            assert event["dur"] >= 0
            slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "C":
            assert event["args"]
            assert all(isinstance(value, int) and value >= 0 for value in event["args"].values())
    assert not any(open_.values())
    for stretches in slices.values():
        check_nested(stretches)
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert {e["pid"] for e in events} == set(names)
    assert {"proxy", "fleet", "chaos", "autoscaler", "client users", "server 1"} <= set(names.values())
    workers = {(e["pid"], e["args"]["name"]) for e in events if e["name"] == "thread_name" and "worker" in e["args"]["name"]}  # fmt: skip
    assert all(sum(pid == one for pid, _ in workers) <= traces.fleet.app.workers for one in names)
    faults = [e for e in events if e["ph"] == "i" and e["s"] == "g"]
    assert [e["ts"] for e in faults] == [3_000_000, 6_000_000]
    begun = [e for e in events if e["ph"] == "b" and e["cat"] == "request" and e["name"].startswith("request ")]  # fmt: skip
    assert len(begun) == run.requests.num_rows


def check_nested(stretches: list[tuple[float, float]]) -> None:
    """Complete events of a thread lie within one another or apart; as written, outer ones first."""
    stack: list[tuple[float, float]] = []
    tiny = 1e-6
    for start, end in stretches:
        while stack and stack[-1][1] <= start + tiny:
            stack.pop()
        if stack:
            assert stack[-1][0] - tiny <= start <= end <= stack[-1][1] + tiny
        stack.append((start, end))


def test_counters_are_the_metrics(troubled: tuple[Run, Traces], tmp_path: Path) -> None:
    run, traces = troubled
    events = json.loads(written(traces, PERFETTO, tmp_path, 0.0))["traceEvents"]
    fleet = next(e["pid"] for e in events if e["name"] == "process_name" and e["args"]["name"] == "fleet")
    shown = {e["ts"]: e["args"] for e in events if e["ph"] == "C" and e["pid"] == fleet}
    rows = run.metrics.to_pylist()
    for time in {row["time_ns"] for row in rows}:
        serving = sum(r["time_ns"] == time and r["server"] > 0 and r["state"] == "serving" for r in rows)
        before = max(ts for ts in shown if ts <= time / 1000)
        assert shown[before].get("serving", 0) == serving


def test_lanes_are_as_few_as_overlap() -> None:
    import numpy as np

    start, end = np.array([0, 1, 2, 5, 6]), np.array([5, 3, 4, 7, 8])
    assert lanes(start, end).tolist() == [0, 1, 2, 0, 1]


def test_the_bytes_are_golden(tmp_path: Path) -> None:
    document = steady(
        rate="20/s", length="3s",
        faults=[{"name": "dies", "type": "kill", "at": "2s", "target": {"role": "app"}}],
    )  # fmt: skip
    run, made = traces_of_document(document)
    # The hash of the scenario is that of all its defaults, which grow in number.
    fingerprint = made.origin.fingerprint
    run = replace(run, lines=tuple(line.replace(fingerprint, "golden") for line in run.lines))
    traces = Traces(run, made.fleet, "rehearsal", "golden")
    found = {
        format: hashlib.blake2b(written(traces, format, tmp_path).encode(), digest_size=8).hexdigest()
        for format in FILES
    }
    assert found == GOLDEN


def test_a_directory_has_the_same_traces_as_memory(tmp_path: Path) -> None:
    document = steady(rate="200/s", length="4s")
    whole = replay(scenario(document), out=tmp_path / "run", figure=False, registry="memory", cloud="memory", trace=True)  # fmt: skip
    _, traces = traces_of_document(document)
    for format, name in FILES.items():
        assert (tmp_path / "run" / name).read_text() == written(traces, format, tmp_path)
    opened = open_traces(tmp_path / "run")
    numbers = whole.requests.column("request").to_numpy()
    assert list(opened.requests(numbers[5:700:7])) == list(traces.requests(numbers))[5:700:7]
    (tmp_path / "run" / "summary.json").unlink()
    partial = open_traces(tmp_path / "run")
    assert partial.run.partial
    assert partial.request(3) == opened.request(3)


def test_what_cannot_be_written_leaves_nothing(troubled: tuple[Run, Traces], tmp_path: Path) -> None:
    _, traces = troubled
    with pytest.raises(StorageError, match=r"no/trace\.json: cannot be written"):
        write_requests(traces, OTLP, tmp_path / "no" / "trace.json", [1])
    assert list(tmp_path.iterdir()) == []
