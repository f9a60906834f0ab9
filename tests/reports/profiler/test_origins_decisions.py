"""Failures that go back to a deploy or a scaling decision, or to demand alone."""

from copy import deepcopy
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.diagnosis import diagnose
from windtunnel.reports.profiler.signatures import Diagnosis
from windtunnel.tests.reports.profiler.catalogue import QUIET, SCALER, Truth, judged, shop
from windtunnel.tests.support import plan, run


def deploying(version: dict[str, Any], **more: Any) -> dict[str, Any]:
    document = shop("300/s", "40s")
    document["faults"] = [deepcopy(QUIET)]
    document["versions"] = {"v2": version}
    document["deploys"] = [{"name": "next", "at": "8s", "version": "v2", "install": "1s", **more}]
    return document


def against_none(document: dict[str, Any]) -> Truth:
    """What is put down to the deploy, against the same rehearsal without it."""
    return judged(run(document), document, run({**document, "deploys": []}), "next")


CANARY: dict[str, Any] = {
    "branch": "canary", "strategy": "canary", "steps": [{"set_weight": "25%"}, {"pause": "6s"}, {"analysis": {"for": "15s"}}],
}  # fmt: skip


def test_the_errors_of_a_bad_canary_are_its_deploys() -> None:
    found = against_none(deploying({"error_share": "20%"}, **CANARY))
    assert found.caused > 100
    assert found.share == 1.0
    assert found.decoy == 0
    (total,) = found.diagnosis.origins
    assert (total.origin.kind, total.origin.type) == ("deploy", "canary")
    assert {one.signature.version for one in found.diagnosis.failures} == {"v2"}
    assert {one.rule for failures in found.diagnosis.failures for one in failures.origins} == {
        "version answered wrong"
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("version", "how"),
    [
        ({}, {"strategy": "all_at_once"}),
        ({"crash_after": "3s"}, {"strategy": "all_at_once"}),
        ({"memory": {"base": "200MiB", "per_request": "1MiB", "leak": "1MiB"}}, {"strategy": "all_at_once"}),
        ({"service_time": 60}, {"strategy": "all_at_once"}),
        ({"error_share": "10%"}, {}),
        ({"service_time": 60}, CANARY),
    ],
)
def test_whatever_a_deploy_fails_is_the_deploys(version: dict[str, Any], how: dict[str, Any]) -> None:
    found = against_none(deploying(version, **how))
    assert found.caused > 50
    assert found.share >= 0.95, found.missed
    assert found.decoy == 0


def said(document: dict[str, Any]) -> Diagnosis:
    return diagnose(Evidence.of(run(document), plan(document).fleet))


def test_requests_that_a_scale_in_kills_are_its_decisions() -> None:
    """Exports of eight seconds, a drain of two."""
    document = shop(
        "20/s", "30s", app={"initial": 4, "min": 2, "workers": 40}, proxy={"upstream_timeout": "30s"}
    )
    document["endpoints"].append({"path": "/export", "weight": 2, "io": {"constant": "8s"}})
    document["traffic"][0]["client"]["timeout"] = "30s"
    document["autoscaler"] = {
        **SCALER, "policy": {"threshold": {"requests_high": "190/s", "requests_low": "60/s"}}, "cooldown": "6s", "drain_timeout": "2s",
    }  # fmt: skip
    document["faults"] = [deepcopy(QUIET)]
    alone = {**document}
    del alone["autoscaler"]
    assert said(alone).count == 0
    found = said(document)
    assert found.count > 10
    assert {total.origin.kind for total in found.origins} == {"scaling"}
    drained = {total.origin.name for total in found.origins}
    assert drained == {"drain 4", "drain 3"}
    (failures,) = found.failures
    assert (failures.signature.cause, failures.signature.route) == ("the server died", "/export")
    assert sum(one.count for one in failures.origins) == failures.count


def flooding(**scaler: Any) -> dict[str, Any]:
    """Twice what three servers can do from 8 s on."""
    document = shop("300/s", "30s")
    document["traffic"][0]["stages"] = [{"for": "8s", "rate": "300/s"}, {"for": "22s", "rate": "1300/s"}]
    document["autoscaler"] = {**deepcopy(SCALER), **scaler}
    document["faults"] = [deepcopy(QUIET)]
    return document


def test_demand_beyond_capacity_while_boots_are_under_way_is_load() -> None:
    found = said(flooding())
    assert found.count > 100
    assert set(found.by_name()) == {"load"}


def test_a_scale_out_that_does_not_come_is_late() -> None:
    """Its policy wants more only at a load that no server can carry; until one could have booted, it is the crowd's."""
    found = said(flooding(policy={"threshold": {"requests_high": "2000/s", "requests_low": "20/s"}}))
    late = next(total for total in found.origins if total.origin.kind == "scaling")
    load = next(total for total in found.origins if total.origin.kind == "load")
    assert late.origin.name == "late scale-out"
    assert late.first >= 8 * SECOND + 3 * SECOND, "after a boot"
    assert load.last <= late.first + SECOND
    assert late.count > load.count


def test_a_run_without_failures_has_no_origins() -> None:
    found = said(shop("100/s", "5s"))
    assert (found.count, found.failures, found.origins) == (0, (), ())


def test_a_storm_that_outlives_its_fault_is_the_faults() -> None:
    """A pause of two seconds; clients try again so eagerly that the fleet never recovers by itself."""
    document = shop("330/s", "30s", app={"initial": 2, "min": 2, "queue": 60})
    document["traffic"][0]["client"] = {"timeout": "300ms", "retries": {"attempts": 8, "backoff": "10ms"}}
    document["faults"] = [
        deepcopy(QUIET),
        {
            "name": "hiccup",
            "type": "pause",
            "at": "8s",
            "for": "3s",
            "target": {"role": "app", "count": "all"},
        },
    ]
    calm = {**document, "faults": [deepcopy(QUIET)]}
    found = judged(run(document), document, run(calm), "hiccup")
    assert found.diagnosis.origins[0].last > 12 * SECOND, "it goes on after the fault"
    assert found.share >= 0.95, found.missed
    assert found.decoy == 0
