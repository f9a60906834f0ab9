"""Alerts in a rehearsal, through the scenario file, and what is expected of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner
from windtunnel.api import verify
from windtunnel.campaign import cases_of_campaign, run_campaign, variants
from windtunnel.cli import app
from windtunnel.core.model import SECOND
from windtunnel.reports.junit import cases_of_run
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.support import both_engines, happened, run, scenario, steady

__all__ = ["both_engines"]


def document(**more: Any) -> dict[str, Any]:
    """Two servers of 100/s at 50/s, of which one is hit hard from 10 s on; a standby server."""
    base = steady(
        "50/s", "30s",
        fleet={"app": {"initial": 2, "min": 1, "max": 3, "standby": 1, "workers": 8, "boot_time": {"constant": "1s"}}},
        autoscaler={"policy": {"threshold": {"requests_high": "100/s", "requests_low": "20/s"}}, "cooldown": "3s"},
        slo=[{"name": "good", "indicator": "availability", "above": "90%"}],
    )  # fmt: skip
    base["traffic"][0] |= {
        "arrivals": "constant",
        "stages": [
            {"for": "10s", "rate": "50/s"},
            {"for": "10s", "rate": "400/s"},
            {"for": "10s", "rate": "50/s"},
        ],
    }
    return base | {
        "alerts": [
            {
                "name": "overload",
                "when": {"metric": "requests", "above": "120/s"},
                "for": "2s",
                "clear_after": "3s",
            },
            {"name": "no standby", "when": {"standby": {"below": 1}}},
            {"name": "full", "when": {"fleet": "at_maximum"}},
        ],
        **more,
    }


def test_events_and_expectations(both_engines: None) -> None:
    found = run(
        document(
            expect=[
                {"alert": "overload", "within": "4s", "of": "10s"},
                {"alert": "overload", "within": "1s", "of": "10s"},
                {"alert": "overload", "fires": False, "within": "9s"},
                {"alert": "full", "fires": False},
            ]
        )
    )
    fired = {event["name"]: event for event in happened(found, "alert")}
    assert fired["overload"]["servers"] == [1, 2]
    assert fired["overload"]["held"] == 2 * SECOND
    assert fired["no standby"]["t"] < fired["overload"]["t"], "it was promoted"
    (over,) = (event for event in happened(found, "alert_over") if event["name"] == "overload")
    assert over["t"] - over["lasted"] == fired["overload"]["t"]
    # The last second of load is seen at 20 s.
    assert over["t"] == 24 * SECOND
    rows = [row for row in found.summary["slo"] if row["name"].startswith("alert ")]
    delay = fired["overload"]["t"] - 10 * SECOND
    assert [(row["value"], row["held"]) for row in rows] == [
        (delay, True),
        (delay, False),
        (0, True),
        (1, False),
    ]
    assert found.summary["passed"] is False
    failures = [case.failure for case in cases_of_run(found.summary) if case.failure]
    assert failures == [
        "expected alert overload fires within 1s of 10s, measured 3 s",
        "expected alert full does not fire, measured 1 time",
    ]


def test_a_burnt_budget_is_seen_by_the_proxy(both_engines: None) -> None:
    """The only server dies, is ejected by health checks, and the proxy has nobody to send to."""
    base = document(
        faults=[{"name": "death", "type": "kill", "at": "12s"}],
        alerts=[
            {"name": "burn", "when": {"burn_rate": {"objective": "good", "above": 2, "window": "5s"}}},
            {"name": "unserved", "when": {"proxy_sample": {"metric": "unserved", "above": "1/s"}}},
        ],
        expect=[
            {"alert": "burn", "within": "8s", "of": "death"},
            {"alert": "burn", "fires": False, "within": "12s"},
        ],
    )
    base["fleet"]["app"] |= {"initial": 1, "standby": 0, "max": 1, "workers": 100}
    base["fleet"]["proxy"] = {"health_check": {"interval": "1s", "timeout": "500ms"}}
    found = run(base)
    assert {event["name"] for event in happened(found, "alert")} == {"unserved", "burn"}
    assert [row["held"] for row in found.summary["slo"]] == [False, True, True]


def test_an_autoscaler_that_dies_tells_nothing_twice() -> None:
    crash = {"name": "crash", "type": "autoscaler_crash", "at": "15s", "for": "1s"}
    found = run(document(faults=[crash]))
    names = [event["name"] for event in happened(found, "alert")]
    assert sorted(names) == ["full", "no standby", "overload"]
    assert [event["name"] for event in happened(found, "alert_over")].count("overload") == 1


def test_the_hash_is_as_before_without_alerts_and_does_not_know_who_is_told() -> None:
    plain = scenario(document(alerts=[]))
    assert "alerts" in plain.resolved()
    assert (
        plain.fingerprint() == scenario({k: v for k, v in document().items() if k != "alerts"}).fingerprint()
    )
    assert plain.fingerprint() != scenario(document()).fingerprint()
    told = document()
    told["alerts"][0]["notify"] = [{"webhook": "http://127.0.0.1:1/"}]
    assert scenario(told).fingerprint() == scenario(document()).fingerprint()


def test_the_command_line_says_it_and_ends_with_3(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({"scenario": "test", **document(expect=[{"alert": "full", "fires": False}])}))
    junit = tmp_path / "verdict.xml"
    ended = CliRunner().invoke(
        app, ["replay", str(path), "--out", str(tmp_path / "run"), "--junit", str(junit)]
    )
    assert ended.exit_code == 3, ended.output
    assert "alert full does not fire" in ended.output
    assert "violated" in ended.output
    assert "measured 1 time" in junit.read_text()
    assert verify(tmp_path / "run")[1] is None
    (result,) = run_campaign(variants(str(path), []), 2, 1)
    assert not result.passed
    assert "held in 0 of 2 seeds" in cases_of_campaign(result)[-1].failure


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"autoscaler": None}, "expected an autoscaler for alerts"),
        ({"expect": [{"alert": "overlaod"}]}, "no alert 'overlaod'; did you mean 'overload'?"),
        ({"expect": [{"alert": "full", "of": "deth"}]}, "expected a time or a fault, got 'deth'"),
        ({"expect": [{"alert": "full", "of": "31s"}]}, "expected a time before the end of the run"),
        ({"alerts": [{"name": "x", "when": {}}]}, "expected exactly one of metric, custom, standby"),
        ({"alerts": [{"name": "x", "when": {"metric": "cpu", "above": "300/s"}}]}, "percentage"),
        ({"alerts": [{"name": "x", "when": {"metric": "cpu"}}]}, "expected either above or below, got neither"),
        ({"alerts": [{"name": "x", "when": {"fleet": "at_maximum", "above": 3}}]}, "expected above only with metric"),
        ({"alerts": [{"name": "x", "when": {"orphan": "found"}, "for": "1s"}]}, "expected no `for` with orphan"),
        ({"alerts": [{"name": "x", "when": {"burn_rate": {"objective": "god", "above": 1}}}]}, "no objective 'god'"),
        (
            {
                "slo": [{"name": "fast", "indicator": "latency_p99", "below": "1s"}],
                "alerts": [{"name": "x", "when": {"burn_rate": {"objective": "fast", "above": 1}}}],
            },
            "expected an objective with an error budget",
        ),
        (
            {"alerts": [{"name": "x", "when": {"standby": {"below": 1}}, "notify": [{"webhook": "ftp://x"}]}]},
            "expected a URL such as",
        ),
        (
            {"alerts": [{"name": n, "when": {"standby": {"below": 1}}} for n in "xx"]},
            "expected a unique name, got 'x' a second time",
        ),
    ],
)  # fmt: skip
def test_mistakes_get_a_sentence(more: dict[str, Any], expected: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario({key: value for key, value in document(**more).items() if value is not None})
    assert expected in str(raised.value)


def test_a_scenario_with_alerts_survives_its_own_yaml() -> None:
    given = document(
        alerts=[
            {
                "name": "all", "when": {"metric": "memory", "server": "all", "above": "90%"}, "for": "5s",
                "notify": [{"email": {"to": "ops@example.org", "port": 2525, "from": "x@example.org"}},
                           {"command": {"words": ["logger", "-t", "alert"]}}],
            },
            {"name": "custom", "when": {"custom": "depth", "server": "mean", "below": 0.5}},
        ],
        expect=[{"alert": "all", "fires": False}],
    )  # fmt: skip
    given["fleet"]["app"]["metrics"] = {"depth": {}}
    first = scenario(given)
    again = scenario(yaml.safe_load(first.to_yaml()))
    assert again.resolved() == first.resolved()
    assert again.fingerprint() == first.fingerprint()
