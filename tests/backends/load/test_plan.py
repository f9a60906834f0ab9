"""What the server sees is the plan, row for row."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windtunnel.backends.load.heads import paths
from windtunnel.backends.load.share import OpenRows, Share
from windtunnel.core.demand import body_size, choose_endpoint
from windtunnel.core.draws import ENDPOINT, THINK, draw
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.scenario import Scenario
from windtunnel.tests.backends.load.support import Seen, document, load, serving, steady
from windtunnel.tests.support import plan as planned

MIX = [
    {"path": "/", "cpu": {"constant": "1ms"}, "weight": 3},
    {"path": "/users/:id", "cpu": {"constant": "1ms"}},
    {"path": "/a b", "cpu": {"constant": "1ms"}},
    {"path": "default", "cpu": {"constant": "1ms"}, "weight": 1},
]
ASKED = {"/": "/", "/users/:id": "/users/:id", "/a b": "/a%20b", "default": "/default"}
POOLED = {"connections": {"pool": 4}}


def rows_seen(seen: list[Seen]) -> list[tuple[int, int]]:
    return [(request.planned.source, request.planned.index) for request in seen]


def test_open_rows_are_those_of_the_plan_in_order_with_their_paths_headers_and_bodies(tmp_path: Path) -> None:
    described = document(
        steady("80/s", headers="mixed", client={"connections": {"pool": 1}}),
        steady("60/s", "uploads", client={"connections": {"pool": 1}}, body={"uniform": {"min": "0B", "max": "30KiB"}}),
        endpoints=MIX,
    )  # fmt: skip
    with serving() as server:
        done = load(tmp_path, described, server.port)
    (block,) = done.plan.blocks()
    fleet = done.plan.fleet
    assert sorted(rows_seen(server.seen)) == sorted(
        zip(block["source"].tolist(), block["index"].tolist(), strict=True)
    )
    for source in (0, 1):
        # Over one connection nothing can overtake.
        mine = [request for request in server.seen if request.planned.source == source]
        indices = block["index"][block["source"] == source].tolist()
        assert [request.planned.index for request in mine] == indices
    row = {
        (s, i): (e, h)
        for s, i, e, h in zip(*(block[n].tolist() for n in ("source", "index", "endpoint", "headers")), strict=True)
    }  # fmt: skip
    for request in server.seen:
        source, index, attempt = request.planned.source, request.planned.index, request.planned.attempt
        endpoint, headers = row[source, index]
        assert attempt == 1
        assert request.path == ASKED[fleet.endpoints[endpoint].path]
        expected = dict(fleet.header_sets[headers])
        assert expected.items() <= request.headers.items()
        assert request.headers["host"] == f"127.0.0.1:{server.port}"
        ours = {"host", "windtunnel-request", "content-length"}
        assert set(request.headers) - set(expected) <= ours
        body = fleet.sources[source].body
        assert request.method == ("GET" if body is None else "POST")
        if body is not None:
            stream = fleet.sources[source].stream
            assert request.body == body_size(body.kind, body.a, body.b, stream, index)
    assert len({request.headers.get("user-agent") for request in server.seen}) == 2
    requests = np.sort(done.requests, order="request")
    assert requests["request"].tolist() == list(range(len(row)))
    assert requests["time_ns"].tolist() == block["time_ns"].tolist()
    assert requests["endpoint"].tolist() == block["endpoint"].tolist()
    assert done.outcomes() == ["ok"] * len(row)


def test_closed_clients_send_what_the_rehearsal_derives(tmp_path: Path) -> None:
    think = {"uniform": {"min": "10ms", "max": "60ms"}}
    described = document(
        {"name": "callers", "closed": {"concurrency": 3, "think": think}, "client": POOLED}, endpoints=MIX
    )
    with serving() as server:
        done = load(tmp_path, described, server.port)
    spec = done.plan.fleet.sources[0]
    requests = {int(row["index"]): row for row in done.requests}
    assert len(requests) == len(done.requests) > 6
    for client in range(3):
        mine = sorted(index for index in requests if index % 3 == client)
        assert mine == list(range(client, client + 3 * len(mine), 3))
        assert requests[client]["time_ns"] == 0
        for index in mine[1:]:
            before = requests[index - 3]
            assert spec.think is not None
            pause = spec.think.sample(draw(spec.stream, index, 0, THINK))
            assert requests[index]["time_ns"] == before["time_ns"] + before["latency_ns"] + pause
    for request in server.seen:
        index = request.planned.index
        endpoint = choose_endpoint(done.plan.mixes[0], draw(spec.stream, index, 0, ENDPOINT))
        assert requests[index]["endpoint"] == endpoint
        assert request.path == ASKED[done.plan.fleet.endpoints[endpoint].path]


def test_a_closed_source_stops_at_its_maximum(tmp_path: Path) -> None:
    described = document({"name": "callers", "closed": {"concurrency": 4, "maximum": 10}})
    with serving() as server:
        done = load(tmp_path, described, server.port)
    assert len(server.seen) == len(done.requests) == 10


SOURCES: list[dict[str, Any]] = [
    steady("200/s", "open"),
    steady("100/s", "pooled", client={"connections": {"pool": 3}}),
    {"name": "monkey", "flood": {"stages": [{"for": "1s", "rate": "300/s"}], "connections": 10}},
    {"name": "callers", "closed": {"concurrency": 7, "maximum": 23}},
    {"name": "two", "closed": {"concurrency": 5}, "client": {"connections": {"pool": 2}}},
]


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_the_parts_add_up_to_the_plan(parts: int) -> None:
    whole = planned(document(*SOURCES))
    shares = [Share(part, parts) for part in range(parts)]
    (block,) = whole.blocks()
    expected = sorted(zip(*(block[n].tolist() for n in ("time_ns", "index", "source", "endpoint", "headers")), strict=True))  # fmt: skip
    got = []
    for share in shares:
        rows = OpenRows(whole, share)
        mine = list(rows)
        assert len(mine) == rows.count
        got += mine
        for _, _, source, _, _ in mine:
            if source == 1:
                assert share.connections(whole.fleet.sources[1]) > 0
        slots = {index % 10 for _, index, source, _, _ in mine if source == 2}
        assert all(slot % parts == share.part for slot in slots)
        rows.close()
    assert sorted(got) == expected
    _, pooled, _, callers, two = whole.fleet.sources
    assert sum(share.connections(pooled) for share in shares) == 3
    assert sum(share.connections(two) for share in shares) == 2
    for spec in (callers, two):
        assert sorted(c for share in shares for c in share.clients(spec)) == list(range(spec.concurrency))
    assert sum(share.maximum(callers) for share in shares) == 23
    assert {share.maximum(two) for share in shares} <= {-1, 0}
    assert all(
        not share.clients(spec) or share.maximum(spec) != 0 for share in shares for spec in (callers, two)
    )


def test_two_parts_send_the_plan_and_number_their_rows_apart(tmp_path: Path) -> None:
    described = document(
        steady("60/s", client=POOLED), {"name": "callers", "closed": {"concurrency": 3, "maximum": 9}}
    )
    with serving() as server:
        parts = [load(tmp_path, described, server.port, part=part, parts=2) for part in (0, 1)]
    (block,) = parts[0].plan.blocks()
    open_rows = [row for row in rows_seen(server.seen) if row[0] == 0]
    assert sorted(open_rows) == [(0, index) for index in block["index"].tolist()]
    assert Counter(source for source, _ in rows_seen(server.seen))[1] == 9
    numbers = [int(row["request"]) for part in parts for row in part.requests]
    assert len(set(numbers)) == len(numbers)
    assert all(int(row["request"]) % 2 == part for part in (0, 1) for row in parts[part].requests)


def test_recorded_traffic_asks_for_its_endpoints(tmp_path: Path) -> None:
    lines = [
        f'1.2.3.4 - - [10/Oct/2020:13:55:{36 + n // 20:02d} +0000] "GET {path} HTTP/1.1" 200 5'
        for n, path in enumerate(["/", "/users/7", "/nowhere"] * 10)
    ]
    (tmp_path / "access.log").write_text("\n".join(lines) + "\n")
    described = document({"name": "log", "access_log": "access.log", "speed": 2}, endpoints=MIX, length="2s")
    with serving() as server:
        done = load(tmp_path, described, server.port)
    assert Counter(request.path for request in server.seen) == {"/": 10, "/users/:id": 10, "/default": 10}
    assert len(done.requests) == 30


def test_default_is_a_path_that_no_endpoint_has() -> None:
    taken = [{"path": path, "cpu": {"constant": "1ms"}} for path in ("/default", "/:a/:b", "/x")]
    fleet = planned(document(steady(), endpoints=taken)).fleet
    assert paths(fleet) == ["/default", "/:a/:b", "/x", "/default/default/default"]


def test_every_scenario_of_the_library_can_be_encoded() -> None:
    from windtunnel import library
    from windtunnel.backends.load.heads import Heads

    for name in library():
        fleet = compile_plan(Scenario.load(name)).fleet
        heads = Heads(fleet, "localhost:80")
        for source in range(len(fleet.sources)):
            for endpoint in range(len(fleet.endpoints)):
                head = heads.head(source, endpoint, 0, 12, 3)
                assert head.endswith(b"\r\n\r\n")
                assert f"windtunnel-request: {source}-12-3".encode() in head
