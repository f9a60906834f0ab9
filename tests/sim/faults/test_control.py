"""autoscaler_crash, monitor_silent, monitor_stuck."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, growing, times
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_a_new_autoscaler_waits_for_the_lease_and_adopts() -> None:
    document = growing(cooldown="3s")
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "350/s"}]
    assert times(run(document), "launched") == [0.0, 1.0, 4.0, 7.0]
    document["faults"] = [fault("autoscaler_crash", "3500ms", length="3s")]
    found = run(document)
    # The lease, taken at 1 s and due to be renewed at 4.33 s, runs out at 11 s; then the books say when the last action was.
    assert times(found, "launched") == [0.0, 1.0, 12.0, 15.0]


@pytest.mark.parametrize(("orphans", "left"), [("adopt", []), ("leave", [2])])
def test_a_crash_during_a_launch_leaves_an_instance_that_a_successor_finds_or_does_not(
    orphans: str, left: list[int]
) -> None:
    crash = fault("autoscaler_crash", "500ms", length="3s", attributes={"during": "launch"})
    document = growing(crash, orphans=orphans, cooldown="3s")
    document["traffic"][0]["stages"] = [{"for": "2s", "rate": "350/s"}, {"for": "18s", "rate": "20/s"}]
    found = run(document)
    # Granted at 1 s, and the process is dead. The lease, taken at 1 s, runs out at 11 s; then the fleet is too large for its load.
    assert times(found, "launched")[:2] == [0.0, 1.0]
    assert [event["server"] for event in happened(found, "orphan_found")] == left
    # Both serve, and one too many. A successor that does not know the second one can only take its own.
    assert [event["server"] for event in happened(found, "draining")] == ([1] if left else [2])
    assert [event["server"] for event in happened(found, "terminated")] == ([1] if left else [2])


def test_a_crash_during_a_launch_that_never_comes_is_none() -> None:
    plain = growing(cooldown="3s")
    crash = fault("autoscaler_crash", "7500ms", length="2s", attributes={"during": "launch"})
    document = growing(crash, cooldown="3s")
    for one in (plain, document):
        one["fleet"]["app"]["max"] = 2
    assert times(run(document), "launched") == times(run(plain), "launched")


def test_a_new_autoscaler_knows_who_drains() -> None:
    document = even(
        "2/s", "40s", endpoints=[{"path": "/", "cpu": {"constant": "1ms"}, "io": {"constant": "6s"}}]
    )
    document["fleet"] = {"app": {"initial": 2, "min": 1, "workers": 40}}
    document["autoscaler"] = {
        "policy": {"threshold": {"requests_high": "100/s", "requests_low": "50/s"}},
        "drain_timeout": "60s",
        "boot_timeout": "5s",
    }
    document["faults"] = [fault("autoscaler_crash", "2s", length="300ms")]
    found = run(document)
    assert times(found, "draining") == [1.0]
    assert [event["reason"] for event in happened(found, "terminated")] == ["drained"]
    assert outcomes(found) == {"ok": 80}


def test_silent_monitors_make_servers_unknown() -> None:
    found = run(growing(fault("monitor_silent", "500ms", length="8s")))
    assert times(found, "launched")[1] == 9.0
    assert outcomes(found) == {"ok": 3000}


def test_stuck_monitors_hide_the_load() -> None:
    document = growing(fault("monitor_stuck", "4500ms", length="8s"))
    document["traffic"][0]["stages"] = [{"for": "4s", "rate": "50/s"}, {"for": "16s", "rate": "150/s"}]
    found = run(document)
    assert times(found, "launched")[1] == 13.0
    shown = [row["requests"] for row in found.metrics.to_pylist() if row["server"] == 1]
    assert shown[8] == 150, "the run's own metrics say what was"


WITHOUT_LEASE = {"lease": "none", "offset": "300ms"}


def growing_late(*faults: dict[str, Any], **scaler: Any) -> dict[str, Any]:
    """Idle for 5 s, then 350 requests/s for servers that carry 100 each."""
    document = growing(*faults, cooldown="3s", **scaler)
    document["fleet"]["app"]["max"] = 12
    document["traffic"][0]["stages"] = [{"for": "5s", "rate": "5/s"}, {"for": "25s", "rate": "350/s"}]
    return {**document, "duration": "30s"}


def test_a_second_autoscaler_waits_for_the_lease() -> None:
    alone = run(growing_late())
    second = fault("second_autoscaler", "1500ms")
    assert times(run(growing_late(second)), "launched") == times(alone, "launched")
    # The first one dies at 7.5 s; its lease, taken at 1 s and renewed each 4 s, runs out at 15 s.
    both = run(growing_late(second, fault("autoscaler_crash", "7500ms")))
    launches = times(both, "launched")
    assert launches[:2] == times(alone, "launched")[:2]
    assert launches[2] == 15.5, "half an interval after the first one's turn"
    assert {event.get("by") for event in happened(both, "decision") if event["t"] > 8 * SECOND} == {
        "second second_autoscaler"
    }


def test_two_autoscalers_without_a_common_lease_answer_the_same_load_twice() -> None:
    alone = run(growing_late())
    both = run(growing_late(fault("second_autoscaler", "1500ms", length="20s", attributes=WITHOUT_LEASE)))
    assert times(alone, "launched") == [0.0, 6.0, 9.0, 12.0]
    assert times(both, "launched") == [0.0, 6.0, 6.3, 9.0, 9.3], "one more than the load needs"
    assert outcomes(both)["ok"] >= outcomes(alone)["ok"]
    late = {event.get("by") for event in happened(both, "decision") if event["t"] > 21500 * MS}
    assert late <= {None}, "the second one is dead when the fault is over"


def test_an_autoscaler_that_hung_goes_on_with_what_it_knew() -> None:
    plain = times(run(growing_late()), "launched")
    found = run(growing_late(fault("autoscaler_pause", "6500ms", length="4300ms")))
    assert plain[:4] == [0.0, 6.0, 9.0, 12.0]
    # It goes on at 10.8 s, at once, and again at its own times.
    assert times(found, "launched")[:4] == [0.0, 6.0, 10.8, 14.0]


def test_who_hung_for_longer_than_the_lease_is_fenced_off_in_the_middle_of_its_turn() -> None:
    """It decides to launch at 9 s and hangs; the second one has acted by the time it goes on."""
    second = fault("second_autoscaler", "1500ms")
    hang = fault("autoscaler_pause", "8500ms", length="13700ms", attributes={"caught": "deciding"})
    found = run(growing_late(second, hang))
    acted = [
        (event["t"] / SECOND, event.get("by", "first"))
        for event in happened(found, "decision")
        if event.get("actions")
    ]
    assert acted[0] == (6.0, "first")
    assert [by for time, by in acted if time > 6.0] == ["second second_autoscaler"] * (len(acted) - 1)
    assert 19.0 < acted[1][0] < 22.2, "when the lease, renewed at 9 s, has run out"
    launched = times(found, "launched")
    assert 22.2 not in launched, "what it had decided is void"


def test_who_hung_in_its_turn_and_still_has_the_lease_carries_it_out() -> None:
    hang = fault("autoscaler_pause", "8500ms", length="2s", attributes={"caught": "deciding"})
    found = run(growing_late(hang))
    assert times(found, "launched")[:3] == [0.0, 6.0, 10.5]
