"""Deploys in the rehearsal, as scenarios: what they do to users, fleet and log, and that both engines agree."""

from typing import Any

import pytest
from windtunnel import Scenario, replay
from windtunnel.reports.run import Run

from ..support import TWINS, both_engines, happened, outcomes, run

__all__ = ["both_engines"]

V2: dict[str, Any] = {"v2": {}}


def document(
    deploys: list[dict[str, Any]], rate: str = "60/s", length: str = "60s", **more: Any
) -> dict[str, Any]:
    base: dict[str, Any] = {
        "duration": length,
        "fleet": {"app": {"initial": 3, "workers": 4, "boot_time": {"constant": "3s"}}},
        "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "20ms"}}}],
        "traffic": [
            {"name": "users", "stages": [{"for": length, "rate": rate}], "client": {"timeout": "5s"}}
        ],
        "versions": V2,
        "deploys": [{"at": "5s", "version": "v2", **deploy} for deploy in deploys],
    }
    return {**base, **more}


def versions(found: Run) -> dict[int, str]:
    """What each server runs at the end, by the log."""
    running: dict[int, str] = {}
    for event in found.events:
        if event["event"] in ("launched", "updated"):
            running[event["server"]] = event["version"]
        elif event["event"] in ("terminated", "crashed"):
            running.pop(event["server"], None)
    return running


def names(found: Run) -> list[str]:
    """The deploys' own events, without the looks of an analysis."""
    return [e["event"] for e in found.events if "deploy" in e and e["event"] != "analysis"]


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize("surge", [0, 1])
def test_a_rolling_deploy_loses_nothing(surge: int) -> None:
    found = run(
        document([{"max_surge": surge, "max_unavailable": 1 - surge, "install": "2s", "expect": "promoted"}])
    )
    assert set(outcomes(found)) == {"ok"}
    assert list(versions(found).values()) == ["v2"] * 3
    assert (sorted(versions(found)) == [1, 2, 3]) == (surge == 0)
    assert found.summary["passed"]
    assert found.summary["deploys"][0]["outcome"] == "promoted"
    sizes = found.summary["fleet"]
    assert sizes["least"] == 3 - (1 - surge)
    assert sizes["most"] == 3


@pytest.mark.usefixtures("both_engines")
def test_all_at_once_loses_all_that_comes_meanwhile() -> None:
    found = run(document([{"strategy": "all_at_once", "install": "6s"}], length="30s"))
    assert [e["t"] for e in happened(found, "updating")] == [5_000_000_000] * 3
    # Six seconds of installation, three of boot, two at the gate: 60 requests in each.
    assert 500 <= outcomes(found)["no_server"] <= 800
    assert found.summary["fleet"]["least"] == 0


@pytest.mark.usefixtures("both_engines")
def test_a_second_set_takes_over_at_once_and_the_first_is_kept() -> None:
    found = run(document([{"strategy": "blue_green", "keep": "10s", "expect": "promoted"}]))
    assert set(outcomes(found)) == {"ok"}
    assert versions(found) == {4: "v2", 5: "v2", 6: "v2"}
    ready = {e["t"] for e in happened(found, "ready") if e["server"] > 3}
    assert len(ready) == 1
    assert {e["t"] for e in happened(found, "draining")} == ready
    assert min(e["t"] for e in happened(found, "terminated")) >= min(ready) + 10_000_000_000


@pytest.mark.usefixtures("both_engines")
def test_a_version_that_crashes_is_rolled_back() -> None:
    found = run(
        document(
            [{"verify": "20s", "deadline": "20s", "expect": "rolled_back"}],
            length="120s",
            versions={"v2": {"crash_after": "9s"}},
        )
    )
    assert list(versions(found).values()) == ["v1"] * 3
    assert found.summary["passed"], found.summary["slo"]
    assert "failed" in found.summary["deploys"][0]["reason"]


