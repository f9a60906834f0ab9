"""Registry, cloud, autoscaler, monitors, proxy, dependencies."""

from itertools import pairwise
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import MS, even, fault, latencies, starts
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")

SCALER = {"policy": "threshold", "requests_high": "100/s", "requests_low": "10/s", "cooldown": "2s"}


def growing(*faults: dict[str, Any], **scaler: Any) -> dict[str, Any]:
    """150 requests/s from the start, on one server that should be joined by others."""
    document = even(
        "150/s",
        "20s",
        *faults,
        fleet={"app": {"min": 1, "max": 4, "workers": 4, "boot_time": {"constant": "2s"}}},
    )
    document["autoscaler"] = {**SCALER, **scaler}
    return document


def times(found: Any, name: str) -> list[float]:
    return [event["t"] / SECOND for event in happened(found, name)]


def test_without_the_registry_servers_serve_and_nobody_decides() -> None:
    found = run(growing(fault("registry_down", "500ms", length="9s")))
    assert outcomes(found) == {"ok": 3000}
    assert next(event["reason"] for event in happened(found, "decision")) == "unreachable"
    assert times(found, "registry_unreachable") == [1.0]
    assert times(found, "registry_reachable") == [10.0]
    assert times(found, "launched")[1] == 10.0


def test_a_server_that_boots_without_a_registry_registers_later() -> None:
    found = run(growing(fault("registry_down", "2500ms", length="4s")))
    assert times(found, "ready")[1] == 3.0
    first = min(row["time_ns"] for row in found.requests.to_pylist() if row["server"] == 2)
    # It tries each second: at 7 s it succeeds, and the proxy reads the lists in that very second.
    assert first / SECOND == pytest.approx(7.0, abs=0.02)


def test_a_slow_registry_delays_what_is_decided() -> None:
    found = run(growing(fault("registry_slow", "0s", attributes={"latency": "300ms"})))
    assert times(found, "launched")[1] == 1.3
    timeout = run(growing(fault("registry_slow", "0s", attributes={"latency": "1s"})))
    assert times(timeout, "launched") == [0.0]
    assert "no answer" in happened(timeout, "registry_unreachable")[0]["error"]


def test_a_flushed_registry_ends_everything_unless_servers_come_back() -> None:
    document = even("50/s", "10s", fault("registry_flush", "3500ms"), fleet={"app": {"initial": 2}})
    lost = run(document)
    assert outcomes(lost) == {"ok": 200, "no_server": 300}
    document["fleet"]["registry"] = {"reregister": "500ms"}
    assert outcomes(run(document)) == {"ok": 500}


def test_numbers_go_on_after_a_flush() -> None:
    document = growing(fault("registry_flush", "2500ms"))
    numbers = [event["server"] for event in happened(run(document), "launched")]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 2


def test_boots_fail_and_are_given_up() -> None:
    found = run(growing(fault("boot_failure", "0s", length="6s"), boot_timeout="5s"))
    assert times(found, "boot_failed") == [3.0]
    assert next(event["reason"] for event in happened(found, "terminated")) == "boot timeout"
    assert len(happened(found, "ready")) >= 2


def test_boots_take_longer() -> None:
    found = run(growing(fault("slow_boot", "0s", length="2s", attributes={"factor": 4})))
    assert times(found, "launched")[1] == 1.0
    assert times(found, "ready")[1] == 9.0


def test_the_cloud_has_no_capacity() -> None:
    found = run(growing(fault("capacity_error", "0s", length="6s")))
    assert [event["code"] for event in happened(found, "launch_refused")] == [
        "InsufficientInstanceCapacity"
    ] * 3
    assert times(found, "launch_refused") == [1.0, 3.0, 5.0]
    assert times(found, "launched")[1] == 7.0


def test_the_clouds_api_throttles() -> None:
    document = growing(fault("api_throttling", "0s", attributes={"rate": "6/m", "burst": 1}))
    document["fleet"]["app"]["min"] = 4
    document["autoscaler"]["reconcile_interval"] = "10m"
    found = run(document)
    # The reconciliation takes the only token; one comes every ten seconds.
    assert times(found, "launched") == [0.0, 11.0]
    assert {event["code"] for event in happened(found, "launch_refused")} == {"RequestLimitExceeded"}


def test_a_new_autoscaler_waits_for_the_lease_and_adopts() -> None:
    document = growing(cooldown="3s")
    document["traffic"][0]["stages"] = [{"for": "20s", "rate": "350/s"}]
    assert times(run(document), "launched") == [0.0, 1.0, 4.0, 7.0]
    document["faults"] = [fault("autoscaler_crash", "3500ms", length="3s")]
    found = run(document)
    # The lease, taken at 1 s and due to be renewed at 4.33 s, runs out at 11 s; then the books say when the last action was.
    assert times(found, "launched") == [0.0, 1.0, 12.0, 15.0]


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


