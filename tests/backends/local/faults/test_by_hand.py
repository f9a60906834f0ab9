"""Faults that are asked for by hand: what is refused, and that a flight carries out, records and undoes the others like its own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from windtunnel import Run, Scenario
from windtunnel.backends.live.whereabouts import TOKEN_FIELD, Whereabouts, read
from windtunnel.core.errors import UsageError
from windtunnel.core.model import SECOND, FaultSpec
from windtunnel.scenarios.asked_fault import asked_fault

from ...app.running import until
from ..test_flight import PATIENCE

STRUCK = """
scenario: by-hand
seed: 3
duration: 9s
fleet:
  app: {initial: 2, workers: 4, cores: 2, queue: 64}
  proxy: {upstream_timeout: 5s}
endpoints: [{path: /, cpu: {constant: 2ms}}]
traffic: [{name: users, stages: [{for: 9s, rate: 40/s}], client: {timeout: 3s, connections: {pool: 20}}}]
faults:
  - {name: errors, type: error, at: 1s, target: {count: all}, toxicity: 80%}
"""


def asked(wanted: object) -> FaultSpec:
    return asked_fault(Scenario.parse(STRUCK), wanted, "one", 2 * SECOND + 7)


def test_a_fault_in_the_scenarios_words_begins_when_it_is_asked_for() -> None:
    fault = asked(
        {"type": "latency", "for": "3s", "target": {"count": "all"}, "attributes": {"latency": "50ms"}}
    )
    assert (fault.name, fault.at, fault.until, fault.count) == ("one", 2 * SECOND + 7, 5 * SECOND + 7, -1)
    assert fault.number("latency") == 50_000_000
    assert asked({"type": "kill", "name": "end"}).name == "end"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (["kill"], 'expected a fault such as {"type": "kill"}'),
        ({"type": "kill", "at": "1s"}, "expected of a fault name, type, for, target"),
        ({"type": "kil"}, "type: "),
        ({}, "type: "),
        ({"type": "latency"}, "expected the attribute latency"),
        ({"type": "kill", "for": "3s"}, "for: expected no for: kill strikes at once"),
        ({"type": "kill", "target": {"role": "cloud"}}, "target.role: expected a target role among"),
        ({"type": "dependency_down"}, "expected a dependency for dependency_down"),
        ({"type": "autoscaler_pause"}, "expected an autoscaler for autoscaler_pause"),
        ({"type": "slow", "attributes": {"factor": "x" * 9}}, "attributes.factor: "),
        ({"type": "kill", "name": "errors"}, "name: "),
        ({"type": "kill", "name": {"a": 1}}, "name: "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(wanted: object, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        asked(wanted)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


class Asker:
    """A flight, and who asks it for faults."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder / "run"
        scenario = folder / "scenario.yaml"
        scenario.write_text(STRUCK)
        command = [
            "replay",
            str(scenario),
            "--backend",
            "local",
            "--allow-faults",
            "--no-figure",
            "--out",
            str(self.folder),
            *options,
        ]
        self._flight = subprocess.Popen(
            [sys.executable, "-m", "windtunnel", *command],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *error: object) -> None:
        self._flight.terminate()
        self._flight.communicate(timeout=PATIENCE)

    @property
    def where(self) -> Whereabouts:
        """Where the flight is."""
        found = read(self.folder)
        assert found is not None
        return found

    def ask(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST *body*; status and answer."""

        async def post() -> tuple[int, dict[str, Any]]:
            headers = {TOKEN_FIELD: self.where.token}
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{self.where.url}/v1/{path}", json=body, headers=headers) as answer,
            ):
                return answer.status, await answer.json()

        return asyncio.run(post())

    def strikes(self, body: Mapping[str, Any]) -> str:
        """Ask for a fault until the flight has begun, and it strikes; its name."""
        name: list[str] = []

        def struck() -> bool:
            status, answer = self.ask("faults", body)
            assert status == 201 or "has begun" in answer["message"], answer
            name.extend([answer["name"]] if status == 201 else [])
            return bool(name)

        until(lambda: read(self.folder) is not None, "the flight says where it is", PATIENCE)
        until(struck, "the fault strikes", PATIENCE)
        return name[0]

    def end(self) -> tuple[Run, str]:
        """The flight's run, and what was said meanwhile."""
        said = self._flight.communicate(timeout=PATIENCE)[1]
        return Run.open(self.folder), said


@pytest.mark.long
def test_a_flight_carries_them_out_and_undoes_them(tmp_path: Path) -> None:
    with Asker(tmp_path) as asker:
        far = asker.strikes(
            {"type": "latency", "target": {"count": "all"}, "attributes": {"latency": "200ms"}}
        )
        assert far == "latency-by-hand-1"
        assert asker.ask("faults", {"type": "kill", "name": far})[1]["message"].startswith(
            "name: expected another one"
        )
        stale = {"type": "stale_registry", "attributes": {"lag": "5s"}}
        assert (
            "expected the lag of a replica that the flight began with (none)"
            in asker.ask("faults", stale)[1]["message"]
        )
        status, slow = asker.ask("faults", {"type": "slow", "for": "1s", "attributes": {"factor": 3}})
        assert (status, slow["name"], len(slow["targets"])) == (201, "slow-by-hand-1", 1)
        lines = asker.folder / "events.jsonl"
        until(lambda: '"name":"errors"' in lines.read_text(), "the scenario's own strikes", PATIENCE)
        assert asker.ask("faults/stop", {"name": far})[0] == 200
        assert asker.ask("faults/stop", {"name": "errors"})[0] == 200
        status, answer = asker.ask("faults/stop", {"name": far})
        assert (status, answer["message"].startswith("expected the name of a fault that is in force")) == (
            400,
            True,
        )
        last = asker.strikes({"type": "latency", "attributes": {"latency": "10ms"}})
        token = asker.where.token
        run, said = asker.end()
        assert said.count(token) == 1
        assert read(asker.folder) is None
        told = [
            (one["event"], one["name"], one.get("by"))
            for one in run.events
            if one["event"] in ("fault", "fault_over")
        ]
        assert ("fault", far, "hand") in told
        assert ("fault_over", far, None) in told
        assert told.count(("fault_over", "slow-by-hand-1", None)) == 1
        assert ("fault", "errors", None) in told
        assert told.count(("fault_over", "errors", None)) == 1
        # Lasting to the flight's end, it has no end of its own in the log.
        assert ("fault", last, "hand") in told
        assert ("fault_over", last, None) not in told
        times = {one["name"]: one["t"] for one in run.events if one["event"] == "fault_over"}
        begun = next(one["t"] for one in run.events if one["event"] == "fault" and one["name"] == far)
        rows = run.requests.select(["time_ns", "latency_ns", "outcome"]).to_pylist()
        far_away = [row for row in rows if begun + SECOND // 4 < row["time_ns"] < times[far] - SECOND // 2]
        assert all(row["latency_ns"] >= 200_000_000 for row in far_away)
        well = [row for row in rows if row["time_ns"] > max(times.values()) + SECOND]
        assert well
        assert {row["outcome"] for row in well} == {"ok"}
        assert [json.loads(line)["event"] for line in lines.read_text().splitlines()].count("fault") == 4


@pytest.mark.long
def test_what_stops_faults_stops_them_too(tmp_path: Path) -> None:
    with Asker(tmp_path, "--stop-when", "error_rate > 50% for 2s") as asker:
        far = asker.strikes(
            {"type": "latency", "target": {"count": "all"}, "attributes": {"latency": "50ms"}}
        )
        lines = asker.folder / "events.jsonl"
        until(lambda: "faults_stopped" in lines.read_text(), "the condition holds", PATIENCE)
        status, answer = asker.ask("faults", {"type": "kill"})
        assert (status, "have not been ended" in answer["message"]) == (400, True)
        run, said = asker.end()
        assert "faults are ended: error_rate > 50% for 2s" in said
        over = [one["name"] for one in run.events if one["event"] == "fault_over"]
        assert sorted(over) == sorted(["errors", far])
        assert next(one for one in run.events if one["event"] == "faults_stopped")
