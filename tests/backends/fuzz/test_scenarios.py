"""Findings as scenarios: each passes in the rehearsal where the rules do not explain it, and fails in flight while it is true."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from typer.testing import CliRunner
from windtunnel import Run, Scenario, replay
from windtunnel.backends.local.options import FlightOptions
from windtunnel.cli import app
from windtunnel.core.http.intake import PASSED, REFUSED
from windtunnel.core.model import SourceSpec
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.fuzz.format_finding import finding_scenario
from windtunnel.scenarios.fuzz.format_wire import read_as_said
from windtunnel.scenarios.fuzz.requests import Request
from windtunnel.scenarios.fuzz.strategies import hostile
from windtunnel.scenarios.fuzz.wire import RESET, WAIT, Step, Wire, wire_of

from .faulty import OK, Server, serving
from .test_hunt import FAILURE, hunt, when

TWINS: dict[str, Any] = {"registry": "memory", "cloud": "memory"}
HEAD = b"GET / HTTP/1.1\r\nHost: {authority}\r\n"


def flown(path: Path, server: Server) -> Run:
    scenario = Scenario.load(path, ["duration=2500ms"])
    return replay(scenario, backend="attach", flight=FlightOptions(proxy=server.url), figure=False)


def outcomes(run: Run, source: str = "finding") -> list[tuple[str, int]]:
    return [(row["outcome"], row["status"]) for row in run.requests.to_pylist() if row["source"] == source]


def scenario_of(wire: Wire, request: Request | None = None, came: tuple[int, ...] = ()) -> Scenario:
    text = finding_scenario("a-finding", "something is wrong", wire, request, came, (), "/", None)
    return Scenario.parse(text)


def source_of(scenario: Scenario) -> SourceSpec:
    return compile_plan(scenario).fleet.sources[0]


def held(run: Run) -> dict[str, bool]:
    return {slo["name"].split()[0]: slo["held"] for slo in run.summary["slo"]}


@pytest.mark.long
def test_a_planted_fault_is_found_kept_as_a_scenario_and_flown(tmp_path: Path) -> None:
    with serving(when(b"^DELETE", FAILURE)) as server:
        ((finding, path),) = hunt(server, tmp_path, "methods=1", 40).findings
        assert finding.wire.data.startswith(b"DELETE")
        written = path.with_suffix(".yaml")
        text = written.read_text()
        assert "# Found by fuzz urls --run: the status 500 that nothing explains" in text
        assert "# Came: 500." in text
        rehearsed = replay(Scenario.load(written), **TWINS)
        assert outcomes(rehearsed) == [("ok", 200)]
        assert rehearsed.passed
        seen = len(server.seen)
        true = flown(written, server)
        assert outcomes(true) == [("app_error", 500)]
        assert held(true) == {"finding": False, "bystanders": True}
        sent = finding.wire.data.replace(b"{authority}", b"127.0.0.1:%d" % server.port)
        assert sent in server.seen[seen:]


@pytest.mark.long
def test_what_a_proxy_takes_and_ought_to_refuse(tmp_path: Path) -> None:
    """Both length headers at once: the rehearsal refuses them; a server that answers fails the flight until it is mended."""
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    behaviour = when(b"nothing", OK)
    wire = Wire("x", (Step(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),))
    written = tmp_path / "both.yaml"
    written.write_text(finding_scenario("both", "answered", wire, None, (200,), (), "/", None))
    rehearsed = replay(Scenario.load(written), **TWINS)
    assert outcomes(rehearsed) == [("ok", 400)]
    assert rehearsed.passed
    with serving(lambda request: behaviour(request)) as server:
        true = flown(written, server)
        assert outcomes(true) == [("app_error", 200)]
        assert held(true) == {"finding": False, "bystanders": True}
        behaviour = when(b"transfer-encoding", refusal)
        mended = flown(written, server)
        assert outcomes(mended) == [("ok", 400)]
        assert mended.passed


def test_an_ordinary_source_where_it_shows_the_fault() -> None:
    plain = Request("known", "GET", "/items")
    assert source_of(scenario_of(wire_of(plain), plain, (500,))).ordinary
    assert source_of(scenario_of(wire_of(plain), plain)).ordinary
    assert not source_of(scenario_of(wire_of(plain), plain, (400,))).ordinary
    for more in (
        Request("odd", "GET", "/%41"),
        Request("known", "GET", "/items?a=1"),
        Request("headers", "GET", "/", (("x", "y"),)),
    ):
        assert not source_of(scenario_of(wire_of(more), more, (500,))).ordinary


def test_a_client_that_leaves_has_no_objective_of_its_own() -> None:
    scenario = scenario_of(Wire("x", (Step(HEAD, 0.02),), end=RESET))
    assert [slo.traffic for slo in scenario.document.slo] == [["bystanders"]]
    run = replay(scenario, **TWINS)
    assert outcomes(run) == [("client_timeout", 0)]
    assert run.passed


@settings(max_examples=25, deadline=None)
@given(hostile())
@example(Wire("nothing", (Step(b"\r\n\r\n"),)))
def test_any_hostile_bytes_are_a_scenario_that_passes_its_rehearsal(wire: Wire) -> None:
    scenario = scenario_of(wire)
    plan = compile_plan(scenario)
    assert b"".join(data for _, data in plan.exact[0].pieces) == wire.data
    said = read_as_said(wire)
    run = replay(scenario, engine="simpy", **TWINS)
    assert run.passed
    if wire.end == WAIT and wire.reads:
        came = [status for _, status in outcomes(run)]
        assert came == [one.status if one.became == REFUSED else 200 for one in said] or not said
        assert all(one.became in (PASSED, REFUSED) or one.status == 200 for one in said)


def test_hostile_bytes_in_a_generated_scenario(tmp_path: Path) -> None:
    out = tmp_path / "x.yaml"
    words = ["fuzz", "urls", "--format", "scenario", "--hostile", "--output", str(out), "--seed", "3", "--count", "30", "--requests", "5-20", "--rate", "20-50"]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    scenario = Scenario.load(out, ["duration=3s"])
    fuzz, wires = scenario.document.traffic
    assert fuzz.loadtest == "x.json"
    assert wires.wire is not None
    assert 3 < len(wires.wire.connections) < 30
    seen = {outcome for outcome, _ in outcomes(replay(scenario, **TWINS), "hostile[0]")}
    assert seen
