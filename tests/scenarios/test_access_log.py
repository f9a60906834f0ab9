"""Access logs as traffic: every format is read, nothing is dropped in silence, order of lines and size of blocks do not matter."""

import gzip
import json
import re
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel import Scenario, ScenarioError, replay, verify
from windtunnel.scenarios import access_log, log_lines
from windtunnel.scenarios.access_log import AccessLog, read_access_log, recorded_rows
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.file_notes import file_notes
from windtunnel.scenarios.fit import draft
from windtunnel.scenarios.log_json import JsonLog
from windtunnel.scenarios.log_text import TextLog, stamp_us
from windtunnel.scenarios.paths import PathMatcher, path_of
from windtunnel.scenarios.plan import Plan
from windtunnel.tests.scenarios.test_traffic import rows
from windtunnel.tests.support import ACCESS_LOG, TWINS, needs_access_log

SECOND = 10**9
T0 = datetime(2026, 5, 17, 10, 5, 0, tzinfo=UTC)


def line(second: int = 0, path: str = "/", method: str = "GET", tail: str = "") -> str:
    stamp = (T0 + timedelta(seconds=second)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'10.0.0.1 - - [{stamp}] "{method} {path} HTTP/1.1" 200 512{tail}'


COMBINED = ' "http://example.org/" "Browser/1.0 [en] (like \\"that\\")"'

SCENARIO = (
    "{scenario: x, duration: 1h, endpoints: [{path: /a}, {path: '/users/:id'}], traffic: [{name: users, "
)


def logged(folder: Path, lines: Sequence[str], more: str = "", name: str = "access.log") -> Plan:
    (folder / name).write_text("".join(f"{text}\n" for text in lines))
    return compile_plan(Scenario.parse(f"{SCENARIO}access_log: {name}{more}}}]}}", folder=folder))


def seconds(made: Plan) -> list[int]:
    return [int(time) // SECOND for time in rows(made)["time_ns"]]


def test_each_recorded_request_is_one_planned_request(tmp_path: Path) -> None:
    made = logged(tmp_path, [
        line(3, "/users/7", "POST"), line(0, "/a?x=1", tail=COMBINED), line(0, "/a"), line(9, "/users/me?y", "HEAD"),
        line(2, "/nowhere"), line(2, "http://example.org/a#top"),
    ], ", start: 5s")  # fmt: skip
    assert seconds(made) == [5, 5, 7, 7, 8, 14]
    planned = rows(made)
    assert sorted(planned["endpoint"][2:4].tolist()) == [0, 2]
    assert planned["endpoint"][[0, 1, 4, 5]].tolist() == [0, 0, 1, 1]
    assert made.fleet.endpoints[2].path == "default"
    assert planned["index"].tolist() == list(range(6))


def test_speed_and_scale(tmp_path: Path) -> None:
    lines = [line(second) for second in range(100) for _ in range(40)]
    slow = rows(logged(tmp_path, lines))["time_ns"]
    fast = rows(logged(tmp_path, lines, ", speed: 4"))["time_ns"]
    assert fast.tolist() == (slow // 4).tolist()
    assert len(set(np.bincount(slow // SECOND).tolist())) == 1
    many = rows(logged(tmp_path, lines, ", scale: 2.5"))["time_ns"]
    assert abs(len(many) - 10_000) < 4 * np.sqrt(4000 * 0.25)
    few = rows(logged(tmp_path, lines, ", scale: 0.1"))["time_ns"]
    assert abs(len(few) - 400) < 4 * np.sqrt(4000 * 0.09)


def test_whole_seconds_are_spread_over_the_second_and_finer_times_are_kept(tmp_path: Path) -> None:
    within = rows(logged(tmp_path, [line(0)] * 2000))["time_ns"] / SECOND
    assert np.histogram(within, 10, (0, 1))[0].tolist() == pytest.approx([200] * 10, abs=60)
    fine = [json.dumps({"ts": 1e9 + at, "uri": "/a"}) for at in (0.25, 0.75, 0.5)]
    assert rows(logged(tmp_path, fine))["time_ns"].tolist() == [0, SECOND // 4, SECOND // 2]
    doubled = rows(logged(tmp_path, fine, ", scale: 2"))["time_ns"].tolist()
    assert {0, SECOND // 4, SECOND // 2} < set(doubled)
    assert len(set(doubled)) == 6, "copies do not come at the same moment"


@given(
    st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(0, 3)), min_size=1, max_size=60),
    st.booleans(), st.sampled_from([1.0, 0.4, 2.5]), st.integers(1, 50),
)  # fmt: skip
def test_blocks_and_order_do_not_matter(
    found: list[tuple[int, int]], whole: bool, scale: float, size: int
) -> None:
    times = [(us // 10**6 * 10**6 if whole else us, endpoint) for us, endpoint in found]
    packed = np.sort(np.array([us << access_log.ENDPOINT_BITS | e for us, e in times], dtype=np.int64))
    log = AccessLog(packed, whole, log_lines.BadLines(), 0)
    parts = [list(recorded_rows(log, 1.0, scale, 0, 99, chunk)) for chunk in (size, 65536)]
    one, other = (
        [row for part in cut for row in zip(part[0].tolist(), part[1].tolist(), strict=True)] for cut in parts
    )
    assert one == other
    assert [time for time, _ in one] == sorted(time for time, _ in one)
    if scale == 1.0:
        assert sorted((time // SECOND, e) for time, e in one) == sorted((us // 10**6, e) for us, e in times)


def test_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    lines = [line(n * 7 % 50, f"/users/{n}" if n % 3 else "/a") for n in range(200)]
    one, other = rows(logged(tmp_path, lines)), rows(logged(tmp_path, lines[::-1], name="other.log"))
    assert all(one[name].tolist() == other[name].tolist() for name in one)


BAD = ["not a line", line(1).replace("May", "Mai"), line(1).replace("10:05:01", "10:61:01"), '{"ts": 1}',
       '10.0.0.1 - - [17/May/2026:10:05:03 +0000] "-" 408 -']  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_unreadable_lines_are_counted_and_named(tmp_path: Path, bad: str) -> None:
    lines = [line(0, tail=COMBINED), bad, "", line(1), bad]
    made = logged(tmp_path, lines)
    assert seconds(made) == [0, 1]
    scenario = Scenario.parse(f"{SCENARIO}access_log: access.log}}]}}", folder=tmp_path)
    notes = file_notes(scenario.document, tmp_path)
    assert notes[0] == (
        "traffic 'users': access.log: 2 of 4 lines cannot be read and are left out: lines 2, 5"
    )


def test_notes_on_requests_that_meet_nothing(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("\n".join([line(0, "/x"), line(40, "/a"), line(41, "/y")]))
    text = SCENARIO.replace("1h", "30s") + "access_log: access.log, speed: 1.25}]}"
    scenario = Scenario.parse(text, folder=tmp_path)
    assert file_notes(scenario.document, tmp_path) == [
        "traffic 'users': access.log: 2 of 3 requests have a path without an endpoint, "
        "and there is no endpoint default: they are answered 404",
        "traffic 'users': access.log: 2 of 3 requests come after the end",
    ]
    assert seconds(compile_plan(scenario)) == [0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected lines in Common or Combined log format, or JSON lines with a time and a path, got an empty file"),
        (b"\n\n", "expected lines in Common or Combined log format, or JSON lines with a time and a path, got an empty file"),
        (b"second,requests\n0,1\n", "expected lines in Common or Combined log format, or JSON lines with a time and a path, got 2 lines that are neither"),
        (b"\x1f\x8b\x00\x00", "cannot be read"),
        (gzip.compress(line(0).encode() * 100, mtime=0)[:-9], "cannot be read: Compressed file ended"),
        ((line(0) + "\n" + line(450 * 86400)).encode(), "expected a time within 400 days of the first line's, got one 450 days after it"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "access.log").write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(f"{SCENARIO}access_log: access.log}}]}}", folder=tmp_path)
    (problem,) = map(str, caught.value.problems)
    assert "traffic[0].access_log: " in problem
    assert expected in problem


def test_a_log_may_go_back_as_far_as_forward_from_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("\n".join(line(days * 86400, "/b") for days in (0, 399, -399)))
    log = read_access_log(path, tuple(f"/{n}" for n in range(1000)))
    assert (log.packed >> access_log.ENDPOINT_BITS).tolist() == [
        0, 399 * 86400 * 10**6, 798 * 86400 * 10**6,
    ]  # fmt: skip
    with pytest.raises(log_lines.AccessLogError, match="expected a log of at most 400 days, got 798"):
        draft(path)


def test_a_long_line_that_does_not_match_costs_no_more_than_its_length() -> None:
    for path in ("a" * 300_000, '\\"' * 100_000, "a?" * 100_000):
        text = line(0, "/" + path).replace('" 200', '" x200') + "\n"
        assert TextLog().parse(text.encode(), range(1, 2), False).bad == [1]


def test_escaped_quotes_are_part_of_the_path() -> None:
    batch = TextLog().parse((line(0, '/a\\"b\\x22?c') + "\n").encode(), range(1, 2), False)
    assert batch.targets == [b'/a\\"b\\x22']


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("access_log: a.log, arrivals: constant", "expected no arrivals beside access_log: the log says when and what"),
        ("access_log: a.log, endpoints: {/a: 1}", "expected no endpoints beside access_log: the log says when and what"),
        ("stages: [{for: 1s, rate: 1/s}], speed: 2", "expected speed only beside access_log, got it beside stages"),
        ("closed: {concurrency: 1}, scale: 2", "expected scale only beside rate_csv or access_log, got it beside closed"),
        ("access_log: missing.log", "missing.log cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_bad_settings(tmp_path: Path, more: str, expected: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(expected)):
        Scenario.parse(f"{SCENARIO}{more}}}]}}", folder=tmp_path)


STAMP = int(T0.timestamp())
JSON_TIMES = [
    {"time": T0.isoformat()}, {"ts": STAMP + 0.0}, {"timestamp": STAMP * 1000}, {"@timestamp": "2026-05-17T10:05:00.000Z"},
    {"time_iso8601": "2026-05-17T12:05:00+02:00"}, {"start_time": "2026-05-17T10:05:00"}, {"msec": f"{STAMP}.000"}, {"msec": f"{STAMP}"},
    {"time_local": "17/May/2026:10:05:00 +0000"}, {"ts": STAMP * 10**6}, {"ts": STAMP * 10**9},
]  # fmt: skip
JSON_PATHS = [
    {"path": "/a"}, {"uri": "/a?x=1"}, {"request_uri": "/a"}, {"request": "GET /a?x HTTP/1.1"},
    {"request": {"method": "GET", "uri": "/a", "host": "example.org"}}, {"url": "https://example.org/a"},
]  # fmt: skip


@pytest.mark.parametrize("time", JSON_TIMES)
@pytest.mark.parametrize("path", JSON_PATHS)
def test_field_names_of_json_logs(time: dict[str, object], path: dict[str, object]) -> None:
    batch = JsonLog().parse(json.dumps({**time, **path, "status": 200}).encode() + b"\n", range(1, 2), False)
    assert batch.times.tolist() == [STAMP * 10**6]
    assert path_of(batch.targets[0]) == "/a"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"request_time": "0.125"}, 125_000_000), ({"request_time": 2}, 2 * SECOND), ({"duration_ms": 3.5}, 3_500_000),
        ({"duration": 0.25}, SECOND // 4), ({"duration": 250}, SECOND // 4), ({"duration": "250us"}, 250_000),
        ({"latency": "1.5ms"}, 1_500_000), ({"latency": "soon"}, -1), ({"request_time": True}, -1), ({}, -1),
    ],
)  # fmt: skip
def test_durations_of_json_logs(fields: dict[str, object], expected: int) -> None:
    record = json.dumps({"ts": 1, "path": "/", "bytes": 12, **fields}).encode() + b"\n"
    batch = JsonLog().parse(record, range(1, 2), True)
    assert (batch.durations.tolist(), batch.sizes.tolist()) == ([expected], [12])


@given(st.lists(st.sampled_from([line(3), line(4, "/x y", tail=COMBINED), "", "garbage", '{"ts": 1}', "[", "[]", "{}",
                                 '{"ts": 5, "path": "/a"}', '{"ts": 1e999, "path": "/"}', '{"ts": "x", "path": "/"}',
                                 '{"ts": 1, "path": 3}', "1", "null", '{"ts": 1, "path": "/"},{"ts": 2, "path": "/"}'])))  # fmt: skip
def test_a_chunk_at_once_and_line_by_line_agree(lines: list[str]) -> None:
    chunk = "".join(f"{text}\n" for text in lines).encode()
    for parser in (TextLog(), JsonLog()):
        at_once = parser.parse(chunk, range(10, 10 + len(lines)), True)
        alone = [
            parser.parse(f"{text}\n".encode(), range(n, n + 1), True) for n, text in enumerate(lines, 10)
        ]
        assert at_once.times.tolist() == [time for batch in alone for time in batch.times.tolist()]
        assert at_once.lines.tolist() == [n for batch in alone for n in batch.lines.tolist()]
        assert at_once.bad == [n for batch in alone for n in batch.bad]
        assert len(at_once.times) + len(at_once.bad) == sum(1 for text in lines if text)


def test_lines_are_whole_wherever_a_chunk_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log"
    path.write_text("\n".join([line(n, tail=COMBINED) for n in range(50)] + ["bad", line(50)]))
    whole = read_access_log(path, ())
    for size in (1, 7, 100, 1000):
        monkeypatch.setattr(log_lines, "CHUNK", size)
        access_log._read.cache_clear()
        again = read_access_log(path, ())
        assert again.packed.tolist() == whole.packed.tolist()
        assert again.bad == whole.bad == log_lines.BadLines(1, 52, [51])


@given(st.integers(0, 2**31), st.integers(-14 * 60, 14 * 60))
def test_stamps_are_those_of_the_calendar(moment: int, ahead: int) -> None:
    from datetime import timezone

    zone = timezone(timedelta(minutes=ahead))
    text = datetime.fromtimestamp(moment, zone).strftime("%d/%b/%Y:%H:%M:%S %z")
    assert stamp_us(text) == moment * 10**6


def test_the_exact_path_wins_then_the_template_with_most_plain_segments() -> None:
    matcher = PathMatcher(["/users/:id", "/users/me", "/:any/7", "default", "/a/:x/:y", "/a/b/:y", "/x"])
    found = [matcher.number(path) for path in
             ("/users/1", b"/users/me", "/b/7", "/users/7", "/a/q/r", "/a/b/r", "/users/1/", "/", "default", "/x?y=1")]  # fmt: skip
    assert found == [0, 1, 2, 0, 4, 5, 3, 3, 3, 6]
    assert PathMatcher(["/x"]).number("/y") == 1


def test_packed_or_plain_is_told_by_content_and_is_no_part_of_the_hash(tmp_path: Path) -> None:
    made = logged(tmp_path, [line(n) for n in range(5)], name="plain.log")
    (tmp_path / "packed.log").write_bytes(gzip.compress((tmp_path / "plain.log").read_bytes()))
    other = compile_plan(Scenario.parse(f"{SCENARIO}access_log: packed.log}}]}}", folder=tmp_path))
    assert other.fingerprint == made.fingerprint
    assert rows(other)["time_ns"].tolist() == rows(made)["time_ns"].tolist()
    assert logged(tmp_path, [line(n) for n in range(6)], name="plain.log").fingerprint != made.fingerprint


def test_memory_is_a_few_bytes_a_request(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    text = "".join(line(n % 3600, f"/users/{n}", tail=COMBINED) + "\n" for n in range(2000))
    with path.open("w") as stream:
        for _ in range(100):
            stream.write(text)
    read_access_log(path, ("/users/:id",))
    access_log._read.cache_clear()
    tracemalloc.start()
    log = read_access_log(path, ("/users/:id",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(log.packed) == 200_000
    assert peak < 200_000 * 16 + 12 * log_lines.CHUNK


def test_a_run_carries_its_log(tmp_path: Path) -> None:
    logged(tmp_path, [line(n, "/a") for n in range(5)])
    scenario = Scenario.parse(f"{SCENARIO.replace('1h', '10s')}access_log: access.log}}]}}", folder=tmp_path)
    run = replay(scenario, out=tmp_path / "run", figure=False, **TWINS)
    assert run.requests.num_rows == 5
    assert (tmp_path / "run" / "inputs" / "0-access.log").is_file()
    (tmp_path / "access.log").unlink()
    assert verify(tmp_path / "run")[1] is None


@needs_access_log
def test_a_real_log() -> None:
    log = read_access_log(ACCESS_LOG, ("/favicon.ico",))
    assert (len(log.packed), log.bad.total, log.whole_seconds) == (10_000, 0, True)
    assert 10_000 - log.unmatched == 807
    made = compile_plan(Scenario.parse(
        f"{{scenario: x, duration: 4d, traffic: [{{name: users, access_log: {ACCESS_LOG}}}]}}"
    ))  # fmt: skip
    times = rows(made)["time_ns"]
    assert len(times) == 10_000
    hours = np.bincount(times // (3600 * SECOND))
    assert np.count_nonzero(hours) == 84
    assert (times % (3600 * SECOND)).max() < 60 * SECOND, "bursts of a minute, each hour"
