"""Lines that a program writes: JSON of the usual loggers, and whatever else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.backends.app.program_log import read_line

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
IDS = {"trace_id": TRACE, "span_id": SPAN}


@pytest.mark.parametrize(
    ("line", "level", "message", "fields"),
    [
        ({"message": "m", "level": "INFO", **IDS}, "info", "m", IDS),
        ({"event": "m", "level": "warn", "traceId": TRACE, "spanId": SPAN}, "warning", "m", IDS),
        ({"msg": "m", "level": 50, "time": 1, "trace_id": TRACE.upper()}, "error", "m", {"trace_id": TRACE, "fields": {"time": 1}}),
        ({"message": "m", "levelname": "CRITICAL", "otelTraceID": TRACE, "otelSpanID": SPAN}, "error", "m", IDS),
        ({"message": "m", "log.level": "debug", "trace.id": TRACE, "span.id": SPAN}, "debug", "m", IDS),
        ({"message": "m", "traceparent": f"00-{TRACE}-{SPAN}-01"}, "info", "m", IDS),
        ({"message": "m", "trace_id": "0" * 32, "span_id": SPAN}, "info", "m", {}),
        ({"message": "m", "trace_id": 7}, "info", "m", {}),
        ({"user": "x"}, "info", '{"user": "x"}', {"fields": {"user": "x"}}),
    ],
)  # fmt: skip
def test_json_of_the_usual_loggers(
    line: dict[str, Any], level: str, message: str, fields: dict[str, Any]
) -> None:
    assert read_line(json.dumps(line)) == (level, message, fields)


@pytest.mark.parametrize("text", ["", "plain", "{not json", "[1, 2]", '"text"', "{" * 5000, '{"a": 1'])
def test_anything_else_is_a_message(text: str) -> None:
    assert read_line(text) == ("info", text, {})


@given(st.dictionaries(st.sampled_from(["message", "msg", "level", "trace_id", "span_id", "traceparent", "x"]),
                       st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40), lambda inner: st.lists(inner, max_size=2), max_leaves=3)))  # fmt: skip
def test_no_line_is_too_odd(line: dict[str, Any]) -> None:
    read = read_line(json.dumps(line))
    assert read.level in ("debug", "info", "warning", "error")
    assert isinstance(read.message, str)
    assert len(read.fields.get("trace_id", TRACE)) == 32
