"""Exact bytes in a scenario: what is refused in the file, what the bytes come to, and when."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.backends.load.answers import Head
from windtunnel.backends.load.exact import exact_outcome
from windtunnel.backends.load.share import Share
from windtunnel.backends.local.options import FlightOptions
from windtunnel.core.model import WireMessage
from windtunnel.core.outcomes import NAMES
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.problems import ScenarioError

from ..support import TWINS

HEAD = "scenario: wires\nduration: 5s\nfleet: {app: {initial: 1, workers: 2}}\nendpoints: [{path: /, cpu: {constant: 2ms}}, {path: /a, weight: 0}]\n"
GET = r"GET / HTTP/1.1\r\nHost: {authority}\r\n"


def wires(connections: str, when: str = "at: [1s]", more: str = "") -> Scenario:
    return Scenario.parse(
        f"{HEAD}traffic:\n- name: w\n  wire:\n    {when}\n    connections: [{connections}]\n{more}"
    )


def one(text: str, more: str = "") -> str:
    return f'{{steps: [{{text: "{text}"}}]{more}}}'


def rows(run: Run) -> list[tuple[str, str, str, int]]:
    return [
        (row["source"], row["endpoint"], row["outcome"], row["status"]) for row in run.requests.to_pylist()
    ]


def test_what_the_bytes_come_to() -> None:
    run = replay(
        wires(
            ", ".join(
                [
                    one(GET + r"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n\x00\r\n\r\n"),
                    one(GET + r"X : a\r\n\r\n", ", expect: [400]"),
                    one(GET + r"\r\n", ", expect: [404]"),
                    one(r"GET / HTTP/2.0\r\n\r\n"),
                    one("GET", ", end: close"),
                ]
            )
        ),
        engine="simpy",
        **TWINS,
    )
    assert rows(run) == [
        ("w[0]", "/", "ok", 200),
        ("w[0]", "/a", "ok", 200),
        ("w[0]", "default", "bad_request", 400),
        ("w[1]", "default", "ok", 400),
        ("w[2]", "/", "app_error", 200),
        ("w[3]", "default", "bad_request", 505),
        ("w[4]", "default", "client_timeout", 0),
    ]
    assert run.summary["sources"]["w[0]"]["planned"] == 3


def test_slow_messages_take_their_time_and_hold_their_connection() -> None:
    slow = f'{{steps: [{{text: "{GET}", pause: 1500ms}}, {{text: "\\r\\n"}}]}}'
    text = wires(
        slow,
        more="- {name: users, start: 1100ms, stages: [{for: 200ms, rate: 20/s}], arrivals: constant, client: {timeout: 300ms}}\n",
    )
    limited = Scenario.parse(
        text.to_yaml(), overrides=["fleet.proxy.max_connections=2", "fleet.proxy.keepalive_timeout=1s"]
    )
    run = replay(limited, engine="simpy", **TWINS)
    table = {row["source"]: row for row in run.requests.to_pylist()}
    assert table["w"]["latency_ns"] == 1_502_000_000
    assert table["users"]["outcome"] != "ok"


def test_connections_take_turns_at_a_rate_and_all_begin_at_a_time() -> None:
    two = f"{one(GET + chr(92) + 'r' + chr(92) + 'n')}, {one('PRI')}"
    at_times = compile_plan(wires(two, "at: [2s, 1s]"))
    begun = [
        (int(t), int(s)) for b in at_times.blocks() for t, s in zip(b["time_ns"], b["source"], strict=True)
    ]
    assert begun == [(10**9, 0), (10**9, 1), (2 * 10**9, 0), (2 * 10**9, 1)]
    at_rate = compile_plan(wires(two, "stages: [{for: 2s, rate: 10/s}]", "  arrivals: constant\n"))
    sources = [int(source) for block in at_rate.blocks() for source in block["source"]]
    assert sources == [0, 1] * 10


def test_the_messages_of_a_connection_stay_together_among_generators() -> None:
    plan = compile_plan(wires(one("PRI"), "at: [1s, 2s, 3s, 4s]"))
    three = compile_plan(wires(one((GET + r"\r\n") * 3), "at: [1s, 2s, 3s, 4s]"))
    for made, messages in ((plan, 1), (three, 3)):
        (block,) = made.blocks()
        assert len(block["index"]) == 4 * messages
        mine = [Share(part, 3).rows(made, block) for part in range(3)]
        assert bool((np.sum(mine, axis=0) == 1).all())
        for mask in mine:
            assert all(len(set(group)) == 1 for group in mask.reshape(-1, messages).tolist())


def test_base64_and_repetition_are_the_same_bytes() -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    coded = f"{{steps: [{{base64: {base64.b64encode(data).decode()}, repeat: 2}}]}}"
    made = compile_plan(wires(coded))
    assert made.exact[0].pieces == ((0, data * 2),)
    assert len(made.fleet.sources[0].wire) == 2


@pytest.mark.parametrize(
    ("connections", "when", "more", "expected"),
    [
        (one("a"), "{}", "", "expected either at or stages, got neither"),
        (one("a"), "at: [1s]", "  body: 1KiB\n", "expected no body beside wire"),
        (one("a"), "at: [1s]", "  client: {retries: {attempts: 1}}\n", "expected no client setting beside wire but timeout"),
        ("{steps: []}", "at: [1s]", "", "expected"),
        ("{steps: [{}]}", "at: [1s]", "", "expected either text or base64, got neither"),
        ("{steps: [{base64: '?'}]}", "at: [1s]", "", "expected base64, got '?'"),
        ('{steps: [{text: "\\u0100"}]}', "at: [1s]", "", "expected characters up to"),
        ('{steps: [{text: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", repeat: 1000000}]}', "at: [1s]", "", "expected at most 16777216 bytes"),
        (one("a", ", end: never"), "at: [1s]", "", "expected"),
    ],
)  # fmt: skip
def test_what_is_no_wire(connections: str, when: str, more: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        wires(connections, when.replace("{}", "# nothing"), more)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("message", "status", "cause", "outcome"),
    [
        (WireMessage(), 200, "", "ok"),
        (WireMessage(), 404, "", "ok"),
        (WireMessage(), 500, "", "app_error"),
        (WireMessage(), 400, "", "bad_request"),
        (WireMessage(status=400), 431, "", "bad_request"),
        (WireMessage(status=400), 200, "", "ok"),
        (WireMessage(status=400, expected=400), 400, "bad_request", "ok"),
        (WireMessage(status=400, expected=400), 200, "", "app_error"),
        (WireMessage(expected=200), 503, "no_server", "no_server"),
        (WireMessage(expected=200), 302, "", "app_error"),
    ],
)
def test_outcomes_in_flight(message: WireMessage, status: int, cause: str, outcome: str) -> None:
    head = Head(status, 0, False, b"", NAMES.index(cause) if cause else 0)
    assert NAMES[exact_outcome(message, head, 200)] == outcome


LASTING: dict[str, Any] = {"backend": "local", "figure": False, "flight": FlightOptions()}


@pytest.mark.long
def test_a_flight_has_the_rehearsals_outcomes(tmp_path: Path) -> None:
    crlf = r"\r\n"
    made = wires(
        ", ".join(
            [
                one((GET + crlf) * 5),
                one(r"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET + crlf),
                one(
                    GET + r"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    ", expect: [400]",
                ),
                one(GET + r"X: " + "a" * 20_000 + r"\r\n\r\n"),
                one(GET),
                one(GET, ", end: half-close"),
                one(r"\x16\x03\x01\r\n\r\n", ", end: half-close"),
                one((GET + crlf) * 20, ", reads: false"),
                f'{{steps: [{{text: "{GET}", pause: 300ms}}, {{text: "{crlf}", pause: 300ms}}], end: close}}',
                f'{{steps: [{{text: "{GET}", pause: 300ms}}], end: reset}}',
            ]
        ),
        "at: [1s, 2s]",
    )
    path = tmp_path / "wires.yaml"
    path.write_text(made.to_yaml())
    scenario = Scenario.load(path)
    rehearsed = rows(replay(scenario, **TWINS))
    flown = rows(replay(scenario, **LASTING))
    assert flown == rehearsed
    assert {outcome for _, _, outcome, _ in rehearsed} == {"ok", "bad_request", "client_timeout", "unread"}
