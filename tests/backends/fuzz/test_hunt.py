"""The hunt against servers with a planted fault each: it is found, shrunk to the simplest request that shows it, kept, and fired again."""

import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from windtunnel.backends.fuzz.hunt import Hunt, Hunted, Hunting
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.fuzz.cases import Generator, parse_weights
from windtunnel.scenarios.fuzz.surface import ROOT, Body, Operation, Parameter, Surface

from .faulty import CLOSE, DIE, OK, RESET, Behaviour, Server, serving

LONG = b"b" * 1000


def hunt(
    proxy: Server, corpus: Path, weights: str, count: int = 60, surface: Surface = ROOT, **more: Any
) -> Hunted:
    options = {"patience": 2.0, "shrinking": 30.0, "recovery": 1.0, **more}
    direct = options.pop("direct", None)
    hunting = Hunting(
        proxy.target, None if direct is None else direct.target, lambda request: (), corpus, **options
    )
    return Hunt(hunting).run(Generator(surface, 1, parse_weights(weights)), count)


def kinds(done: Hunted) -> set[str]:
    return {finding.verdict.kind for finding, _ in done.findings}


def when(condition: bytes, answer: bytes) -> Behaviour:
    """A fault that shows when a request matches."""
    found = re.compile(condition, re.DOTALL | re.IGNORECASE).search
    return lambda request: answer if found(request) else OK


