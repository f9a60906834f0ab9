"""kill, pause, slow, memory_leak, error."""

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, latencies, starts
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

SLOW_WORK = [{"path": "/", "cpu": {"constant": "40ms"}}]


def test_a_paused_server_goes_on_where_it_was() -> None:
    """Requests of 40 ms every 100 ms from 50 ms on; a pause from 1.06 s to 2.06 s catches one in the middle of its work."""
    found = run(even("10/s", "4s", fault("pause", "1060ms", length="1s"), endpoints=SLOW_WORK))
    assert outcomes(found) == {"ok": 40}
    expected = [40] * 10 + [1040]
    # Ten more arrived during the pause, the first of them 910 ms before its end; they are served one behind another.
    done = 2060 + 30
    for planned in range(1150, 4000, 100):
        done = max(done, planned) + 40
        expected.append(done - planned)
    assert latencies(found) == [pytest.approx(value * MS, abs=10) for value in expected]
    assert [event["t"] for event in happened(found, "fault_over")] == [2060 * MS]
    used = {
        row["time_ns"] // SECOND: row["cpu_ns"] for row in found.metrics.to_pylist() if row["server"] == 1
    }
    assert used[2] == pytest.approx(10 * MS, abs=10), "10 ms before the pause, nothing during it"


def test_two_pauses_end_with_the_later_one() -> None:
    first = fault("pause", "1010ms", length="500ms")
    second = {**fault("pause", "1210ms", length="900ms"), "name": "again"}
    found = run(even("1/s", "3s", first, second, endpoints=[{"path": "/", "cpu": {"constant": "600ms"}}]))
    # At 0.5 s: 600 ms of work, of which 90 ms are left at 1.01 s. It goes on at 2.11 s.
    assert latencies(found)[0] == (2200 - 500) * MS


def test_a_paused_server_is_silent_and_fails_its_checks() -> None:
    fleet = {
        "app": {"initial": 2, "workers": 4},
        "proxy": {"health_check": {"interval": "200ms", "timeout": "100ms"}},
    }
    document = even("50/s", "6s", fault("pause", "1s", length="3s", target={"address": "http://10.0.0.2"}))
    document["autoscaler"] = {"policy": {"threshold": {"requests_high": "1000/s"}}, "dead_after": "1500ms", "max_sample_age": "1s"}  # fmt: skip
    found = run({**document, "fleet": fleet})
    assert [(event["t"], event["server"]) for event in happened(found, "unhealthy")] == [(1400 * MS, 2)]
    # The autoscaler first sees it at 1 s, and hears nothing of it.
    assert [(event["t"], event["reason"]) for event in happened(found, "terminated")] == [
        (3 * SECOND, "silent")
    ]


def test_a_server_killed_during_its_pause_loses_everything() -> None:
    pause = fault("pause", "1s")
    kill = fault("kill", "1500ms")
    found = run(even("20/s", "2s", pause, kill, endpoints=SLOW_WORK, fleet={"app": {"workers": 4}}))
    kinds = outcomes(found)
    # Nobody took up what arrived meanwhile, or later.
    assert kinds == {"ok": 19, "upstream_reset": 1, "connect_failed": 20}


def test_a_slow_server_takes_so_many_times_as_long() -> None:
    found = run(even("10/s", "3s", fault("slow", length="1s", attributes={"factor": 6}), endpoints=SLOW_WORK))
    done, expected = 0, []
    for planned in range(50, 3000, 100):
        begin = max(done, planned)
        done = begin + (240 if 1000 <= begin < 2000 else 40)
        expected.append((done - planned) * MS)
    assert latencies(found) == [pytest.approx(value, abs=10) for value in expected]


