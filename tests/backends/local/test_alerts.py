"""Alerts of a whole flight: the rehearsal's and the flight's, what is expected of them, and who is told."""

from typing import Any

import pytest
from windtunnel import replay
from windtunnel.core.errors import UsageError
from windtunnel.core.model import SECOND
from windtunnel.scenarios.scenario import Scenario
from windtunnel.tests.backends.autoscaler.receivers import Hook

TEXT = """
scenario: watched
duration: 9s
fleet:
  app: {initial: 1, min: 1, max: 2, workers: 8, boot_time: {constant: 500ms}}
endpoints: [{path: /, cpu: {constant: 1ms}}]
traffic:
  - {name: users, arrivals: constant, stages: [{for: 3s, rate: 10/s}, {for: 6s, rate: 60/s}], client: {timeout: 5s}}
autoscaler: {policy: {threshold: {requests_high: 40/s, requests_low: 5/s}}, drain_grace: 2s}
alerts:
  - {name: overload, when: {metric: requests, above: 40/s}, notify: [{webhook: "HOOK"}]}
  - {name: full, when: {fleet: at_maximum}}
  - {name: empty, when: {serving: {below: 1}}}
  - {name: burn, when: {proxy_sample: {metric: requests, above: 40/s}}}
expect:
  - {alert: overload, within: 4s, of: 3s}
  - {alert: burn, within: 4s, of: 3s}
  - {alert: empty, fires: false}
"""


def alerts(run: Any) -> list[dict[str, Any]]:
    return [event for event in run.events if event["event"] == "alert"]


@pytest.mark.long
def test_a_flight_fires_what_its_rehearsal_fires_and_tells_it() -> None:
    with Hook() as hook:
        scenario = Scenario.parse(TEXT.replace("HOOK", hook.url))
        rehearsed = replay(scenario, registry="memory", cloud="memory")
        assert not hook.got, "a rehearsal tells nobody"
        flown = replay(scenario, backend="local")
        told = [news for _, news in hook.got]
    for run in (rehearsed, flown):
        assert sorted(event["name"] for event in alerts(run)) == ["burn", "full", "overload"]
        assert run.summary["passed"], run.summary["slo"]
    (there,) = (event for event in alerts(flown) if event["name"] == "overload")
    assert there["servers"] == [1]
    assert [news["state"] for news in told] == ["firing", "over"]
    assert (told[0]["alert"], told[0]["scenario"], told[0]["servers"]) == ("overload", "watched", [1])
    assert told[0]["condition"] == "requests of any server above 40/s"
    assert abs(told[0]["time_ns"] - there["t"]) < SECOND


def test_receivers_elsewhere_are_refused_before_anything_starts() -> None:
    with pytest.raises(
        UsageError, match=r"alert overload, webhook at 192\.0\.2\.1: expected a target on loopback"
    ):
        replay(Scenario.parse(TEXT.replace("HOOK", "http://192.0.2.1/")), backend="local")
