"""The chaos monkey: hundreds of connections whose answers are never read."""

import socket
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from windtunnel.core.model import SECOND
from windtunnel.tests.backends.load.support import (
    OK,
    SILENCE,
    Answer,
    Link,
    Seen,
    document,
    load,
    serving,
    steady,
)


def monkey(rate: str, connections: int, **more: object) -> dict[str, object]:
    return {
        "name": "monkey",
        "flood": {"stages": [{"for": "1s", "rate": rate}], "connections": connections},
        **more,
    }


def test_answers_are_noticed_but_stay_unread(tmp_path: Path) -> None:
    """300 connections, three requests over each, in turn; users beside them are served."""
    described = document(monkey("900/s", 300), steady("50/s"), length="2s")
    with serving() as server:
        done = load(tmp_path, described, server.port)
    rows = done.requests[done.requests["source"] == 0]
    assert Counter(done.outcomes()) == {"unread": len(rows), "ok": 50}
    assert len(rows) > 700
    seen = [request for request in server.seen if request.planned.source == 0]
    assert len({request.connection for request in seen}) == 300
    of_slot = {request.planned.index % 300: request.connection for request in seen}
    for request in seen:
        assert of_slot[request.planned.index % 300] == request.connection
        assert request.nth == request.planned.index // 300 + 1
    assert set(rows["status"]) == {200}
    assert np.median(rows["latency_ns"]) < SECOND
    told = done.link.status_line("done")
    assert told["failed"] == 0
    assert told["cpu_ns"] < 2 * SECOND


def test_requests_follow_one_another_without_waiting(tmp_path: Path) -> None:
    """One answer of three is missing: what comes behind it is never told apart from it, but all requests were sent."""

    def answer(seen: Seen) -> Answer:
        return OK if seen.nth == 1 else SILENCE

    stop = Link(at_start=lambda link: threading.Timer(1.6, link.stop).start())
    with serving(answer) as server:
        done = load(tmp_path, document(monkey("60/s", 20)), server.port, stop)
    assert len(server.seen) == len(done.requests) > 40
    first = {int(row["request"]) for row in done.requests if row["index"] < 20}
    for row in done.requests:
        assert row["outcome"] == (13 if int(row["request"]) in first else 14)


def test_large_answers_stall_and_count_when_their_head_is_there(tmp_path: Path) -> None:
    size = 30_000_000
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size)
    with serving(lambda seen: large) as server:
        done = load(tmp_path, document(monkey("5/s", 5)), server.port)
    assert set(done.outcomes()) == {"unread"}


def test_errors_are_not_unread(tmp_path: Path) -> None:
    shed = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nwindtunnel-cause: shed\r\n\r\n"
    chunked = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"5\r\nabcde\r\n" * 300 + b"0\r\n\r\n"
    )
    with serving(lambda seen: shed if seen.nth % 2 else chunked) as server:
        done = load(tmp_path, document(monkey("40/s", 10)), server.port)
    by_turn = {int(row["index"]) // 10 % 2: int(row["outcome"]) for row in done.requests}
    assert by_turn == {0: 5, 1: 13}
    assert Counter(done.outcomes()).keys() == {"shed", "unread"}


def test_an_evicted_connection_is_noticed_and_opened_again(tmp_path: Path) -> None:
    """The proxy closes each connection 50 ms after its first request; it answers every second connection."""

    def answer(seen: Seen) -> Answer:
        server.loop.call_later(0.05, server.transports[seen.connection].close)
        return OK if seen.connection % 2 else SILENCE

    with serving(answer) as server:
        done = load(tmp_path, document(monkey("40/s", 4)), server.port)
    counted = Counter(done.outcomes())
    assert counted.keys() == {"unread", "evicted"}
    assert min(counted.values()) >= 4
    assert server.accepted > 8
    gone = done.requests[done.requests["outcome"] == 12]
    assert (gone["latency_ns"] > 0).all()


def test_a_refused_flood(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        done = load(tmp_path, document(monkey("40/s", 4)), held.getsockname()[1])
    assert set(done.outcomes()) == {"refused"}


def test_unread_connections_cost_no_cpu(tmp_path: Path) -> None:
    """What lies unread must not wake the generator again and again."""
    described = document(monkey("400/s", 200), length="3s")
    with serving() as server:
        began = time.thread_time()
        done = load(tmp_path, described, server.port)
        spent = time.thread_time() - began
    assert len(done.requests) > 300
    assert spent < 1.5, "of three seconds, two of them idle"