FAILURE = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("weights", "behaviour", "kind"),
    [
        ("headers=1", when(b"\r\nrange:", FAILURE), "status 500"),
        ("odd=1", when(b"^[A-Z]+ //", RESET), "reset"),
        ("odd=1", when(rb"\.\. ?", CLOSE), "closed"),
        ("methods=1", when(b"^DELETE", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok"), "surplus bytes"),
        ("unknown=1", when(b"/admin", b"<html>"), "malformed: no HTTP/1 answer"),
        ("bodies=1", when(b"\r\n\r\n\\[\\]", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "hang"),
    ],
)
def test_a_planted_fault_is_found_and_shrunk(
    weights: str, behaviour: Behaviour, kind: str, tmp_path: Path
) -> None:
    with serving(behaviour) as server:
        more: dict[str, Any] = {"patience": 0.5, "shrinking": 0.5} if kind == "hang" else {}
        done = hunt(server, tmp_path, weights, 80, **more)
        assert kinds(done) == {kind}
        finding, path = min(done.findings, key=lambda one: len(one[0].wire.data))
        assert done.fired == 80
        data = finding.wire.data
        # Nothing is left but what the fault needs: no header, no query, no content beside it.
        assert len(data) < 110 or kind == "hang", data
        kept = json.loads(path.read_text())
        assert kept["kind"] == kind
        assert kept["proxy"]["sent"]["text"].startswith(data.split(b" ")[0].decode())


def test_a_shrunk_header_is_alone(tmp_path: Path) -> None:
    with serving(when(b"\r\ncookie: [^\r]{900}", FAILURE)) as server:
        done = hunt(server, tmp_path, "headers=1", 120)
    ((finding, _),) = done.findings
    lines = finding.wire.data.decode().split("\r\n")
    assert lines[0] == "GET / HTTP/1.1"
    assert len([line for line in lines if line]) <= 4
    assert max(map(len, lines)) <= 1010
    assert finding.shrunk
    assert finding.times > 1


def test_the_value_beside_its_schema_is_found(tmp_path: Path) -> None:
    """A server that fails on a parameter below its minimum."""
    page = Parameter("page", "query", {"type": "integer", "minimum": 1, "maximum": 50})
    operation = Operation("GET", "/items", (page, Parameter("q", "query", {"type": "string"})))
    with serving(when(rb"^GET [^ ]*page=0", FAILURE)) as server:
        done = hunt(server, tmp_path, "values=1", 100, Surface((operation,)))
    ((finding, _),) = done.findings
    assert finding.wire.data.startswith(b"GET /items?page=0 HTTP")


def test_right_bodies_reach_the_server(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "required": ["n"],
        "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 3}},
    }
    operation = Operation("POST", "/items", (), Body((("application/json", schema, ()),), True))
    with serving() as server:
        hunt(server, tmp_path, "known=1", 10, Surface((operation,)))
        posts = [request for request in server.seen if request.startswith(b"POST")]
    assert posts
    assert {request.partition(b"\r\n\r\n")[2] for request in posts} == {b'{"n":3}'}


def test_a_proxy_that_answers_otherwise_than_its_app_server(tmp_path: Path) -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    with serving() as server, serving(when(b"^[A-Z]+ [^ ]*//", refusal)) as proxy:
        done = hunt(proxy, tmp_path, "odd=1", 60, direct=server)
    assert kinds(done) == {"disagreement 400 200"}
    finding = min((finding for finding, _ in done.findings), key=lambda one: len(one.wire.data))
    assert finding.wire.data.startswith(b"GET // HTTP")
    assert finding.direct is not None


def test_limits_of_a_proxy_are_no_findings(tmp_path: Path) -> None:
    limit = b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n"
    with serving() as server, serving(when(b".{2000}", limit)) as proxy:
        done = hunt(proxy, tmp_path, "headers=1", 100, direct=server)
        assert any(len(request) > 2000 for request in proxy.seen)
    assert not done.findings
    assert not list(tmp_path.iterdir())


def test_content_that_is_never_the_same_is_not_compared(tmp_path: Path) -> None:
    counted = iter(range(10**6))

    def clock(request: bytes) -> bytes:
        text = b"%07d" % next(counted)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + text

    with serving(clock) as server, serving(clock) as proxy:
        done = hunt(proxy, tmp_path, "known=1", 20, direct=server)
    assert not done.findings
    assert done.notes == ["answers are not the same each time: their content is not compared"]


def test_a_statuss_explanation(tmp_path: Path) -> None:
    with serving(when(b"^GET /x", FAILURE)) as server:
        surface = Surface((Operation("GET", "/x"),))
        hunting = Hunting(server.target, None, lambda request: {500}, tmp_path)
        assert not Hunt(hunting).run(Generator(surface, 1), 20).findings


def test_a_proxy_that_dies_ends_the_hunt(tmp_path: Path) -> None:
    with serving(when(b"admin", DIE)) as server:
        done = hunt(server, tmp_path, "unknown=1", 500, recovery=0.3)
    assert kinds(done) == {"down"}
    assert done.fired < 500
    assert "the proxy does not come back" in done.notes[-1]
    ((finding, path),) = done.findings
    assert b"admin" in finding.wire.data
    assert "admin" in json.loads(path.read_text())["proxy"]["sent"]["text"]


def test_a_proxy_that_is_started_again_lets_the_hunt_go_on_and_shrink(tmp_path: Path) -> None:
    with serving(when(b"^[A-Z]+ /admin", DIE)) as server:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.01):
                if server.listening.fileno() < 0:
                    server.start()

        keeper = threading.Thread(target=watch)
        keeper.start()
        try:
            done = hunt(server, tmp_path, "unknown=1", 60, recovery=10.0)
        finally:
            over.set()
            keeper.join()
    assert kinds(done) == {"down"}
    assert done.fired == 60
    assert done.findings[0][0].wire.data.startswith(b"GET /admin HTTP/1.1\r\n")


def test_a_connection_that_hostile_bytes_leave_in_a_bad_state(tmp_path: Path) -> None:
    """A proxy that hides what follows a broken chunk in the next request of somebody else's."""
    poison = threading.Event()
    other = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def proxy(request: bytes) -> bytes:
        if b"Transfer-Encoding" in request:
            poison.set()
            return OK
        if poison.is_set():
            poison.clear()
            return other
        return OK

    with serving(proxy) as server:
        done = hunt(server, tmp_path, "hostile=1", 25, patience=1.0, shrinking=3.0)
    assert "poisoned 404" in kinds(done)


def test_a_proxy_that_reads_more_requests_out_of_hostile_bytes_than_its_app_server(tmp_path: Path) -> None:
    """It stays a finding when both are waited for longer."""
    twice = when(b"Transfer-Encoding", OK + OK)
    with serving() as server, serving(twice) as proxy:
        done = hunt(proxy, tmp_path, "hostile=1", 12, direct=server, patience=3.0, shrinking=0.0)
    assert kinds(done) == {"disagreement on framing"}


def test_hunts_are_bounded_in_time(tmp_path: Path) -> None:
    with serving() as server:
        began = time.monotonic()
        done = hunt(server, tmp_path, "known=1", 10**6, seconds=0.3)
        assert time.monotonic() - began < 20
    assert re.match(r"stopped after \d+ of 1000000 requests: 0.3 s are over", done.notes[0])


def test_nobody_there(tmp_path: Path) -> None:
    with serving() as server:
        pass
    with pytest.raises(
        UsageError, match=f"expected a proxy at 127.0.0.1:{server.port} that answers GET /, got: refused"
    ):
        hunt(server, tmp_path, "known=1")


def command(*words: object) -> Any:
    return CliRunner().invoke(app, ["fuzz", "urls", *map(str, words)])


def test_the_command_finds_keeps_and_fires_again(tmp_path: Path) -> None:
    behaviour = when(b"^DELETE", FAILURE)
    with serving(lambda request: behaviour(request)) as server:
        words = ("--base", server.url, "--weights", "methods=1", "--count", 40, "--corpus", tmp_path)
        done = command(*words, "--run")
        assert done.exit_code == 3, done.output
        assert "the status 500 that nothing explains" in done.stdout
        assert "40 fired, 1 finding\n" in done.stdout
        (path,) = tmp_path.glob("*.json")
        assert path.name.startswith("status-500-")
        again = command("--base", server.url, "--replay", tmp_path)
        assert again.exit_code == 3
        assert "1 fired again, 1 still wrong" in again.stdout
        assert command(*words, "--run", "--expect", 500).exit_code == 0
        behaviour = when(b"nothing", FAILURE)
        mended = command("--base", server.url, "--replay", tmp_path)
        assert mended.exit_code == 0
        assert "right now" in mended.stdout
        assert server.seen[-1].startswith(b"DELETE / HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % server.port)


def test_only_loopback_and_what_is_allowed_is_fired_at(tmp_path: Path) -> None:
    done = command("--base", "http://192.0.2.1:80", "--run", "--corpus", tmp_path)
    assert isinstance(done.exception, UsageError)
    assert "expected a target on loopback or one that was allowed by name" in str(done.exception)


def test_a_corpus_that_is_none(tmp_path: Path) -> None:
    with serving() as server:
        done = command("--base", server.url, "--replay", tmp_path)
        assert "expected a directory with findings" in str(done.exception)
        (tmp_path / "a.json").write_text('{"version": 99}')
        done = command("--base", server.url, "--replay", tmp_path)
        assert "a.json: expected a finding as fuzz urls --run keeps it" in str(done.exception)