def test_a_proxy_restart_resets_connections_and_forgets_the_table() -> None:
    document = even("100/s", "4s", fault("proxy_restart", "2s", attributes={"after": "500ms"}))
    found = run(document)
    assert outcomes(found) == {"ok": 349, "refused": 51}
    assert [event["cause"] for event in happened(found, "proxy_down")] == ["proxy_restart"]
    at_once = run(even("100/s", "4s", fault("proxy_restart", "2s"), endpoints=[{"path": "/", "cpu": {"constant": "25ms"}}], fleet={"app": {"workers": 9}}))  # fmt: skip
    assert outcomes(at_once)["refused"] == 3, "those in flight: 25 ms at 100/s"


CALLS: dict[str, Any] = {
    "endpoints": [{"path": "/", "cpu": {"constant": "1ms"}, "calls": ["db"]}],
    "fleet": {
        "app": {"workers": 99},
        "dependencies": [{"name": "db", "concurrency": 4, "service": {"constant": "10ms"}}],
    },
}


def test_a_dependency_that_is_down_fails_its_callers_fast() -> None:
    found = run(even("100/s", "3s", fault("dependency_down", length="1s"), **CALLS))
    rows = found.requests.to_pylist()
    failed = [row for row in rows if row["outcome"] == "app_error"]
    # A hundred that call, and one that is being served when it goes down.
    assert len(failed) == 101
    assert {row["latency_ns"] for row in failed} == {1 * MS, 11 * MS}


def test_a_slow_dependency() -> None:
    slow = fault("dependency_slow", length="1s", attributes={"factor": 3}, target={"name": "db"})
    found = run(even("20/s", "3s", slow, **CALLS))
    inside = [
        v for time, v in zip(starts(found), latencies(found), strict=True) if SECOND <= time < 2 * SECOND
    ]
    assert set(inside) == {31 * MS}
    assert outcomes(found) == {"ok": 60}


def test_a_flushed_cache_sends_everybody_to_the_dependency() -> None:
    cache = {"ttl": "1h", "hit_share": "100%", "keys": 5}
    document = even("20/s", "2s", fault("cache_flush"), **CALLS)
    document["fleet"] = {
        **CALLS["fleet"],
        "dependencies": [{**CALLS["fleet"]["dependencies"][0], "cache": cache}],
    }
    found = run(document)
    assert latencies(found)[:20] == [1 * MS] * 20
    assert latencies(found)[20:].count(11 * MS) == 5, "each of the five keys is fetched once"


def test_faults_at_random_come_from_the_seed() -> None:
    random = {"name": "hiccup", "type": "pause", "every": "10s", "for": "100ms"}
    document = even("5/s", "10m", random)
    found = run(document)
    begun = happened(found, "fault")
    assert [event["name"] for event in begun] == [f"hiccup#{n + 1}" for n in range(len(begun))]
    gaps = [later["t"] - earlier["t"] for earlier, later in pairwise(begun)]
    assert 40 <= len(begun) <= 80
    assert min(gaps) > 100 * MS
    assert happened(run(document), "fault") == begun
    assert happened(run(document, 2), "fault") != begun


def test_nobody_is_ended_for_a_silence_that_was_the_registrys() -> None:
    """An outage that ends between two writes of the monitors, and a flush: servers that work stay."""
    document = growing(
        fault("registry_down", "1s", length="10300ms"),
        interval="700ms",
        dead_after="5s",
        requests_high="1000/s",
    )
    document["fleet"]["app"].update(initial=2, min=2)
    assert happened(run(document), "terminated") == []
    document["faults"] = [fault("registry_flush", "12500ms")]
    document["fleet"]["registry"] = {"reregister": "3s"}
    # Others come, for the lists are empty, and go when these have registered again.
    ended = {event["server"]: event["reason"] for event in happened(run(document), "terminated")}
    assert set(ended) <= {3, 4}
    assert set(ended.values()) == {"drained"}


def test_a_new_autoscaler_knows_who_drains() -> None:
    document = even(
        "2/s", "40s", endpoints=[{"path": "/", "cpu": {"constant": "1ms"}, "io": {"constant": "6s"}}]
    )
    document["fleet"] = {"app": {"initial": 2, "min": 1, "workers": 40}}
    document["autoscaler"] = {
        "policy": "threshold",
        "requests_high": "100/s",
        "requests_low": "50/s",
        "drain_timeout": "60s",
        "boot_timeout": "5s",
    }
    document["faults"] = [fault("autoscaler_crash", "2s", length="300ms")]
    found = run(document)
    assert times(found, "draining") == [1.0]
    assert [event["reason"] for event in happened(found, "terminated")] == ["drained"]
    assert outcomes(found) == {"ok": 80}


def test_overlapping_throttles_take_a_token_of_each_or_of_none() -> None:
    slow = {**fault("api_throttling", "0s", attributes={"rate": "3/m", "burst": 1}), "name": "slow"}
    fast = {**fault("api_throttling", "0s", attributes={"rate": "6/m", "burst": 1}), "name": "fast"}
    document = growing(slow, fast, reconcile_interval="10m")
    document["fleet"]["app"]["min"] = 4
    document["duration"] = "30s"
    # The list at 1 s takes both tokens; the slower throttle has another 20 s later, and then the faster one has one too.
    assert times(run(document), "launched") == [0.0, 21.0]
