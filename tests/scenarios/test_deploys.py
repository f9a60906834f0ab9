"""Versions and deploys of a scenario: what is compiled of them, and one clear sentence for each mistake."""

from typing import Any

import pytest
import yaml
from windtunnel import Scenario
from windtunnel.core.model import NONE, SECOND, Memory
from windtunnel.core.rollout.spec import Analyse, Bound, Pause, SetWeight
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.problems import ScenarioError

from ..support import plan, scenario

FLEET = {"app": {"initial": 2, "memory": {"total": "512MiB", "base": "100MiB"}}}


def document(*deploys: dict[str, Any], **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "duration": "60s",
        "fleet": FLEET,
        "versions": {"v2": {}},
        "deploys": list(deploys),
    }
    return {**base, **more}


def test_versions_keep_what_the_fleet_says_where_they_say_nothing() -> None:
    version = {
        "service_time": 1.5, "error_share": "2%", "memory": {"per_request": "3MB", "leak": "100KB"}, "boot_time": "5s", "crash_after": "30s",
    }  # fmt: skip
    fleet = plan(document({"at": "10s", "version": "v2"}, versions={"v2": version, "v3": {}})).fleet
    assert [one.name for one in fleet.versions] == ["v1", "v2", "v3"]
    first, second, _ = fleet.versions
    assert (first.cpu_factor, first.error_share, first.memory, first.crash_after) == (1.0, 0.0, None, NONE)
    assert (second.cpu_factor, second.error_share, second.crash_after) == (1.5, 0.02, 30 * SECOND)
    assert second.memory == Memory(512 << 20, 100 << 20, 3_000_000, 100_000)
    assert second.boot_time is not None
    assert second.boot_time.sample(1) == 5 * SECOND


def test_a_deploy_has_its_defaults_and_its_steps() -> None:
    steps = [
        {"set_weight": "12.5%"},
        {"pause": "5s"},
        {"analysis": {"for": "30s", "metrics": ["error_share"], "error_margin": "3%"}},
    ]
    deploys: list[dict[str, Any]] = [
        {"at": "20s", "branch": "canary", "version": "v2", "strategy": "canary", "steps": steps},
        {"at": "10s", "version": "v2", "strategy": "all_at_once", "max_surge": "25%"},
    ]
    classic, canary = plan(document(*deploys)).fleet.deploys
    assert (classic.name, classic.drain, classic.max_surge) == ("master v2", 0, Bound(share=0.25))
    assert (canary.name, canary.drain, canary.role) == ("canary v2", 10 * SECOND, "canary")
    weight, pause, analysis = canary.steps
    assert (weight, pause) == (SetWeight((1, 8)), Pause(5 * SECOND))
    assert isinstance(analysis, Analyse)
    assert (analysis.spec.length, analysis.spec.timeout, analysis.spec.latency) == (
        30 * SECOND,
        150 * SECOND,
        None,
    )
    assert analysis.spec.errors is not None
    assert analysis.spec.errors.margin == 0.03


def test_a_scenario_without_deploys_is_what_it_was() -> None:
    plain = {"duration": "10s"}
    versioned = {**plain, "versions": {"v9": {"service_time": 3}}}
    assert scenario(plain).fingerprint() == scenario(versioned).fingerprint()
    assert plan(versioned).fleet.versions == ()
    deployed = scenario(document({"at": "10s", "version": "v2"}))
    assert deployed.fingerprint() != scenario(document({"at": "11s", "version": "v2"})).fingerprint()
    again = Scenario.parse(yaml.safe_dump(deployed.resolved()))
    assert compile_plan(again).fleet.deploys == compile_plan(deployed).fleet.deploys


CANARY = {"at": "1s", "version": "v2", "strategy": "canary"}
MISTAKES = [
    ({"at": "1s", "version": "v3"}, "deploys[0].version: no version 'v3'; known are v2, v1"),
    ({"at": "1s", "version": "v2", "max_surge": 0}, "deploys[0]: expected max_surge or max_unavailable above 0, got 0 for both"),
    ({"at": "1s", "version": "v2", "max_surge": "x"}, "expected a number of servers such as 1, or a percentage such as 25%, got 'x'"),
    ({"at": "1s", "version": "v2", "steps": [{"pause": "1s"}]}, "deploys[0].steps: expected steps only with canary or blue_green"),
    ({**CANARY, "steps": [{"pause": "1s", "set_weight": "1%"}]}, "expected exactly one of set_weight, pause, analysis, got set_weight and pause"),
    ({**CANARY, "steps": [{"analysis": {"for": "9s", "timeout": "8s"}}]}, "timeout: expected timeout not below for"),
    ({**CANARY, "branch": "proxy"}, "deploys[0].strategy: expected rolling or all_at_once for the branch proxy"),
    ({"at": "1s", "version": "v2", "branch": "canary"}, "expected fleet.app.canaries above 0 for rolling of the branch canary"),
    ({"at": "1s", "version": "v2", "connections": "handed_over"}, "expected connections only for the branch proxy, got them for master"),
    ({**CANARY, "strategy": "blue_green", "steps": [{"analysis": {}}]}, "expected set_weight before an analysis of a second set"),
    ({"at": "60s", "version": "v2", "expect": "promoted"}, "deploys[0].at: expected a time before the end of the run"),
]  # fmt: skip


@pytest.mark.parametrize(("deploy", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_mistakes_are_told_in_a_sentence(deploy: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError) as found:
        scenario(document(deploy))
    text = str(found.value)
    assert says in text
    assert len(text.splitlines()) == 1, text


def test_an_analysis_of_memory_needs_a_limit_and_names_are_unique() -> None:
    steps = [{"analysis": {"metrics": ["memory"]}}]
    with pytest.raises(ScenarioError, match=r"expected fleet.app.memory.total for an analysis of memory"):
        scenario(document({**CANARY, "steps": steps}, fleet={}))
    with pytest.raises(ScenarioError, match=r"expected a unique name, got 'master v2' a second time"):
        scenario(document({"at": "1s", "version": "v2"}, {"at": "2s", "version": "v2"}))
