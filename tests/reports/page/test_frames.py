"""Frames: what a second says, that seconds one by one say the same as all at once, and that nothing is lost on the way into the page."""

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from windtunnel.core.model import SECOND
from windtunnel.core.outcomes import NAMES
from windtunnel.core.slo import percentile
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.page.documents import begun, recorded, whole_frame
from windtunnel.reports.page.frames import Seconds, as_json, by_name, frame, grouped_percentiles
from windtunnel.reports.page.merging import COUNTS, merged, width_for
from windtunnel.reports.page.model import CLASSES, EDGE, FLEET, NONE, OWN, SERVER
from windtunnel.reports.page.packing import packed, varints
from windtunnel.reports.tables import codes, numbers
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.support import run as run_document
from windtunnel.tests.support import scenario

DOCUMENT: dict[str, Any] = {
    "duration": "14s",
    "fleet": {
        "app": {"initial": 3, "workers": 2, "memory": {"total": "64MiB", "base": "8MiB", "per_request": "1MiB"}},
        "proxy": {"retries": {"attempts": 1}},
    },
    "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "12ms"}}}, {"path": "/no", "cpu": {"constant": "1ms"}, "status": 404}],
    "traffic": [{"name": "users", "stages": [{"for": "14s", "rate": "120/s"}], "client": {"timeout": "1s"}}],
    "faults": [
        {"name": "dies", "type": "kill", "at": "5s"},
        {"name": "wrong", "type": "error", "at": "7s", "for": "3s", "toxicity": "50%", "target": {"role": "app", "count": 3}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return Evidence.of(run_document(DOCUMENT), compile_plan(scenario(DOCUMENT)).fleet)


def rows_of(evidence: Evidence) -> Seconds:
    table = evidence.run.attempts
    attempts = {name: numbers(table, name) for name in ("arrived_ns", "served_ns", "end_ns", "server")}
    attempts["outcome"] = codes(table, "outcome", NAMES)
    return Seconds(evidence.metrics, evidence.requests, attempts, evidence.events)


def test_custom_metrics_are_columns_of_their_servers_and_delays_of_the_proxy_the_fleets() -> None:
    """Live rows, second by second, say the same as all of a run at once."""
    document = dict(DOCUMENT)
    document["fleet"] = {
        **DOCUMENT["fleet"],
        "app": {**DOCUMENT["fleet"]["app"], "metrics": {"strain": {"per_in_flight": 1.5}}},
    }
    found = Evidence.of(run_document(document), compile_plan(scenario(document)).fleet)
    whole = whole_frame(found)
    rows = [
        [row["time_ns"], row["server"], row["name"], row["value"]]
        for row in found.run.measurements.to_pylist()
    ]
    assert rows
    for time, server, name, value in rows:
        assert whole["servers"][str(server)][OWN + name][time // SECOND - 1] == round(value * 1000)
    rows += [
        [3 * SECOND, 0, "event_loop_lag", 0.0125],
        [4 * SECOND, 2, "strain", -0.001],
        [5 * SECOND, 2, "strain", float("nan")],
    ]
    told = frame(
        found.fleet,
        Seconds(found.metrics, found.requests, rows_of(found).attempts, (), by_name(rows[-3:])),
        0,
        5,
    )
    assert as_json(told)["fleet"]["event_loop_lag"] == [NONE, NONE, 12500, NONE, NONE]
    assert as_json(told)["servers"]["2"][OWN + "strain"] == [NONE, NONE, NONE, 0, NONE]


def test_all_requests_are_in_the_frame_and_the_figures_are_those_of_their_second(evidence: Evidence) -> None:
    found = whole_frame(evidence)["fleet"]
    assert tuple(found) == tuple(FLEET)
    outcomes = evidence.summary["outcomes"]
    ended = sum(outcomes.values()) - outcomes.get("unfinished", 0)
    assert sum(int(found[f"status_{name}"].sum()) for name in CLASSES) == ended
    assert int(found["errors"].sum()) == ended - outcomes["ok"] > 0
    requests = evidence.requests
    second = (requests["time_ns"] + requests["latency_ns"]) // SECOND
    for number in range(evidence.seconds):
        answered = np.sort(requests["latency_ns"][(second == number) & (requests["outcome"] == 1)])
        assert found["p95"][number] == (percentile(answered, 0.95) // 1000 if len(answered) else NONE)
    assert found["status_4xx"].sum() == (requests["status"] == 404).sum() > 0


def test_servers_and_edges(evidence: Evidence) -> None:
    found = whole_frame(evidence)
    assert set(found["servers"]) == {"1", "2", "3"}
    assert set(found["edges"]) == {"clients>proxy", *(f"proxy>server-{number}" for number in (1, 2, 3))}
    assert all(tuple(columns) == tuple(SERVER) for columns in found["servers"].values())
    assert all(tuple(columns) == tuple(EDGE) for columns in found["edges"].values())
    dead = next(event["targets"][0] for event in evidence.events if event.get("name") == "dies")
    state = found["servers"][str(dead)]["state"]
    # It died at 5 s, when the second before was sampled; the last second of a run is not.
    assert (state[:4] == 2).all()
    assert (state[5:-1] == 6).all()
    # A share of its 64 MiB, in thousandths.
    assert 125 <= found["servers"]["1"]["memory"][0] <= 1000
    attempts = evidence.run.attempts
    sent = numbers(attempts, "server") > 0
    ended = sum(columns["ended"].sum() for key, columns in found["edges"].items() if key != "clients>proxy")
    assert ended == sent.sum()


def test_second_by_second_is_the_same_as_all_at_once(evidence: Evidence) -> None:
    whole, rows = whole_frame(evidence), rows_of(evidence)
    for second in range(evidence.seconds):
        one = as_json(frame(evidence.fleet, rows, second, 1))
        json.dumps(one)
        assert one["fleet"] == {name: [int(values[second])] for name, values in whole["fleet"].items()}
        for group in ("servers", "edges"):
            for key, columns in one[group].items():
                assert columns == {name: [int(values[second])] for name, values in whole[group][key].items()}


def test_structured_rows_do_as_well(evidence: Evidence) -> None:
    from windtunnel.core.columns import METRIC_ROW

    rows = rows_of(evidence)
    block = np.zeros(len(evidence.metrics["server"]), METRIC_ROW)
    for name in METRIC_ROW.names or ():
        block[name] = evidence.metrics[name]
    told = Seconds(block, rows.requests, rows.attempts)
    assert (
        frame(evidence.fleet, told, 3, 1)["servers"]["1"]["requests"]
        == whole_frame(evidence)["servers"]["1"]["requests"][3]
    )


def test_fewer_points_keep_sums_and_extremes(evidence: Evidence) -> None:
    whole = whole_frame(evidence)
    found = merged(whole, 4)
    assert found["points"] == -(-whole["points"] // 4)
    for name, values in whole["fleet"].items():
        if name in COUNTS:
            assert found["fleet"][name].sum() == values[values != NONE].sum()
        first = values[:4][values[:4] != NONE]
        if not len(first):
            assert set(values.tolist()) == {NONE}
            continue
        assert found["fleet"][f"{name}.low"][0] == first.min()
        assert found["fleet"][f"{name}.high"][0] == first.max()
    assert found["servers"]["1"]["state"][0] == whole["servers"]["1"]["state"][3]
    assert "state.low" not in found["servers"]["1"]


@pytest.mark.parametrize(("seconds", "columns", "width"), [(10, 30, 1), (3602, 2040, 1), (7200, 40, 2), (86400, 40, 24), (3600, 9000, 13)])  # fmt: skip
def test_how_long_a_point_is(seconds: int, columns: int, width: int) -> None:
    assert width_for(seconds, columns) == width


def unpacked(text: str) -> tuple[dict[str, Any], list[list[int]]]:
    """What web/decode.js does."""
    raw = zlib.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<I", raw[:4])
    head, body = json.loads(raw[4 : 4 + length]), raw[4 + length :]
    place, columns = 0, []
    one = head["frame"]
    groups = [one["fleet"], *one["servers"].values(), *one["edges"].values()]
    for _ in range(sum(len(names) for names in groups)):
        value, values = 0, []
        for _ in range(one["points"]):
            step, shift = 0, 0
            while True:
                byte = body[place]
                place += 1
                step |= (byte & 127) << shift
                shift += 7
                if not byte & 128:
                    break
            value += -(step + 1) // 2 if step % 2 else step // 2
            values.append(value)
        columns.append(values)
    assert place == len(body)
    return head, columns


def test_what_is_packed_comes_out_again(evidence: Evidence) -> None:
    document = recorded(evidence)
    head, columns = unpacked(packed(document))
    one = document["frame"]
    groups = [one["fleet"], *one["servers"].values(), *one["edges"].values()]
    assert columns == [np.asarray(values).tolist() for group in groups for values in group.values()]
    assert head["nodes"] == document["nodes"]
    assert {node["id"] for node in head["nodes"]} >= {"clients", "proxy", "server-1", "registry"}
    assert [mark["name"] for mark in head["frame"]["marks"] if mark["kind"] == "fault"] == [
        "dies",
        "wrong",
        "wrong",
    ]


def test_varints_of_any_size() -> None:
    values = np.array([0, -1, 63, -64, 64, 2**31, -(2**31), 2**52, 0, 0], dtype=np.int64)
    assert varints(values[:3]) == bytes([0, 1, 0x80, 0x01])
    assert len(varints(np.zeros(0, dtype=np.int64))) == 0
    text = packed(
        {
            **begun(compile_plan(scenario(DOCUMENT)).fleet),
            "frame": {
                "first": 0,
                "width": 1,
                "points": 10,
                "fleet": {"x": values},
                "servers": {},
                "edges": {},
                "marks": [],
            },
        }
    )
    assert unpacked(text)[1] == [values.tolist()]


def test_percentiles_by_group_are_those_of_each() -> None:
    group = np.arange(1000) * 7 % 11
    value = (np.arange(1000) * 7919) % 1013
    found = grouped_percentiles(group, value, 12, (0.5, 0.99))
    for place, share in enumerate((0.5, 0.99)):
        assert found[place][:11].tolist() == [
            percentile(np.sort(value[group == n]), share) for n in range(11)
        ]
        assert found[place][11] == NONE
