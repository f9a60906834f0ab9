"""Policies and alerts on custom metrics, rehearsed on both engines."""

from typing import Any

import pytest
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.scenarios.references import warnings
from windtunnel.tests.sim.faults.support import even
from windtunnel.tests.support import both_engines, happened, run, scenario

_ = both_engines

pytestmark = pytest.mark.usefixtures("both_engines")


def fleet(policy: dict[str, Any], **more: Any) -> dict[str, Any]:
    app = {
        "initial": 1, "min": 1, "max": 6, "workers": 50, "boot_time": {"constant": "2s"},
        "metrics": {"files": {"base": 40, "per_in_flight": 2}, "seen": {"per_request": 0.5}, "jobs": {}},
    }  # fmt: skip
    document = even(
        "150/s", "30s", fleet={"app": app}, autoscaler={"policy": policy, "cooldown": "2s"}, **more
    )
    document["endpoints"] = [{"path": "/", "cpu": {"constant": "1ms"}, "io": {"constant": "100ms"}}]
    return document


def actions(document: dict[str, Any]) -> list[tuple[str, int, Any]]:
    names = ("launched", "draining", "terminated")
    return [(e["event"], e["t"], e["server"]) for e in run(document).events if e["event"] in names]


@pytest.mark.parametrize(
    ("custom", "plain"),
    [
        ({"target_tracking": {"custom": "seen", "target": 20}}, {"target_tracking": {"metric": "requests", "target": "40/s"}}),
        ({"panic": {"custom": "seen", "target": 20}}, {"panic": {"metric": "requests", "target": "40/s"}}),
        ({"target_tracking_hpa": {"metrics": [{"custom": "seen", "target": 20}]}},
         {"target_tracking_hpa": {"metrics": [{"metric": "requests", "target": "40/s"}]}}),
        ({"target_tracking_aws": {"custom": "seen", "target": 20, "period": "2s", "in_datapoints": 3}},
         {"target_tracking_aws": {"metric": "requests", "target": "40/s", "period": "2s", "in_datapoints": 3}}),
        ({"step": {"scale_out": {"custom": "seen", "threshold": 40, "period": "3s", "steps": [{"lower": 0, "upper": 10, "adjustment": 1}, {"lower": 10, "adjustment": 2}]}}},
         {"step": {"scale_out": {"threshold": "80/s", "period": "3s", "steps": [{"lower": 0, "upper": "20/s", "adjustment": 1}, {"lower": "20/s", "adjustment": 2}]}}}),
        ({"simple": {"scale_out": {"custom": "seen", "threshold": 40.0, "period": "3s", "adjustment": 1}}},
         {"simple": {"scale_out": {"threshold": "80/s", "period": "3s", "adjustment": 1}}}),
    ],
)  # fmt: skip
def test_half_of_the_requests_scales_as_the_requests_do(
    custom: dict[str, Any], plain: dict[str, Any]
) -> None:
    """The metric `seen` is half of the requests, and its target half of theirs."""
    found = actions(fleet(custom))
    assert len(found) > 1
    assert found == actions(fleet(plain))


def test_an_alert_on_a_custom_metric() -> None:
    alert = {"name": "files", "when": {"custom": "files", "above": 65}, "for": "1s"}
    quiet = {"name": "never", "when": {"custom": "files", "above": 99}}
    found = run(fleet({"target_tracking": {"target": "1000/s"}}, alerts=[alert, quiet]))
    (fired,) = happened(found, "alert")
    # 150/s for 0.1 s are 15 or 16 in flight.
    assert fired["name"] == "files"
    assert float(fired["value"]) in (70.0, 72.0)


def test_what_no_modelled_server_writes_is_unknown() -> None:
    document = fleet({"target_tracking": {"custom": "jobs", "target": 3}})
    assert actions(document)[1:] == []
    assert "custom metric 'jobs' has no model in fleet.app.metrics" in " ".join(
        warnings(scenario(document).document)
    )


def test_a_resolved_scenario_is_the_same_scenario() -> None:
    made = scenario(
        fleet(
            {
                "step": {
                    "scale_in": {
                        "custom": "files",
                        "threshold": 50.5,
                        "steps": [{"upper": 0, "adjustment": -1}],
                    }
                }
            }
        )
    )
    again = type(made).parse(made.to_yaml())
    assert again.fingerprint() == made.fingerprint()
    assert again.document == made.document


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"target_tracking": {"custom": "fils", "target": 3}}, "autoscaler.policy.target_tracking.custom: no custom metric 'fils'; did you mean 'files'?"),
        ({"target_tracking": {"custom": "x", "target": 3}}, "declared in fleet.app.metrics are files, seen, jobs"),
        ({"target_tracking": {"custom": "files", "target": "3/s"}}, "expected a plain number for metric files, got '3/s'"),
        ({"target_tracking": {"custom": "files", "metric": "cpu", "target": 3}}, "expected either metric or custom, got both"),
        ({"combine": {"of": [{"panic": {"custom": "y", "target": 3}}]}}, "autoscaler.policy.combine.of[0].panic.custom: no custom metric 'y'"),
    ],
)  # fmt: skip
def test_mistakes(policy: dict[str, Any], expected: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(fleet(policy))
    assert expected in str(raised.value)


def test_names_that_mean_something_else() -> None:
    document = fleet({"target_tracking": {"target": "10/s"}})
    document["fleet"]["app"]["metrics"] = {"memory": {"base": 1}}
    with pytest.raises(ScenarioError, match="expected another name than requests, memory"):
        scenario(document)
    document["fleet"]["app"]["metrics"] = {"a": {}}
    document["fleet"]["app"]["metrics_path"] = "/metrics"
    with pytest.raises(ScenarioError, match="expected command with metrics_path, got none"):
        scenario(document)


def test_what_servers_say_is_measured_each_second() -> None:
    """As the model says of what the second's metrics tell; without a model nothing."""
    found = run(fleet({"target_tracking": {"target": "40/s"}}))
    seconds = {(row["time_ns"], row["server"]): row for row in found.metrics.to_pylist() if row["server"]}
    rows = found.measurements.to_pylist()
    assert {row["name"] for row in rows} == {"files", "seen"}
    assert len({row["server"] for row in rows}) > 1
    for row in rows:
        second = seconds[row["time_ns"], row["server"]]
        said = {"files": 40 + 2 * second["in_flight"], "seen": 0.5 * second["requests"]}
        assert row["value"] == said[row["name"]]
    assert run(even("10/s", "3s")).measurements.num_rows == 0
