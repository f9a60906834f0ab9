"""The autoscaler's guards in the scenario file, at work in a rehearsal: cap on cost, dry run, victims, waits after refusals."""

from typing import Any

import pytest
from windtunnel.reports.decision_log import DecisionLog
from windtunnel.reports.explanation import story
from windtunnel.reports.run import Run
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.sim.faults.support import fault, growing, times
from windtunnel.tests.support import happened, plan, run, scenario


def priced(price: float = 0.1, **scaler: Any) -> dict[str, Any]:
    document = growing(**scaler)
    document["fleet"]["cloud"] = {"instance_cost": price}
    return document


def decided(found: Run, column: str) -> list[Any]:
    values: list[Any] = found.decisions.column(column).to_pylist()
    return values


def told(found: Run, document: dict[str, Any]) -> str:
    spec = plan(document).fleet.autoscaler
    assert spec is not None
    return " ".join(sentence.text for sentence in story(DecisionLog(found), spec))


def test_the_cap_on_cost_holds_and_is_told() -> None:
    free = run(growing())
    assert len(happened(free, "launched")) >= 3
    document = priced(max_cost=0.2)
    found = run(document)
    assert len(happened(found, "launched")) == 2
    assert "at cost cap" in {event["reason"] for event in happened(found, "decision")}
    assert "at cost cap" in decided(found, "reason")
    assert "the cap on cost pays for 2 instances at a time" in told(found, document)


def test_three_tenths_pay_for_three_instances_at_a_tenth() -> None:
    spec = plan(priced(max_cost=0.3)).fleet.autoscaler
    assert spec is not None
    assert spec.affordable == 3


def test_a_dry_run_decides_and_touches_nothing() -> None:
    document = growing(fault("kill", "6s", target={"role": "app"}), dry_run=True, dead_after="5s")
    document["fleet"]["app"].update(initial=2)
    document["traffic"][0]["stages"][0]["rate"] = "250/s"
    found = run(document)
    assert len(happened(found, "launched")) == 2, "the fleet that it begins with"
    assert not {"draining", "terminated", "promoted"} & {event["event"] for event in found.events}
    assert set(decided(found, "dry_run")) == {True}
    assert any(action.startswith("launch") for action in decided(found, "actions"))
    assert any("(silent)" in action for action in decided(found, "actions"))
    assert "in this dry run it would have been made" in told(found, document)
    assert run(document).digest == found.digest


@pytest.mark.parametrize(("rule", "first"), [("youngest", 3), ("oldest", 1)])
def test_victims(rule: str, first: int) -> None:
    document = growing(victims=rule)
    document["fleet"]["app"].update(initial=3)
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "3/s"}]
    assert happened(run(document), "draining")[0]["server"] == first


def test_waits_after_refusals_are_the_same_in_a_rerun_and_others_with_another_seed() -> None:
    document = growing(fault("capacity_error", "0s", length="19s"))
    one, again = run(document), run(document)
    assert one.digest == again.digest
    assert "the cloud had refused a launch" in told(one, document)
    asked = {tuple(times(run(document, seed=seed), "launch_refused")) for seed in range(8)}
    assert len(asked) > 1


def test_settings_at_their_defaults_are_no_other_scenario() -> None:
    plain = scenario(growing())
    stated = growing(victims="youngest", orphans="adopt", dry_run=False)
    stated["fleet"]["cloud"] = {"instance_cost": 0.5}
    assert scenario(stated).fingerprint() == plain.fingerprint()
    others = [
        growing(victims="oldest"), growing(orphans="terminate"), growing(dry_run=True), priced(max_cost=2.0),
        priced(0.2, max_cost=2.0),
    ]  # fmt: skip
    assert len({scenario(one).fingerprint() for one in [*others, growing()]}) == 6


@pytest.mark.parametrize(
    ("price", "settings", "complaint"),
    [
        (None, {"max_cost": 1.0}, "autoscaler.max_cost: expected fleet.cloud.instance_cost to go with it, got none"),
        (0.6, {"max_cost": 0.5}, "autoscaler.max_cost: expected at least 1 times fleet.cloud.instance_cost, for so many servers there are at least; it pays for 0"),
        (0.1, {"max_cost": 0}, "autoscaler.max_cost: expected"),
        (0.1, {"victims": "random"}, "autoscaler.victims: expected"),
        (0.1, {"orphans": "ignore"}, "autoscaler.orphans: expected"),
    ],
)  # fmt: skip
def test_bad_settings(price: float | None, settings: dict[str, Any], complaint: str) -> None:
    document = growing(**settings)
    if price is not None:
        document["fleet"]["cloud"] = {"instance_cost": price}
    with pytest.raises(ScenarioError) as caught:
        scenario(document)
    assert complaint in str(caught.value)
