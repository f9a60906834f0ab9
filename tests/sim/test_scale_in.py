"""No request of a healthy client is lost to a scale-in, whatever the fleet, the load and the policy."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windtunnel.tests.strategies.values import durations
from windtunnel.tests.support import happened, outcomes, run

POLICIES = st.sampled_from(
    [
        {"threshold": {"requests_high": "90/s", "requests_low": "40/s"}},
        {"threshold": {"requests_high": "90/s", "requests_low": "40/s", "standby_above": "100/s"}},
        {"threshold": {"requests_high": "90/s", "requests_low": "40/s", "faults": {"no_cooldown": True}}},
        {"target_tracking": {"metric": "requests", "target": "60/s"}},
        {"target_tracking": {"metric": "in_flight", "target": 3}},
    ]
)
ROUTING = st.sampled_from(
    ["round_robin", "least_connections", "power_of_two", "random", "consistent_hash", "peak_ewma"]
)
CONNECTIONS = st.one_of(st.just("per_request"), st.builds(lambda size: {"pool": size}, st.integers(5, 300)))


@st.composite
def shrinking(draw: st.DrawFn) -> dict[str, Any]:
    """A load that falls, over a fleet that it fills at first; nothing fails but what the autoscaler does, and no request takes longer than a drain may.

    Idle connections outlive the run: that a client reuses one just as the proxy closes it costs a request with or without a scale-in."""
    before, after = draw(st.integers(120, 300)), draw(st.integers(5, 60))
    fleet = {
        "app": {
            "initial": draw(st.integers(3, 6)), "min": 1, "max": 6, "workers": 16, "standby": draw(st.integers(0, 1)),
            "boot_time": {"constant": draw(durations(500, 3000))},
        },
        "proxy": {"routing": draw(ROUTING), "keepalive_timeout": "30s", "cpu_per_request": "50us"},
        "network": {
            "client": {"latency": draw(durations(1, 40)), "jitter": "1ms"},
            "upstream": {"latency": draw(durations(1, 20))},
        },
        "registry": {"refresh_interval": draw(durations(100, 1000))},
    }  # fmt: skip
    endpoints = [
        {"path": "/", "weight": 9, "cpu": {"exponential": {"mean": "5ms"}}},
        {"path": "/slow", "cpu": {"constant": "1ms"}, "io": {"uniform": {"min": "0ms", "max": draw(durations(100, 3000))}}},
    ]  # fmt: skip
    stages = [{"for": "4s", "rate": f"{before}/s"}, {"for": "16s", "rate": f"{after}/s"}]
    autoscaler = {
        "policy": draw(POLICIES), "interval": draw(durations(300, 2000)), "cooldown": draw(durations(0, 3000)),
        "drain_grace": "1500ms", "drain_timeout": "20s",
    }  # fmt: skip
    return {
        "duration": "20s", "fleet": fleet, "endpoints": endpoints, "autoscaler": autoscaler,
        "traffic": [{"name": "users", "stages": stages, "client": {"connections": draw(CONNECTIONS)}}],
    }  # fmt: skip


@settings(
    deadline=None, derandomize=True, max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(document=shrinking(), seed=st.integers(0, 2**31))
def test_no_request_is_lost_to_a_scale_in(document: dict[str, Any], seed: int) -> None:
    found = run(document, seed)
    assert happened(found, "draining")
    ended = happened(found, "terminated")
    assert {event["reason"] for event in ended} <= {"drained", "not needed"}
    assert not any(event["lost"] for event in ended)
    assert set(outcomes(found)) <= {"ok", "unfinished"}
    # What is unfinished came too near to the end, not to a server that went.
    late = [row["time_ns"] for row in found.requests.to_pylist() if row["outcome"] == "unfinished"]
    assert all(time > 15_000_000_000 for time in late)