@pytest.mark.usefixtures("both_engines")
def test_the_newer_push_wins() -> None:
    """v3 is pushed while v2 is half way; the fleet ends with v3 alone."""
    deploys: list[dict[str, Any]] = [
        {"max_surge": 0, "max_unavailable": 1},
        {"at": "12s", "version": "v3", "expect": "promoted"},
    ]
    found = run(document(deploys, length="90s", versions={"v2": {}, "v3": {}}))
    superseded = happened(found, "deploy_superseded")
    assert [(e["deploy"], e["by"]) for e in superseded] == [("master v2", "master v3")]
    assert list(versions(found).values()) == ["v3"] * 3
    assert set(outcomes(found)) == {"ok"}
    assert [one["outcome"] for one in found.summary["deploys"]] == ["superseded", "promoted"]


@pytest.mark.usefixtures("both_engines")
def test_what_was_not_expected_fails_the_run() -> None:
    late = {"at": "59s", "version": "v3", "name": "late", "expect": "promoted"}
    found = run(document([{"expect": "rolled_back"}, late], versions={"v2": {}, "v3": {}}))
    assert not found.summary["passed"]
    assert [(row["name"], row["held"], row["value"]) for row in found.summary["slo"]] == [
        ("deploy master v2", False, None),
        ("deploy late", False, None),
    ]
    assert [one["outcome"] for one in found.summary["deploys"]] == ["promoted", "unfinished"]


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize("connections", ["lost", "handed_over"])
def test_a_deploy_of_the_proxy(connections: str) -> None:
    deploy = {
        "branch": "proxy",
        "version": "p2",
        "install": "3s",
        "connections": connections,
        "expect": "promoted",
    }
    found = run(document([deploy], length="30s"))
    assert found.summary["passed"]
    if connections == "handed_over":
        assert set(outcomes(found)) == {"ok"}
        assert happened(found, "proxy_handed_over")[0]["version"] == "p2"
    else:
        assert sum(outcomes(found).values()) - outcomes(found)["ok"] > 100
        down, up = happened(found, "proxy_down")[0], happened(found, "proxy_up")[0]
        assert (down["t"], up["t"]) == (5_000_000_000, 8_000_000_000)


@pytest.mark.usefixtures("both_engines")
def test_a_deploy_of_the_registry_restarts_the_autoscaler() -> None:
    found = run(
        document(
            [{"branch": "redis", "version": "r2", "install": "4s", "expect": "promoted"}],
            rate="200/s",
            autoscaler={
                "policy": {"target_tracking": {"metric": "requests", "target": "40/s"}},
                "interval": "1s",
                "cooldown": "3s",
            },
        )
    )
    assert found.summary["passed"]
    assert set(outcomes(found)) == {"ok"}
    decided = [e["t"] for e in happened(found, "decision") if e.get("desired", -1) >= 0]
    assert not [t for t in decided if 5_000_000_000 < t < 9_000_000_000]
    assert [t for t in decided if t >= 9_000_000_000]


@pytest.mark.usefixtures("both_engines")
def test_who_scales_does_not_drain_what_has_just_taken_its_place() -> None:
    """The autoscaler, back after the registry, wants fewer in the very second after two new servers were registered."""
    found = run(
        document(
            [
                {"at": "1s", "branch": "redis", "version": "r2", "install": "3s"},
                {"at": "8s", "max_surge": 2, "min_ready": "1s", "expect": "promoted"},
            ],
            length="26s",
            seed=3,
            endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "5ms"}}}],
            fleet={"app": {"initial": 2, "workers": 4, "boot_time": {"constant": "1500ms"}, "max": 4}},
            traffic=[
                {
                    "name": "users",
                    "stages": [{"for": "10s", "rate": "30/s"}, {"for": "16s", "rate": "70/s"}],
                    "client": {"timeout": "10s"},
                }
            ],
            autoscaler={
                "policy": {"target_tracking": {"metric": "requests", "target": "20/s"}},
                "interval": "1s",
                "cooldown": "3s",
            },
        )
    )
    assert set(outcomes(found)) == {"ok"}
    assert found.summary["passed"]
    placed = [(e["event"], e["server"]) for e in found.events if e["event"] in ("ready", "registered")]
    assert len(set(placed)) == len(placed), "a server was put back into its place"
    assert not happened(found, "registered")


