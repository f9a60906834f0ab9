"""StatsD: what is a line, what is made of lines in a second, and what an application cannot do with them."""

import socket
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.backends.metrics.custom_values import LINES_A_SECOND, CustomValues
from windtunnel.backends.metrics.header import read_header
from windtunnel.backends.metrics.limits import MOST_NAMES, BadMetric, checked_name
from windtunnel.backends.metrics.statsd import COUNTER, GAUGE, KINDS, TIMER, Line, parse_line
from windtunnel.backends.metrics.statsd_socket import StatsdSocket
from windtunnel.core.custom import OWN

names = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=30).filter(
    lambda name: name[0] in string.ascii_letters + "_" and name not in OWN
)
numbers = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))


@settings(max_examples=40)
@given(names, st.sampled_from(sorted(KINDS)), st.lists(numbers, min_size=1, max_size=5), st.floats(0.01, 1))
def test_a_line_is_read_as_it_was_written(name: str, kind: str, values: list[float], rate: float) -> None:
    if KINDS[kind] == TIMER:
        values = [abs(value) for value in values]
    text = f"{name}:{':'.join(map(str, values))}|{kind}|@{rate!r}|#env:test,role|c:id|T1656581400"
    relative = KINDS[kind] == GAUGE and str(values[0])[0] == "-"
    assert parse_line(text) == Line(name, KINDS[kind], tuple(values), rate, relative)


@settings(max_examples=40)
@given(st.text(max_size=60) | st.from_regex(r"[a-z:|@#.0-9+\-]{0,30}", fullmatch=True))
def test_whatever_else_comes_is_a_bad_line_or_a_line(text: str) -> None:
    try:
        line = parse_line(text)
    except BadMetric:
        return
    assert checked_name(line.name) == line.name
    assert line.kind in (GAUGE, COUNTER, TIMER)
    assert line.values
    assert 0 < line.rate <= 1


@pytest.mark.parametrize(
    "text",
    ["", "a", "a:1", "a:|g", ":1|g", "a:1|x", "a:1|s", "a:one|g", "a:nan|g", "a:1e999|g", "a:1|c|@0", "a:1|c|@2", "a:1|c|rate", "a b:1|g", "1a:1|g",
     "memory:1|g", "a:-1|ms", "a:1::2|g", "_e{5,4}:title|text", f"{'a' * 101}:1|g", "a:١|g"],
)  # fmt: skip
def test_what_is_no_line(text: str) -> None:
    with pytest.raises(BadMetric, match="expected"):
        parse_line(text)


@pytest.mark.parametrize("value", [b"", b"depth", b"depth=", b"=1", b"depth=1,", b"d\xc3=1", b"cpu=1", b",".join([b"a=1"] * 17)])  # fmt: skip
def test_what_is_no_header(value: bytes) -> None:
    with pytest.raises(BadMetric, match="expected"):
        read_header(value)


def test_a_header() -> None:
    assert read_header(b" depth = 3 ,hits=.5") == [("depth", 3.0), ("hits", 0.5)]


def values_of(*lines: str) -> CustomValues:
    made = CustomValues((), lambda words: None)
    made.datagram("\n".join(lines).encode())
    return made


def test_a_second() -> None:
    found = values_of(
        "depth:3|g", "depth:5|g", "level:10|g", "level:-4|g", "jobs:2|c", "jobs:1|c|@0.25", "time:10|ms", "time:20:30|ms", "",
    )  # fmt: skip
    assert found.second() == {"depth": 5, "jobs": 6, "level": 6}, "time is a name of ours"
    assert found.second() == {"depth": 5, "jobs": 0, "level": 6}, "a counter is of its second"
    assert (found.lines, found.bad) == (8, 2)


def test_timers() -> None:
    found = values_of(*(f"took:{time}|ms" for time in range(1, 101)))
    assert found.second() == {"took": 50.5, "took_p99": 99}
    assert found.second() == {"took": 50.5, "took_p99": 99}, "no value says nothing new"
    found.datagram(b"took:7|ms")
    assert found.second() == {"took": 7, "took_p99": 7}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1e6, 1e6)), max_size=30))
def test_counters_are_sums_and_gauges_the_last(pairs: list[tuple[str, float]]) -> None:
    counted = CustomValues((), lambda words: None)
    told = CustomValues((), lambda words: None)
    for name, value in pairs:
        counted.datagram(f"{name}:{value:.6f}|c".encode())
        told.datagram(f"{name}:0|g\n{name}:{value:+.6f}|g".encode())
    sums = {name: sum(round(v, 6) for n, v in pairs if n == name) for name, _ in pairs}
    assert counted.second() == pytest.approx(sums, abs=1e-3)
    assert told.second() == pytest.approx({name: round(value, 6) for name, value in pairs}, abs=1e-5)


def test_a_name_stays_of_its_kind() -> None:
    said: list[str] = []
    found = CustomValues((), said.append)
    found.datagram(b"depth:3|g\ndepth:1|c\ndepth:1|c")
    assert found.second() == {"depth": 3}
    assert found.bad == 2
    assert len(said) == 1, "said once"
    assert "expected depth to be a gauge" in said[0]


def test_an_application_has_so_many_names() -> None:
    said: list[str] = []
    found = CustomValues(("declared",), said.append)
    for number in range(1000):
        found.datagram(f"n{number}:1|g".encode())
    found.datagram(b"declared:5|g")
    second = found.second()
    assert len(second) == MOST_NAMES + 1
    assert second["declared"] == 5, "what the scenario declares always has room"
    assert len(said) == 1


def test_so_many_lines_a_second() -> None:
    said: list[str] = []
    found = CustomValues((), said.append)
    many = b"\n".join([b"jobs:1|c"] * (LINES_A_SECOND // 10))
    assert [found.datagram(many) for _ in range(12)] == [True] * 10 + [False] * 2
    assert found.second() == {"jobs": LINES_A_SECOND}
    assert found.dropped == LINES_A_SECOND // 5
    assert len(said) == 1
    assert found.datagram(many), "the next second has as many again"


def test_the_socket() -> None:
    found = CustomValues((), lambda words: None)
    statsd = StatsdSocket(found)
    try:
        assert statsd.environment({}) == {
            "WINDTUNNEL_STATSD": statsd.address, "STATSD_HOST": "127.0.0.1", "STATSD_PORT": statsd.address.split(":")[1],
        }  # fmt: skip
        assert statsd.environment({"STATSD_HOST": "mine"}) == {"WINDTUNNEL_STATSD": statsd.address}
        host, port = statsd.address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"depth:3|g\n\xff\n", (host, int(port)))
            end = time.monotonic() + 20
            while found.lines < 2 and time.monotonic() < end:
                time.sleep(0.01)
        assert found.second() == {"depth": 3}
        assert found.bad == 1
    finally:
        statsd.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind((host, int(port)))
