"""Deploys in flight: what the rehearsal's do, with the same events, and without a lost request where none is to be lost."""

import os
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Run, Scenario, compare, replay
from windtunnel.backends.aws.world import check_flight
from windtunnel.backends.local.options import FlightOptions
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.build import compile_plan

COMMON = """
scenario: NAME
seed: 3
duration: LENGTH
fleet:
  app: {initial: 2, workers: 4, cores: 2, queue: 64, boot_time: {constant: 1500ms}}
  proxy: {upstream_timeout: 20s}
endpoints:
  - {path: /, cpu: {exponential: {mean: 5ms}}}
traffic:
  - {name: users, stages: [{for: LENGTH, rate: 40/s}], client: {timeout: 10s, connections: {pool: 50}}}
"""
ROLLING = (
    COMMON.replace("NAME", "rolling").replace("LENGTH", "18s")
    + """
versions: {v2: {}}
deploys:
  - {at: 1s, version: v2, max_surge: 0, max_unavailable: 1, install: 0s, min_ready: 1s, expect: promoted}
"""
)
CANARY = (
    COMMON.replace("NAME", "canary").replace("LENGTH", "16s")
    + """
versions: {v2: {error_share: 60%}}
deploys:
  - at: 1s
    branch: canary
    version: v2
    strategy: canary
    min_ready: 1s
    drain: 2s
    steps: [{set_weight: 25%}, {analysis: {for: 10s, every: 1s}}]
    expect: rolled_back
"""
)
PARTS = (
    COMMON.replace("NAME", "parts").replace("LENGTH", "20s")
    + """
  - {name: fresh, stages: [{for: 20s, rate: 20/s}], client: {timeout: 10s, connections: per_request}}
versions: {v2: {}}
deploys:
  - {at: 1s, branch: proxy, version: p2, connections: handed_over, min_ready: 1s, expect: promoted}
  - {at: 1s, branch: redis, version: r2, install: 2s, min_ready: 1s, expect: promoted}
  - {at: 7s, version: v2, strategy: blue_green, keep: 2s, min_ready: 1s, expect: promoted}
"""
)

DEPLOY_EVENTS = {
    "launched", "ready", "draining", "updating", "updated", "registered", "terminated", "deploy_started", "deploy_step", "weight_set", "rollback_started",
    "deploy_promoted", "deploy_rolled_back", "proxy_handed_over", "registry_restarted",
}  # fmt: skip


def flown(text: str) -> tuple[Run, Run]:
    """Rehearsed, and flown."""
    scenario = Scenario.parse(text)
    return replay(scenario), replay(scenario, backend="local")


def story(run: Run, subject: Any) -> list[tuple[str, ...]]:
    """What happened to a server, or in a deploy, in order, with the fields that are known beforehand."""
    told = ("role", "version", "previous", "strategy", "branch", "share", "does", "step")
    return [
        (event["event"], *(f"{name}={event[name]}" for name in told if name in event))
        for event in run.events
        if event["event"] in DEPLOY_EVENTS and subject in (event.get("server"), event.get("deploy"))
    ]


@pytest.mark.long
def test_a_rolling_deploy_in_place_loses_nothing() -> None:
    rehearsed, run = flown(ROLLING)
    assert run.passed, run.summary
    assert set(run.summary["outcomes"]) == {"ok"}
    for subject in (1, 2, "master v2"):
        assert story(run, subject) == story(rehearsed, subject)
    assert run.summary["deploys"][0]["outcome"] == "promoted"
    by_server = {row["server"] for row in run.attempts.to_pylist()}
    assert by_server == {1, 2}


@pytest.mark.long
def test_a_canary_with_errors_is_rolled_back() -> None:
    rehearsed, run = flown(CANARY)
    assert run.passed, run.summary
    assert run.summary["deploys"][0]["outcome"] == "rolled_back"
    assert "error_share" in run.summary["deploys"][0]["reason"]
    for subject in (3, "canary v2"):
        assert story(run, subject) == story(rehearsed, subject)
    failed = sum(count for outcome, count in run.summary["outcomes"].items() if outcome != "ok")
    assert 0 < failed < run.summary["planned"] / 4
    looks = [event for event in run.events if event["event"] == "analysis"]
    assert looks[-1]["verdict"] == "fail"
    assert {"deploy", "verdict", "reason", "metrics"} <= set(looks[-1])


@pytest.mark.long
def test_proxy_registry_and_a_second_set() -> None:
    rehearsed, run = flown(PARTS)
    assert run.passed, run.summary
    # The proxy hands over while the registry is away or comes back, and nobody notices either.
    assert set(run.summary["outcomes"]) == {"ok"}
    assert [one["outcome"] for one in run.summary["deploys"]] == ["promoted"] * 3
    for subject in (1, 2, 3, 4, "proxy p2", "redis r2", "master v2"):
        assert story(run, subject) == story(rehearsed, subject)


def test_where_deploys_cannot_be_carried_out_they_are_refused() -> None:
    scenario = Scenario.parse(CANARY)
    attached = FlightOptions(proxy="http://127.0.0.1:9")
    with pytest.raises(UsageError, match="expected --redis-url for a scenario with deploys"):
        replay(scenario, backend="attach", flight=attached)
    with pytest.raises(UsageError, match="without deploys, got canary v2; rehearse it"):
        check_flight(compile_plan(scenario), scenario, FlightOptions(redis_url="redis://10.0.0.1:6379/0"))
    given = FlightOptions(redis_url="redis://127.0.0.1:9/0")
    with pytest.raises(UsageError, match="redis r2: expected a flight without --redis-url"):
        replay(Scenario.parse(PARTS), backend="local", flight=given)


@pytest.mark.long
def test_a_bad_canary_affects_less_than_its_share_in_flight_too(tmp_path: Path) -> None:
    """Of three flights one must be within tolerance: a machine that does something else meanwhile is no fleet's fault."""
    replay("canary-errors", out=tmp_path / "rehearsal", figure=False)
    verdicts = []
    for turn in range(3):
        run = replay("canary-errors", backend="local", out=tmp_path / f"flight-{turn}", figure=False)
        assert run.passed, run.summary["slo"]
        assert run.summary["deploys"][0]["outcome"] == "rolled_back"
        failed = run.summary["planned"] - run.summary["outcomes"]["ok"]
        assert 0 < failed < run.summary["planned"] / 10
        found = compare(tmp_path / "rehearsal", tmp_path / f"flight-{turn}")
        verdicts.append([[figure.name, figure.verdict] for figure in found.figures])
        if found.within:
            return
    pytest.fail(f"load average {os.getloadavg()[0]:.1f}: {verdicts}")
