"""What the clients do with answers, silence and closed connections; what becomes of their requests."""

import itertools
import os
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from windtunnel.core.draws import (
    BACKOFF,
    REQUEST_LATENCY,
    RESPONSE_LATENCY,
    SYN_LATENCY,
    SYNACK_LATENCY,
    draw,
)
from windtunnel.core.model import SECOND
from windtunnel.core.network import link_delay
from windtunnel.core.outcomes import NAMES
from windtunnel.core.retries import backoff
from windtunnel.tests.backends.load.support import (
    END,
    OK,
    RESET,
    SILENCE,
    Answer,
    Link,
    Seen,
    document,
    load,
    serving,
    steady,
)

MILLISECOND = 1_000_000


def status(code: int, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {code} Said", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


ANSWERS: list[tuple[str, Answer, str, int]] = [
    ("ok", OK, "ok", 200),
    ("a planned status", status(500), "ok", 500),
    ("redirects are answers", status(302, "location: http://192.0.2.1/"), "ok", 302),
    ("not found", status(404), "ok", 404),
    ("not modified", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", "ok", 304),
    ("an error", status(503), "app_error", 503),
    ("a cause", status(503, "windtunnel-cause: queue_full"), "queue_full", 503),
    ("another", status(504, "Windtunnel-Cause: upstream_timeout"), "upstream_timeout", 504),
    ("bad request", status(400, "windtunnel-cause: bad_request"), "bad_request", 400),
    ("chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", 200),
    ("early hints", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, "ok", 200),
    ("closed in order while busy with it", END, "refused", 0),
    ("reset", RESET, "refused", 0),
    ("no HTTP", b"SSH-2.0-OpenSSH\r\n\r\n", "app_error", 0),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "app_error", 0),
    ("silence", SILENCE, "client_timeout", 0),
]


@pytest.mark.parametrize("pooled", [False, True], ids=["per_request", "pool"])
def test_every_outcome(tmp_path: Path, pooled: bool) -> None:
    """One request after another, each with another answer."""
    client = {"timeout": "1500ms", **({"connections": {"pool": 1}} if pooled else {})}
    endpoint = {"path": "/", "cpu": {"constant": "1ms"}, "status": 500}
    described = document(steady("16/s", client=client), length="3s", endpoints=[endpoint])
    with serving(lambda seen: ANSWERS[seen.planned.index][1]) as server:
        done = load(tmp_path, described, server.port)
    assert len(done.requests) == len(ANSWERS)
    for (name, _, outcome, code), row, said in zip(
        ANSWERS, np.sort(done.requests, order="index"), done.outcomes(), strict=True
    ):
        assert (said, row["status"]) == (outcome, code), name
    answered = np.sort(done.attempts, order="request")["answered_ns"] >= 0
    assert answered.tolist() == [row[3] != 0 for row in ANSWERS]
    if not pooled:
        assert server.accepted == len(ANSWERS)
        assert all(request.headers["connection"] == "close" for request in server.seen)


def test_an_answer_that_breaks_off_is_a_reset_upstream(tmp_path: Path) -> None:
    def half(seen: Seen) -> Answer:
        server.loop.call_later(0.05, server.transports[seen.connection].close)
        return b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"

    with serving(half) as server:
        done = load(tmp_path, document(steady("5/s")), server.port)
    assert done.outcomes() == ["upstream_reset"] * 5
    assert set(done.requests["status"]) == {200}


def test_an_answer_without_a_length_ends_with_the_connection(tmp_path: Path) -> None:
    def plain(seen: Seen) -> Answer:
        server.loop.call_later(0.05, server.transports[seen.connection].close)
        return b"HTTP/1.0 200 OK\r\n\r\nall of it"

    with serving(plain) as server:
        done = load(tmp_path, document(steady("5/s", client={"connections": {"pool": 2}})), server.port)
    assert done.outcomes() == ["ok"] * 5
    assert server.accepted == 5


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        done = load(tmp_path, document(steady("40/s", client={"connections": {"pool": 1}})), port)
    assert done.outcomes() == ["refused"] * 40
    assert (done.attempts["answered_ns"] == -1).all()


def test_connections_that_are_closed_after_an_answer_are_not_used(tmp_path: Path) -> None:
    def answer(seen: Seen) -> Answer:
        server.loop.call_soon(server.transports[seen.connection].close)
        return OK

    with serving(answer) as server:
        done = load(tmp_path, document(steady("10/s", client={"connections": {"pool": 1}})), server.port)
    # A request that waited for its turn may be sent just as the connection closes.
    counted = Counter(done.outcomes())
    assert counted["ok"] == server.accepted == len(server.seen) >= 5
    assert counted["ok"] + counted["evicted"] == 10


def test_a_connection_closed_before_the_request_arrives_is_an_eviction(tmp_path: Path) -> None:
    """Over a link of 400 ms the proxy closes while the second request is on its way."""
    described = document(
        steady("2/s", client={"connections": {"pool": 1}}),
        fleet={"network": {"client": {"latency": "400ms"}}},
    )

    def answer(seen: Seen) -> Answer:
        # The answer is at the client after 400 ms; the second request has waited for it, and would be here after another 400 ms.
        server.loop.call_later(0.45, server.transports[seen.connection].close)
        return OK

    with serving(answer) as server:
        done = load(tmp_path, described, server.port)
    assert done.outcomes() == ["ok", "evicted"]
    assert [request.planned.index for request in server.seen] == [0]


def test_who_waits_for_a_connection_waits_in_order(tmp_path: Path) -> None:
    with serving(lambda seen: (0.03, OK)) as server:
        done = load(tmp_path, document(steady("100/s", client={"connections": {"pool": 2}})), server.port)
    assert server.accepted == 2
    order = [request.planned.index for request in server.seen]
    assert order == sorted(order)
    late = np.sort(done.requests, order="index")["latency_ns"]
    assert late[-1] > 300 * MILLISECOND, "100/s over 2 connections of 33/s each: who waits is measured too"


def test_the_connection_used_last_is_used_next(tmp_path: Path) -> None:
    stages = [{"for": "100ms", "rate": "40/s"}, {"for": "1900ms", "rate": "4/s"}]
    described = document(
        {"name": "users", "stages": stages, "arrivals": "constant", "client": {"connections": {"pool": 9}}},
        length="2s",
    )
    # The first few are under way at once; the second of them is answered last.
    delays = {0: 0.2, 1: 0.35, 2: 0.2, 3: 0.2}
    with serving(lambda seen: (delays.get(seen.planned.index, 0.0), OK)) as server:
        load(tmp_path, described, server.port)
    assert server.accepted >= 4
    later = [request.connection for request in server.seen if request.planned.index > 5]
    assert len(later) >= 5
    # In turn they would change each time. Two at once, after a pause of the machine, may change it.
    assert sum(one != other for one, other in itertools.pairwise(later)) <= 2


def test_retries_come_at_the_drawn_times(tmp_path: Path) -> None:
    retries = {"attempts": 3, "backoff": "40ms", "jitter": "50%"}
    described = document(steady("10/s", client={"retries": retries, "connections": {"pool": 10}}))

    def third_time(seen: Seen) -> Answer:
        return OK if seen.planned.attempt == 3 else status(503, "windtunnel-cause: shed")

    with serving(third_time) as server:
        done = load(tmp_path, described, server.port)
    assert done.outcomes() == ["ok"] * 10
    assert set(done.requests["attempts"]) == {3}
    stream = done.plan.fleet.sources[0].stream
    index = {int(row["request"]): int(row["index"]) for row in done.requests}
    waits, lateness = [], []
    for request, rows in itertools.groupby(
        np.sort(done.attempts, order=["request", "attempt"]), lambda r: int(r["request"])
    ):
        tried = list(rows)
        assert [NAMES[row["outcome"]] for row in tried] == ["shed", "shed", "ok"]
        for before, after in itertools.pairwise(tried):
            number = int(before["attempt"])
            wait = backoff(40 * MILLISECOND, 0.5, number, draw(stream, index[request], number, BACKOFF))
            waits.append(wait)
            lateness.append(int(after["start_ns"] - before["end_ns"]) - wait)
    assert len(set(waits)) == 20
    assert min(lateness) >= 0
    assert min(lateness) < 20 * MILLISECOND, "later than drawn, each of them"
    numbers = Counter(request.planned.attempt for request in server.seen)
    assert numbers == {1: 10, 2: 10, 3: 10}


def test_a_bad_request_is_not_tried_again(tmp_path: Path) -> None:
    client = {"retries": {"attempts": 5, "backoff": "1ms"}}
    with serving(lambda seen: status(400, "windtunnel-cause: bad_request")) as server:
        done = load(tmp_path, document(steady("10/s", client=client)), server.port)
    assert done.outcomes() == ["bad_request"] * 10 == ["bad_request"] * len(server.seen)


def test_a_timeout_closes_the_connection_and_the_next_in_line_opens_another(tmp_path: Path) -> None:
    """The second request is due a second after the first, which gives up half a second later; then it has a second."""
    client = {"timeout": "1500ms", "connections": {"pool": 1}}
    described = document(steady("1/s", length="2s", client=client), length="2s")
    with serving(lambda seen: SILENCE if seen.planned.index == 0 else OK) as server:
        done = load(tmp_path, described, server.port)
    assert done.outcomes() == ["client_timeout", "ok"]
    first, second = np.sort(done.requests, order="index")
    assert first["latency_ns"] >= 1500 * MILLISECOND
    assert second["latency_ns"] >= 500 * MILLISECOND
    assert [request.connection for request in server.seen] == [1, 2]
    assert server.accepted == 2


def test_no_coordinated_omission(tmp_path: Path) -> None:
    """A server that stalls for a second shows it in every row that was due meanwhile."""

    def answer(seen: Seen) -> Answer:
        if seen.planned.index == 50:
            server.stall(1.0)
        return OK

    described = document(steady("100/s", length="2s", client={"connections": {"pool": 4}}), length="2s")
    with serving(answer) as server:
        done = load(tmp_path, described, server.port)
    rows = np.sort(done.requests, order="index")
    stalled_at = rows["time_ns"][50]
    # Those that were sent together with it may have been answered before.
    for row in rows[58:140]:
        left = stalled_at + SECOND - row["time_ns"]
        assert row["latency_ns"] >= left
    assert np.median(rows["latency_ns"][60:140]) > 400 * MILLISECOND


def test_the_proxys_times_server_and_tries(tmp_path: Path) -> None:
    def answer(seen: Seen) -> Answer:
        at = link.start + seen.planned.index * 1000
        return status(200, f"windtunnel-times: {at + 1}-{at + 2}-{at + 3}-{at + 4}-x-{at + 6}-17-2")

    link = Link()
    with serving(answer) as server:
        done = load(tmp_path, document(steady("5/s")), server.port, link)
    names = [
        "proxy_ns",
        "routed_ns",
        "arrived_ns",
        "started_ns",
        "cpu_done_ns",
        "served_ns",
        "server",
        "tries",
    ]
    for index, row in enumerate(np.sort(done.attempts, order="request")):
        at = index * 1000
        assert [int(row[name]) for name in names] == [at + 1, at + 2, at + 3, at + 4, -1, at + 6, 17, 2]
        assert row["end_ns"] == row["answered_ns"] >= row["start_ns"] >= 0
    assert set(done.requests["server"]) == {17}


def test_the_scenarios_latency_is_added(tmp_path: Path) -> None:
    network = {"client": {"latency": "40ms", "jitter": "20ms"}}
    described = document(steady("20/s"), fleet={"network": network})
    with serving() as server:
        done = load(tmp_path, described, server.port)
    stream = done.plan.fleet.sources[0].stream
    arrived = {request.planned.index: request.time - done.zero for request in server.seen}
    late = []
    for row in done.requests:
        index = int(row["index"])
        way = [
            link_delay(40 * MILLISECOND, 20 * MILLISECOND, stream, index, 1, purpose)
            for purpose in (SYN_LATENCY, SYNACK_LATENCY, REQUEST_LATENCY, RESPONSE_LATENCY)
        ]
        assert arrived[index] >= row["time_ns"] + sum(way[:3])
        late.append(int(row["latency_ns"]) - sum(way))
    assert min(late) >= 0
    assert min(late) < 20 * MILLISECOND, "later than drawn, each of them"
    assert done.outcomes() == ["ok"] * 20


def test_what_has_no_answer_at_the_end_is_unfinished(tmp_path: Path) -> None:
    """Without a timeout a run drains for 30 s; a stop ends it at once."""

    def soon(link: Link) -> None:
        threading.Timer(1.5, link.stop).start()

    began = time.monotonic()
    with serving(lambda seen: SILENCE if seen.planned.index % 2 else OK) as server:
        done = load(tmp_path, document(steady("20/s")), server.port, Link(at_start=soon))
    assert time.monotonic() - began < 25
    assert done.outcomes() == ["ok", "unfinished"] * 10
    unfinished = done.requests[done.requests["status"] == 0]
    assert (unfinished["time_ns"] + unfinished["latency_ns"] > SECOND).all()
    said = done.link.status_line("done")
    assert (said["offered"], said["completed"], said["failed"]) == (20, 20, 10)


def test_the_run_drains_for_the_longest_timeout_only(tmp_path: Path) -> None:
    client = {"timeout": "1s", "retries": {"attempts": 9, "backoff": "10s"}}
    with serving(lambda seen: SILENCE) as server:
        done = load(tmp_path, document(steady("4/s", client=client)), server.port)
    assert done.outcomes() == ["unfinished"] * 4
    assert len(done.attempts) == 4
    ended = done.requests["time_ns"] + done.requests["latency_ns"]
    assert (ended >= 2 * SECOND).all()
    assert (ended < 10 * SECOND).all(), "and not for the retries"


def test_a_stop_before_the_start(tmp_path: Path) -> None:
    link = Link(ahead=60 * SECOND, at_start=lambda link: link.stop())
    with serving() as server:
        done = load(tmp_path, document(steady()), server.port, link)
    assert len(done.requests) == 0 == len(server.seen)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are listed on Linux only")
def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Whether the far end closes, holds on or never answers."""
    retries = {"attempts": 1, "backoff": "10ms"}
    described = document(
        steady("40/s"),
        steady("40/s", "kept", client={"connections": {"pool": 3}, "timeout": "100ms", "retries": retries}),
        {"name": "monkey", "flood": {"stages": [{"for": "1s", "rate": "40/s"}], "connections": 7}},
    )  # fmt: skip
    answers: list[Answer] = [OK, SILENCE, END, RESET, (0.05, OK)]
    link = Link(at_start=lambda link: threading.Timer(2.0, link.stop).start())
    with serving(lambda seen: answers[seen.planned.index % 5]) as server:
        before = set(os.listdir("/proc/self/fd"))
        done = load(tmp_path, described, server.port, link)
        deadline = time.monotonic() + 10
        while server.transports and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not server.transports, "every connection was closed"
        assert set(os.listdir("/proc/self/fd")) <= before
    assert len(done.requests) > 100


def test_it_says_how_it_goes(tmp_path: Path) -> None:
    with serving(lambda seen: OK if seen.planned.index % 4 else status(503)) as server:
        done = load(tmp_path, document(steady("100/s")), server.port)
    assert done.link.said[0]["status"] == "up"
    assert done.link.said[0]["rows"] == 100
    second = next(line for line in done.link.said if line["status"] == "load")
    assert 0 < second["completed"] <= second["offered"] <= 100
    assert second["in_flight"] == second["offered"] - second["completed"]
    assert second["p99_ns"] > 0
    said = done.link.status_line("done")
    assert (said["offered"], said["completed"], said["failed"], said["sends"]) == (100, 100, 25, 100)
    assert 0 <= said["late_p50_ns"] <= said["late_p99_ns"] <= said["late_max_ns"]
    lateness = done.attempts["start_ns"] - done.requests["time_ns"]
    assert lateness.min() >= 0
    assert said["late_max_ns"] == lateness.max()
    assert said["late_share"] == pytest.approx((lateness > 2 * MILLISECOND).mean(), abs=0.05)
