"""The generator's parts by themselves: targets, answers, frames, ends of connections, quantiles."""

import errno
import itertools
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.backends.load.answers import AnswerReader, BadAnswer
from windtunnel.backends.load.channel import Channel
from windtunnel.backends.load.figures import Histogram
from windtunnel.backends.load.frames import FrameReader, FrameWriter, pack_attempt, pack_request
from windtunnel.backends.load.heads import Heads
from windtunnel.backends.load.losses import ENDED, cause_of_loss, reset_means_evicted
from windtunnel.backends.load.targets import check_target
from windtunnel.backends.load.waiting import SelectorWaiter, waiter
from windtunnel.core.admission import CRASH, EVICT, REFUSE
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW
from windtunnel.core.errors import UsageError
from windtunnel.core.model import Memory, ProxySpec
from windtunnel.core.outcomes import NAMES
from windtunnel.tests.backends.load.support import document, load, serving, steady
from windtunnel.tests.support import plan as planned

# Targets.


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    target = check_target(host, 8080)
    assert target.address[1] == 8080
    assert target.authority == (f"[{host}]:8080" if ":" in host else f"{host}:8080")


@pytest.mark.parametrize("host", ["192.0.2.7", "0.0.0.0", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7"])
def test_other_targets_are_refused_unless_they_are_named(host: str) -> None:
    with pytest.raises(UsageError, match="expected a target on loopback"):
        check_target(host, 80)
    with pytest.raises(UsageError, match="expected a target on loopback"):
        check_target(host, 80, ("192.0.2.8", "localhost"))
    assert check_target(host, 80, (host,)).address[0] == host


def test_one_address_among_several_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **more: object) -> list[object]:
        addresses = {"mixed": ["127.0.0.1", "192.0.2.7"], "named": ["192.0.2.7"]}[host]
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    with pytest.raises(UsageError, match=r"192\.0\.2\.7"):
        check_target("mixed", 80)
    assert check_target("mixed", 80, ("named",)).address == ("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 80), ("127.0.0.1", 0), ("127.0.0.1", 70_000)]
)
def test_targets_that_are_none(host: str, port: int) -> None:
    with pytest.raises(UsageError, match="expected a"):
        check_target(host, port)


def test_nothing_is_sent_to_a_target_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "_open", lambda self: pytest.fail("a connection was opened"))
    with serving() as server:
        with pytest.raises(UsageError, match="loopback"):
            load(tmp_path, document(steady()), server.port, host="192.0.2.7")
        assert server.accepted == 0


# Answers.

GOOD_ANSWERS = b"".join([
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1A\r\n" + b"b" * 26 + b"\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nwindtunnel-times: 1-2-3-4-5-6-7-8\r\n\r\n",
    b"HTTP/1.0 304 Not Modified\r\ncontent-length: 77\r\nconnection: Keep-Alive\r\n\r\n",
    b"HTTP/1.1 503 \r\ncontent-length: 0\r\nWindTunnel-Cause:  shed \r\nConnection: close\r\n\r\n",
])  # fmt: skip


@given(cuts=st.lists(st.integers(0, len(GOOD_ANSWERS)), max_size=12))
def test_answers_are_the_same_in_pieces_of_any_size(cuts: list[int]) -> None:
    reader = AnswerReader()
    places = [0, *sorted(cuts), len(GOOD_ANSWERS)]
    for begin, end in itertools.pairwise(places):
        reader.feed(GOOD_ANSWERS[begin:end])
    assert [head.status for head in reader.heads] == [200, 404, 204, 304, 503]
    assert reader.complete == 5
    assert reader.fresh
    assert [head.closes for head in reader.heads] == [False, False, False, False, True]
    assert reader.heads[2].stations() == (1, 2, 3, 4, 5, 6, 7, 8)
    assert [NAMES[head.outcome(200)] for head in reader.heads] == ["ok", "ok", "ok", "ok", "shed"]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\nb: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    ],
)
def test_what_is_no_answer(raw: bytes) -> None:
    with pytest.raises(BadAnswer, match="expected"):
        AnswerReader().feed(raw)


@pytest.mark.parametrize(
    "times", ["", "1-2-3", "1-2-3-4-5-6-7-x", "1-2-3-4-5-6-7-+8", "9" * 300, "1-2-3-4-5-6-7-é"]
)
def test_times_may_hold_anything(times: str) -> None:
    reader = AnswerReader()
    reader.feed(f"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nwindtunnel-times: {times}\r\n\r\n".encode())
    expected = (1, 2, 3, 4, 5, 6, 7, -1) if times.endswith("x") else None
    assert reader.heads[0].stations() == expected


def test_framing_is_never_taken_from_a_header_set(tmp_path: Path) -> None:
    entries = '[{"url": "/", "requestsPerSecond": 5, "maxSeconds": 1, "headers": {"Content-Length": "9", "Host": "other", "X": "1", "Expect": "100-continue"}}]'
    (tmp_path / "load.json").write_text(entries)
    with serving() as server:
        load(tmp_path, document({"name": "file", "loadtest": "load.json"}), server.port)
    assert server.seen
    for request in server.seen:
        assert set(request.headers) == {"host", "x", "connection", "windtunnel-request"}
        assert request.headers["host"] == "other"