def test_a_factor_below_1_makes_a_server_faster() -> None:
    found = run(
        even("1/s", "3s", fault("slow", length="1s", attributes={"factor": 0.25}), endpoints=SLOW_WORK)
    )
    assert [value // MS for value in latencies(found)] == [40, 10, 40]


def test_slowness_multiplies_and_ends_one_by_one() -> None:
    twice = fault("slow", "1s", length="2s", attributes={"factor": 2})
    thrice = {**fault("slow", "2s", length="2s", attributes={"factor": 3}), "name": "more"}
    found = run(even("1/s", "5s", twice, thrice, endpoints=SLOW_WORK))
    assert [value // MS for value in latencies(found)] == [40, 80, 240, 120, 40]


def test_a_slow_proxy() -> None:
    document = even("10/s", "2s", fault("slow", target={"role": "proxy"}, attributes={"factor": 5}))
    found = run({**document, "fleet": {"proxy": {"cpu_per_request": "2ms"}}})
    assert [value // MS for value in latencies(found)] == [7] * 10 + [15] * 10


def test_a_leak_kills_at_a_time_that_can_be_computed() -> None:
    memory = {"total": "100MiB", "base": "40MiB"}
    leak = fault("memory_leak", "1500ms", attributes={"rate": "16MiB"})
    found = run(even("10/s", "8s", leak, fleet={"app": {"memory": memory}}))
    # 40 + 16 k > 100 first at k = 4: 1.5 s + 4 s.
    (death,) = happened(found, "out_of_memory")
    assert (death["t"], death["memory"]) == (5500 * MS, 104 << 20)
    shown = [row["memory"] >> 20 for row in found.metrics.to_pylist() if row["server"] == 1]
    assert shown[:6] == [40, 40, 56, 72, 88, 0]
    brief = {**leak, "for": "2s"}
    found = run(even("10/s", "8s", brief, fleet={"app": {"memory": memory}}))
    assert happened(found, "out_of_memory") == []
    assert found.metrics.to_pylist()[-1]["memory"] == 72 << 20, "what leaked is not given back"


def test_errors_are_a_share_and_fast() -> None:
    broken = fault("error", "2s", length="8s", toxicity="30%", attributes={"status": 503})
    found = run(even("200/s", "12s", broken, fleet={"app": {"workers": 4}}))
    rows = found.requests.to_pylist()
    inside = [row for row in rows if 2 * SECOND <= row["time_ns"] < 10 * SECOND]
    failed = [row for row in inside if row["outcome"] == "app_error"]
    assert {(row["status"], row["latency_ns"]) for row in failed} == {(503, 0)}
    assert len(failed) / len(inside) == pytest.approx(0.3, abs=0.04)
    assert outcomes(found)["app_error"] == len(failed)


def test_all_hits_servers_that_come_later_too() -> None:
    """One server at once slow, the other three seconds later, when it has booted."""
    slow = fault("slow", "1s", target={"count": "all"}, attributes={"factor": 10})
    document = even("30/s", "8s", slow, fleet={"app": {"initial": 1, "min": 2, "workers": 8}})
    document["autoscaler"] = {"policy": {"threshold": {"requests_high": "1000/s"}}, "interval": "3s"}
    found = run(document)
    late = [value for time, value in zip(starts(found), latencies(found), strict=True) if time > 5 * SECOND]
    assert set(late) == {50 * MS}
    assert {row["server"] for row in found.requests.to_pylist()} == {1, 2}


def test_a_promoted_standby_is_hit_too() -> None:
    document = even("150/s", "8s", fault("slow", "1s", target={"count": "all"}, attributes={"factor": 3}))
    document["fleet"] = {"app": {"initial": 1, "standby": 1, "workers": 8}}
    document["autoscaler"] = {"policy": {"threshold": {"requests_high": "100/s"}}, "interval": "3s"}
    found = run(document)
    assert [event["t"] for event in happened(found, "promoted")] == [3 * SECOND]
    late = {row["latency_ns"] for row in found.requests.to_pylist() if row["server"] == 2}
    assert late == {15 * MS}
