"""Lines of logs inside traces: of the span that they name, or of the first; what is damaged is left out."""

import json
from pathlib import Path

from windtunnel.reports.trace.logs import LEVEL, LOG, MESSAGE, read_logs, with_logs
from windtunnel.reports.trace.spans import Trace
from windtunnel.reports.trace.waterfall import waterfall
from windtunnel.tests.reports.trace.fleets import TROUBLED, traces_of_document


def test_lines_are_notes_of_their_spans(tmp_path: Path) -> None:
    _, traces = traces_of_document(TROUBLED)
    trace = traces.request(100)
    assert trace is not None
    root, last = trace.root, trace.spans[-1]
    logs = tmp_path / "logs"
    logs.mkdir()
    ids = {"trace_id": root.trace}
    written = [
        {"t": last.start + 50, "level": "info", "message": "there", **ids, "span_id": last.id, "fields": {"user": 7, "more": [1]}},
        {"t": root.start + 51, "level": "error", "message": "unknown span", **ids, "span_id": "f" * 16},
        {"t": root.start + 50, "level": "info", "message": "no span", "from": "application", **ids},
        {"t": 1, "level": "info", "message": "another", "trace_id": "0" * 31 + "1"},
        {"t": 1, "level": "info", "message": "none"},
    ]  # fmt: skip
    (logs / "app-1.jsonl").write_text(
        "\n".join(json.dumps(line) for line in written[:2]) + '\n{"trace_id": "'
    )
    (logs / "proxy.jsonl").write_text(
        "\n".join(json.dumps(line) for line in written[2:]) + '\n{"trace_id"}\n[]'
    )
    (logs / "old.log").write_text(json.dumps(written[0]))
    lines = read_logs(tmp_path, 50)
    found = with_logs(trace, lines)
    assert [(note.attributes[MESSAGE], note.time) for note in found.root.notes] == [
        ("no span", root.start), ("unknown span", root.start + 1),
    ]  # fmt: skip
    (note,) = found.spans[-1].notes
    assert (note.name, note.time, note.attributes["log.user"], note.attributes["log.more"]) == (LOG, last.start, 7, "[1]")  # fmt: skip
    assert sum(len(span.notes) for span in found.spans) == 3
    assert with_logs(Trace(trace.spans), {}).spans == trace.spans

    chart = waterfall(found, ())
    labels = [line.label for line in chart.lines]
    assert labels[1:3] == ["application: no span", "unknown span"]
    assert [line.failed for line in chart.lines[1:3]] == [False, True]
    assert len(labels) == len(trace.spans) + 3
    assert LEVEL in found.root.notes[0].attributes
    assert read_logs(None, 0) == {}
