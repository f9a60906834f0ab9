"""Where nothing happens nothing is said: no rule speaks of a steady fleet, whatever the seed."""

from collections import Counter

import pytest
from windtunnel import Scenario, replay
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.hints.rules import hints
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.reports.hints.fleets import Document
from windtunnel.tests.support import TWINS, scenario

RICH: Document = {
    "duration": "120s",
    "fleet": {
        "app": {
            "initial": 6, "min": 2, "max": 12, "workers": 8, "cores": 2, "queue": 64, "boot_time": {"lognormal": {"mean": "15s", "cv": 0.3}},
            "memory": {"total": "512MiB", "base": "128MiB", "per_request": "2MiB"},
        },
        "proxy": {
            "max_connections": 4096, "backlog": 256, "cpu_per_request": "100us", "upstream_timeout": "5s", "keepalive_timeout": "15s",
            "memory": {"total": "256MiB", "base": "32MiB", "per_connection": "64KiB"},
            "health_check": {"interval": "1s", "timeout": "500ms"},
            "outlier_detection": {"consecutive_5xx": 5, "base_ejection_time": "10s", "max_ejection_percent": "50%"},
            "retries": {"attempts": 2, "budget": "20%"},
        },
        "network": {"client": {"latency": "5ms", "jitter": "2ms"}, "upstream": {"latency": "0.5ms"}},
        "dependencies": [
            {"name": "db", "concurrency": 40, "service": {"lognormal": {"mean": "8ms", "cv": 1.5}}},
            {"name": "search", "concurrency": 20, "service": {"exponential": {"mean": "15ms"}}},
        ],
    },
    "endpoints": [
        {"path": "/", "weight": 6, "cpu": {"exponential": {"mean": "10ms"}}, "response_size": "12KiB"},
        {"path": "/item", "weight": 3, "cpu": {"lognormal": {"mean": "8ms", "cv": 2}}, "calls": ["db"]},
        {"path": "/search", "weight": 1, "cpu": {"constant": "6ms"}, "io": {"pareto": {"mean": "20ms", "shape": 1.8}}, "calls": ["db", "search"]},
    ],
    "traffic": [
        {"name": "users", "stages": [{"for": "120s", "rate": "220/s"}],
         "client": {"timeout": "3s", "retries": {"attempts": 2, "backoff": "100ms"}, "connections": {"pool": 200}}},
        {"name": "partners", "stages": [{"for": "120s", "rate": "60/s"}], "client": {"timeout": "3s", "connections": {"pool": 50}}},
    ],
    "autoscaler": {"policy": {"threshold": {"requests_high": "80/s", "requests_low": "20/s"}}, "interval": "5s", "cooldown": "30s"},
    "slo": [{"name": "answered", "indicator": "availability", "above": "99%"}, {"name": "fast", "indicator": "latency_p99", "below": "1s"}],
}  # fmt: skip
"""All that a fleet can have, at half of what it can do: contended cores, heavy tails, dependencies, retries, an autoscaler."""

STEADY = {"steady": Scenario.load("steady"), "rich": scenario(RICH)}


def false_alarms(name: str, seeds: range) -> Counter[str]:
    """Which rules spoke of the steady fleet, over seeds."""
    found: Counter[str] = Counter()
    for seed in seeds:
        one = STEADY[name].with_seed(seed)
        evidence = Evidence.of(replay(one, **TWINS), compile_plan(one).fleet)
        found.update(hint.kind for hint in hints(evidence))
    return found


@pytest.mark.parametrize("name", sorted(STEADY))
def test_a_steady_fleet_gets_no_hint(name: str) -> None:
    assert false_alarms(name, range(5)) == {}


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(STEADY))
def test_a_steady_fleet_gets_no_hint_over_200_seeds(name: str) -> None:
    assert false_alarms(name, range(100, 300)) == {}
