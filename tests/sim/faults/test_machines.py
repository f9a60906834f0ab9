"""cpu_hog, memory_pressure, disk_full, descriptor_limit, clock_skew, clock_jump."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.run import Run
from windtunnel.tests.sim.faults.support import MS, even, fault, growing, latencies, times
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

WORK = [{"path": "/", "cpu": {"constant": "40ms"}}]


def shown(found: Run, server: int, column: str) -> list[int]:
    return [row[column] for row in found.metrics.to_pylist() if row["server"] == server]


def test_a_hog_slows_work_and_shows_in_the_cpu() -> None:
    hog = fault("cpu_hog", "2s", length="3s", attributes={"share": "75%"})
    found = run(even("5/s", "8s", hog, endpoints=WORK))
    assert [value // MS for value in latencies(found)] == [40] * 10 + [160] * 15 + [40] * 15
    # 5 requests of 40 ms: 20% of the core; with the hog 75% more. The one that begins at 2.9 s, and at 4.9 s, is under way for 60 ms of the next second.
    assert [value // MS for value in shown(found, 1, "cpu_ns")[:8]] == [
        200,
        200,
        935,
        950,
        950,
        260,
        200,
        200,
    ]


def test_hogs_share_what_is_left_and_slow_servers_are_slower_still() -> None:
    hogs = [{**fault("cpu_hog", "1s", attributes={"share": "50%"}), "name": f"hog{n}"} for n in range(2)]
    slow = fault("slow", "1s", attributes={"factor": 2})
    found = run(even("1/s", "2s", *hogs, slow, endpoints=WORK))
    assert [value // MS for value in latencies(found)] == [40, 320]


def test_a_hog_makes_a_policy_that_looks_at_cpu_scale_out_and_stay() -> None:
    document = even(
        "20/s",
        "40s",
        fault("cpu_hog", "5s", length="20s", target={"count": "all"}, attributes={"share": "60%"}),
    )
    document["fleet"] = {"app": {"min": 1, "max": 5, "workers": 4, "boot_time": {"constant": "1s"}}}
    document["autoscaler"] = {
        "policy": {"target_tracking": {"metric": "cpu", "target": "50%"}},
        "cooldown": "2s",
    }
    found = run(document)
    begun = [time for time in times(found, "launched") if time > 0]
    assert begun
    assert all(5 < time < 25 for time in begun)
    assert all(time > 25 for time in times(found, "draining"))
    assert len(happened(found, "draining")) == len(begun)


def test_a_hog_on_the_proxys_machine() -> None:
    document = even("10/s", "2s", fault("cpu_hog", target={"role": "proxy"}, attributes={"share": "80%"}))
    found = run({**document, "fleet": {"proxy": {"cpu_per_request": "2ms"}}})
    assert [value // MS for value in latencies(found)] == [7] * 10 + [15] * 10


MEMORY = {"total": "100MiB", "base": "40MiB"}


def test_memory_is_pressed_and_given_back() -> None:
    press = fault("memory_pressure", "1500ms", length="2s", attributes={"size": "32MiB"})
    found = run(even("10/s", "6s", press, fleet={"app": {"memory": MEMORY}}))
    assert [value >> 20 for value in shown(found, 1, "memory")[:6]] == [40, 72, 72, 40, 40, 40]
    assert outcomes(found) == {"ok": 60}


def test_too_much_pressure_kills() -> None:
    press = fault("memory_pressure", "1500ms", length="2s", attributes={"size": "61MiB"})
    found = run(even("10/s", "6s", press, fleet={"app": {"memory": MEMORY}}))
    assert [(event["t"], event["memory"] >> 20) for event in happened(found, "out_of_memory")] == [
        (1500 * MS, 101)
    ]


def test_pressure_outlives_the_process_and_a_remedy_is_in_vain() -> None:
    """At 72 MiB the remedy restarts the process, again and again; a leak of 4 MiB/s before is gone with the first restart."""
    leak = fault("memory_leak", "500ms", length="2s", attributes={"rate": "4MiB"})
    press = fault("memory_pressure", "3500ms", length="5s", attributes={"size": "32MiB"})
    remedy = {
        "command": ["trim"],
        "above": "60%",
        "cooldown": "1s",
        "takes": 0,
        "effect": {"restart": "200ms"},
    }
    found = run(even("10/s", "12s", leak, press, fleet={"app": {"memory": MEMORY, "on_low_memory": remedy}}))
    memory = [value >> 20 for value in shown(found, 1, "memory")]
    assert memory[2] == 48
    assert memory[4:8] == [72] * 4, "what pressed before the restart presses after it"
    assert memory[9:] == [40] * (len(memory) - 9)
    assert len(happened(found, "restarted")) == 1, "the remedy does not clear, so it is not tried again"


def test_a_full_disk_lets_the_registry_answer_and_refuse() -> None:
    found = run(growing(fault("disk_full", "500ms", length="8s"), reconcile_interval="10m"))
    assert times(found, "registry_unreachable")[0] == 1.0
    assert "MISCONF" in happened(found, "registry_unreachable")[0]["error"]
    assert "MISCONF" in happened(found, "decision")[0]["error"]
    assert times(found, "launched")[1] == 9.0
    assert outcomes(found) == {"ok": 3000}, "the proxy reads on"


def test_a_process_does_not_begin_again_on_a_full_disk() -> None:
    loop = fault("crash_loop", "1s", length="1s", attributes={"restart": "500ms", "lives": "10s"})
    full = fault("disk_full", "1200ms", length="3s", target={"role": "app"})
    found = run(even("10/s", "8s", loop, full))
    assert times(found, "restarting") == [1.0]
    assert times(found, "restarted") == [4.5], "tried again each second: 1.5, 2.5, 3.5, 4.5"


def test_descriptors_run_out_and_come_back() -> None:
    """Twenty clients on a proxy with room for all, and then for ten descriptors: five requests at a time."""
    document = even("100/s", "6s", fault("descriptor_limit", "2s", length="2s", attributes={"limit": 10}))
    document["endpoints"] = [{"path": "/", "io": {"constant": "100ms"}}]
    document["fleet"] = {"app": {"workers": 50}, "proxy": {"max_connections": 100}}
    found = run(document)
    failed = sorted(row["time_ns"] / SECOND for row in found.requests.to_pylist() if row["outcome"] != "ok")
    assert outcomes(found)["ok"] > 450
    assert len(failed) > 50
    assert failed[0] >= 2.0
    assert failed[-1] < 4.2
    assert set(outcomes(found)) <= {"ok", "refused", "connect_failed"}


def skewed(by: str, **more: Any) -> dict[str, Any]:
    document = even("20/s", "20s", fault("clock_skew", "3500ms", attributes={"by": by}, **more))
    document["fleet"] = {"app": {"initial": 2, "min": 2, "max": 2}}
    document["autoscaler"] = {
        "policy": {"threshold": {"requests_high": "1000/s"}},
        "dead_after": "4s",
        "max_sample_age": "2s",
    }
    return document


def test_a_server_whose_clock_is_behind_is_taken_for_silent() -> None:
    found = run(skewed("-1m", length="10s", target={"address": "http://10.0.0.1"}))
    (ended,) = happened(found, "terminated")
    assert (ended["server"], ended["reason"], ended["t"]) == (1, "silent", 7 * SECOND)


def test_a_server_whose_clock_was_ahead_outlives_its_death() -> None:
    document = skewed("8s", length="3s", target={"address": "http://10.0.0.1"})
    document["faults"].append(fault("kill", "6200ms", target={"address": "http://10.0.0.1"}))
    found = run(document)
    # Its last sample, of 6 s, says 14 s.
    assert [(event["server"], event["t"] // SECOND) for event in happened(found, "terminated")] == [(1, 18)]
    document["faults"] = document["faults"][1:]
    assert [event["t"] // SECOND for event in happened(run(document), "terminated")] == [10]


def test_an_autoscaler_whose_clock_is_ahead_takes_all_for_silent() -> None:
    found = run(skewed("1m", target={"role": "autoscaler"}))
    assert {event["reason"] for event in happened(found, "terminated")} == {"silent"}
    assert [event["t"] // SECOND for event in happened(found, "terminated")[:2]] == [4, 4]
    assert outcomes(found)["ok"] < 400


def test_an_autoscaler_whose_clock_jumps_back_cools_down_for_longer() -> None:
    document = growing(cooldown="3s")
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "350/s"}]
    assert times(run(document), "launched")[:4] == [0.0, 1.0, 4.0, 7.0]
    document["faults"] = [
        fault("clock_jump", "4500ms", target={"role": "autoscaler"}, attributes={"by": "-4s"})
    ]
    assert times(run(document), "launched")[:4] == [0.0, 1.0, 4.0, 11.0]
    again = {
        **fault("clock_jump", "5500ms", target={"role": "autoscaler"}, attributes={"by": "+4s"}),
        "name": "back",
    }
    document["faults"].append(again)
    assert times(run(document), "launched")[:4] == [0.0, 1.0, 4.0, 7.0]