@pytest.mark.usefixtures("both_engines")
def test_a_canary_without_traffic_pauses_and_in_the_end_goes() -> None:
    steps = [{"set_weight": "10%"}, {"analysis": {"for": "5s", "every": "1s", "timeout": "15s"}}]
    found = run(document([{"strategy": "canary", "steps": steps, "expect": "rolled_back"}], rate="1/m"))
    assert happened(found, "deploy_paused")[-1]["reason"].startswith("inconclusive: error_share: no traffic")
    assert "no verdict in time" in found.summary["deploys"][0]["reason"]
    assert found.summary["passed"]
    assert list(versions(found).values()) == ["v1"] * 3


@pytest.mark.usefixtures("both_engines")
def test_a_good_canary_is_promoted_and_leaves() -> None:
    steps = [
        {"set_weight": "50%"},
        {"analysis": {"for": "15s", "error_margin": "5%", "latency_margin": "100%"}},
    ]
    found = run(document([{"strategy": "canary", "steps": steps, "expect": "promoted"}], length="100s"))
    assert found.summary["passed"], found.summary["deploys"]
    assert set(outcomes(found)) == {"ok"}
    assert list(versions(found).values()) == ["v2"] * 3
    assert [e["share"] for e in happened(found, "weight_set")] == ["0/1", "1/2", "0/1", "default"]
    assert happened(found, "analysis")[-1]["verdict"] == "pass"
    assert names(found)[0] == "deploy_started"


@pytest.mark.usefixtures("both_engines")
def test_the_classic_canary_of_the_fleet_is_exchanged_in_place() -> None:
    fleet = {"app": {"initial": 2, "canaries": 1, "workers": 4}, "proxy": {"canary_every": 4}}
    steps = [{"analysis": {"for": "15s"}}]
    found = run(
        document(
            [
                {
                    "branch": "canary",
                    "strategy": "canary",
                    "steps": steps,
                    "expect": "rolled_back",
                    "install": "1s",
                }
            ],
            fleet=fleet,
            versions={"v2": {"error_share": "30%"}},
        )
    )
    assert found.summary["passed"]
    assert versions(found) == {1: "v1", 2: "v1", 3: "v1"}
    # Each fourth request, as the classic fleet does it.
    assert [e["share"] for e in happened(found, "weight_set")] == ["0/1", "1/4", "0/1", "default"]


@pytest.mark.long
def test_error_rates_of_whole_rehearsals() -> None:
    """Over forty seeds, with the queues that requests share: the slow canary never passes, one that is like its baseline is hardly ever taken back."""
    good = ["versions.v2.service_time=1", "deploys[0].expect=promoted", "duration=240s"]
    ends = {}
    for name, changes in (("slow", []), ("good", good)):
        made = [
            replay(Scenario.load("canary-slow", changes).with_seed(seed), **TWINS) for seed in range(1, 41)
        ]
        ends[name] = [one.summary["deploys"][0]["outcome"] for one in made]
    assert ends["slow"] == ["rolled_back"] * 40
    # Five in a hundred may be: six of forty have a probability below 2%.
    assert ends["good"].count("promoted") >= 35


SHORT = {
    "deploy-rolling-flash-crowd": ["duration=55s", "deploys[0].at=5s"],
    "deploy-all-at-once": ["duration=50s"],
    "canary-slow": ["duration=50s", "deploys[0].at=2s"],
    "canary-errors": ["duration=40s", "deploys[0].at=2s"],
    "canary-leak": ["duration=60s", "deploys[0].at=2s"],
    "deploy-registry-while-scaling": ["duration=60s"],
}


@pytest.mark.parametrize("name", SHORT)
def test_engines_agree_on_deploys(name: str) -> None:
    scenario = Scenario.load(name, SHORT[name])
    kernel, reference = (replay(scenario, engine=engine, **TWINS) for engine in ("kernel", "simpy"))
    assert kernel.lines == reference.lines
    assert kernel.digest == reference.digest
    assert happened(kernel, "deploy_started")
