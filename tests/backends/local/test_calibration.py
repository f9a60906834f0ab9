"""The statistics of a calibration, on columns that are made up."""

from typing import Any

import numpy as np
import pytest
from windtunnel.backends.local.calibration import (
    CALL,
    CPU,
    IO,
    Demand,
    Measured,
    ProxySeconds,
    autoscaler_delay,
    latencies,
    proxy_time,
    start_up,
    warnings,
)

US, MS, SECOND = 1_000, 1_000_000, 1_000_000_000
DEMAND = Demand(cpu=MS, io=2 * MS, service=3 * MS)


def columns(**spent: Any) -> dict[str, Any]:
    """Requests at 100/s over 2 s, every station as *spent* says (us: a number or one per request), endpoints in turn."""
    count = 200
    stations = {
        "late": 0,
        "to_proxy": 0,
        "up": 0,
        "wait": 0,
        "timer": 0,
        "cpu": 0,
        "call": 0,
        "down": 0,
        **spent,
    }
    us = {name: np.broadcast_to(np.asarray(value) * US, count) for name, value in stations.items()}
    endpoint = np.arange(count) % 3
    time = np.arange(count, dtype=np.int64) * (SECOND // 100)
    start = time + us["late"]
    routed = start + us["to_proxy"]
    arrived = routed + us["up"]
    started = arrived + us["wait"]
    cpu_done = started + np.where(endpoint == CPU, DEMAND.cpu + us["cpu"], 0)
    served = cpu_done + np.where(endpoint == IO, DEMAND.io + us["timer"], 0)
    served = served + np.where(endpoint == CALL, DEMAND.service + us["call"], 0)
    return {
        "time": time, "endpoint": endpoint, "start": start, "routed": routed, "arrived": arrived, "started": started,
        "cpu_done": cpu_done, "served": served, "answered": served + us["down"],
    }  # fmt: skip


def values(found: dict[str, Measured]) -> dict[str, int]:
    return {name: one.value // US for name, one in found.items()}


def test_what_remains_of_a_request_is_the_app_servers() -> None:
    found = latencies(
        columns(late=70, to_proxy=50, up=200, wait=5, timer=30, cpu=20, call=400, down=245), DEMAND, 100 * US
    )
    assert values(found) == {
        "send_delay": 70, "hop_latency": 50, "cpu_overhead": 20, "timer_slack": 30,
        "app_overhead": 50 + 200 + 5 + 245 - 100 - 4 * 50, "call_overhead": 400 - 30 - 2 * 50,
    }  # fmt: skip


def test_the_figures_always_sum_up_to_what_a_request_took() -> None:
    """Also where the proxy's CPU time and four hops would be more than that."""
    for to_proxy, proxy_cpu in ((50, 100), (90, 100), (50, 300), (10, 500)):
        found = latencies(columns(to_proxy=to_proxy, up=200, down=200), DEMAND, proxy_cpu * US)
        total = 4 * found["hop_latency"].value + found["app_overhead"].value + proxy_cpu * US
        assert total == max(to_proxy + 400, proxy_cpu) * US
        assert min(one.value for one in found.values()) >= 0


def test_a_few_slow_requests_change_nothing_and_a_slow_half_second_is_seen() -> None:
    few = np.full(200, 50)
    few[::50] = 9_000
    found = latencies(columns(to_proxy=few, up=200), DEMAND, 0)
    assert values(found)["hop_latency"] == 50
    assert warnings(found, 0.0, 2, {}) == []
    half = np.full(200, 50)
    half[:50] = 900
    found = latencies(columns(to_proxy=half, up=200), DEMAND, 0)
    hop = found["hop_latency"]
    assert (hop.value, hop.low, hop.high, hop.parts) == (50 * US, 50 * US, 900 * US, 4)
    assert "the spread of hop_latency" in warnings(found, 0.0, 2, {})[0]


def test_a_timer_that_wakes_early_has_no_slack() -> None:
    assert values(latencies(columns(timer=-40, call=-40), DEMAND, 0))["timer_slack"] == 0


def test_an_endpoint_without_answers_is_named() -> None:
    all_of_them = columns()
    some = {name: column[all_of_them["endpoint"] != CALL] for name, column in all_of_them.items()}
    with pytest.raises(ValueError, match="expected answered requests with a call, got none"):
        latencies(some, DEMAND, 0)


def test_what_the_proxy_does_anyway_is_not_counted() -> None:
    requests = np.array([250, 250, 1000, 1000])
    cpu = 11 * MS + requests * 85 * US
    slow = np.array([True, True, False, False])
    found = proxy_time(ProxySeconds(requests, cpu, slow, ~slow))
    assert (found.value, found.low, found.high, found.parts) == (85 * US, 85 * US, 85 * US, 2)
    assert "between 250/s and 1000/s" in found.how
    with pytest.raises(ValueError, match="more than 250 requests"):
        proxy_time(ProxySeconds(requests, cpu, slow, slow))


def test_start_up_is_of_the_servers_that_were_launched_in_the_run() -> None:
    events = [
        {"t": 0, "event": "launched", "server": 1}, {"t": 0, "event": "ready", "server": 1},
        {"t": 2 * SECOND, "event": "launched", "server": 2}, {"t": 3 * SECOND, "event": "ready", "server": 2},
        {"t": 4 * SECOND, "event": "launched", "server": 3}, {"t": 4 * SECOND + 600 * MS, "event": "ready", "server": 3},
        {"t": 5 * SECOND, "event": "launched", "server": 4},
    ]  # fmt: skip
    found = start_up(events)
    assert (found.value, found.low, found.high, found.parts) == (800 * MS, 600 * MS, 1000 * MS, 2)
    with pytest.raises(ValueError, match="got 0 launched and none ready"):
        start_up(events[:2])


def test_the_autoscalers_delay_is_from_its_turn_to_the_launch() -> None:
    times = (0, 4 * SECOND + 103 * MS, 6 * SECOND + 110 * MS, 8 * SECOND + 120 * MS)
    events = [{"t": t, "event": "launched", "server": n} for n, t in enumerate(times, 1)]
    found = autoscaler_delay(events, 2 * SECOND)
    assert (found.value, found.low, found.high, found.parts) == (110 * MS, 103 * MS, 120 * MS, 3)
    with pytest.raises(ValueError, match="expected an app server that the autoscaler launches, got none"):
        autoscaler_delay(events[:1], SECOND)


def test_a_machine_that_is_not_quiet_is_warned_of() -> None:
    figure = {"hop_latency": Measured(50 * US, 40 * US, 60 * US, 4, "")}
    assert warnings(figure, 0.4, 2, {"late_p99_ns": 1e6}) == []
    busy, late = warnings(figure, 1.7, 2, {"late_p99_ns": 3e6})
    assert busy.startswith("the load average was 1.70 on 2 cores")
    assert late == "1% of the requests were sent more than 3.0 ms late"