def test_a_header_that_cannot_be_sent_is_refused() -> None:
    from dataclasses import replace

    fleet = planned(document(steady())).fleet
    for name, value in (("x", "a\r\nb: c"), ("a b", "c"), ("", "c"), ("x:", "c")):
        with pytest.raises(UsageError, match="expected a header"):
            Heads(replace(fleet, header_sets=(((name, value),),)), "localhost")


# Frames.


def rows(number: int) -> tuple[bytes, bytes]:
    attempts = b"".join(pack_attempt(number, n, *range(9), 1, 200, 3, 1, 5) for n in range(1, number % 3 + 2))
    return pack_request(number, 1, number * 7, 2, 10**15, 55, 1, 200, number % 3 + 1, 3), attempts


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_rows_come_back_from_frames_in_pieces_of_any_size(piece: int, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with path.open("wb") as stream:
        writer = FrameWriter(stream.fileno())
        for number in range(50):
            writer.add(*rows(number))
            if number % 20 == 0:
                writer.hand_over()
        writer.finish()
    reader, frames = FrameReader(), []
    data = path.read_bytes()
    for begin in range(0, len(data), piece):
        frames += reader.feed(data[begin : begin + piece])
    assert reader.pending == 0
    assert [len(requests) for requests, _ in frames] == [1, 20, 20, 9]
    requests = np.concatenate([frame[0] for frame in frames])
    attempts = np.concatenate([frame[1] for frame in frames])
    assert (requests.dtype, attempts.dtype) == (REQUEST_ROW, ATTEMPT_ROW)
    assert requests["request"].tolist() == list(range(50))
    assert requests["index"].tolist() == [7 * number for number in range(50)]
    assert set(requests["time_ns"]) == {10**15}
    assert len(attempts) == sum(requests["attempts"])
    assert set(attempts["connection"]) == {5}
    assert set(attempts["end_ns"]) == {8}


def test_a_reader_that_does_not_read_keeps_nobody_waiting() -> None:
    reads, writes = os.pipe()
    writer = FrameWriter(writes)
    for number in range(5000):
        writer.add(*rows(number))
    writer.hand_over()
    for _ in range(100):
        writer.write()
    assert writer.waiting
    frames, reader = [], FrameReader()

    def read() -> None:
        while data := os.read(reads, 1 << 16):
            frames.extend(reader.feed(data))

    thread = threading.Thread(target=read)
    thread.start()
    writer.finish()
    os.close(writes)
    thread.join()
    os.close(reads)
    assert not writer.waiting
    assert [len(requests) for requests, _ in frames] == [5000]


# Ends of connections.


def test_what_the_end_of_a_connection_means() -> None:
    def cause(error: int, *, established: bool = True, sent: bool = True, answers: int = 0, monkey: bool = False, evicting: bool = False) -> str:  # fmt: skip
        return NAMES[cause_of_loss(error, established, sent, answers, monkey, evicting)]

    assert cause(errno.ECONNREFUSED, established=False) == "refused"
    assert cause(errno.ETIMEDOUT, established=False) == "client_timeout"
    assert cause(ENDED, sent=False) == "evicted"
    assert cause(errno.EPIPE) == "evicted"
    assert cause(ENDED) == "refused"
    assert cause(errno.ECONNRESET) == "refused"
    assert cause(errno.ECONNRESET, answers=1) == "evicted"
    assert cause(errno.ECONNRESET, evicting=True) == "evicted"
    assert cause(ENDED, monkey=True) == cause(errno.ECONNRESET, monkey=True) == "evicted"


def test_which_proxies_evict_by_a_reset() -> None:
    assert reset_means_evicted(ProxySpec(overload=EVICT, on_exhaustion=CRASH))
    assert not reset_means_evicted(ProxySpec(overload=REFUSE, on_exhaustion=REFUSE))
    assert not reset_means_evicted(ProxySpec(overload=EVICT, on_exhaustion=REFUSE, memory=Memory(total=5)))


# Figures and time.


@given(st.lists(st.integers(0, 10**12), min_size=1), st.floats(0.01, 1))
def test_quantiles_are_right_to_two_percent(values: list[int], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(int(np.ceil(share * len(values))) - 1, 0)]
    assert exact * 0.984 - 1 <= histogram.quantile(share) <= exact
    assert histogram.greatest == max(values)
    twice = Histogram()
    twice.merge(histogram)
    twice.merge(histogram)
    assert twice.total == 2 * len(values)
    assert twice.quantile(share) == histogram.quantile(share)


@pytest.mark.parametrize("make", [waiter, SelectorWaiter])
def test_waiting_ends_at_the_moment_not_before_and_for_what_is_ready(make: type[SelectorWaiter]) -> None:
    import time

    waiting = make()
    reads, writes = os.pipe()
    waiting.add(reads, 1)
    for ahead in (0, 50_000, 300_000, 1_700_000, 2_000_000):
        late = []
        for _ in range(10):
            moment = time.monotonic_ns() + ahead
            while time.monotonic_ns() < moment:
                ready = waiting.wait(moment)
                assert all(descriptor != reads for descriptor, _ in ready)
            late.append(time.monotonic_ns() - moment)
        # A busy machine makes some of them late, and not each.
        assert min(late) < 5_000_000
    os.write(writes, b"x")
    ready = waiting.wait(time.monotonic_ns() + 10**10)
    assert (reads, 1) in ready
    waiting.remove(reads)
    waiting.close()
    os.close(reads)
    os.close(writes)
