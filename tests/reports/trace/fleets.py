"""Small runs with everything in them that traces tell of."""

from typing import Any

from windtunnel import Run
from windtunnel.reports.trace.traces import Traces
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.support import run, scenario
from windtunnel.tracing import traces_of

TROUBLED: dict[str, Any] = {
    "duration": "12s",
    "fleet": {
        "app": {"initial": 3, "workers": 2, "cores": 1, "queue": 6, "boot_time": {"constant": "1s"}, "min": 2, "max": 5},
        "proxy": {"cpu_per_request": "50us", "upstream_timeout": "300ms", "retries": {"attempts": 2},
                  "outlier_detection": {"consecutive_5xx": 3, "base_ejection_time": "2s"}},
        "network": {"client": {"latency": "2ms", "jitter": "1ms"}, "upstream": {"latency": "1ms"}},
        "dependencies": [{"name": "db", "concurrency": 4, "service": {"exponential": {"mean": "4ms"}}}],
    },
    "endpoints": [
        {"path": "/", "cpu": {"exponential": {"mean": "4ms"}}, "io": {"constant": "3ms"}, "weight": 2},
        {"path": "/items/:id", "cpu": {"constant": "5ms"}, "calls": ["db"]},
        {"path": "/gone", "cpu": {"constant": "1ms"}, "status": 404},
    ],
    "traffic": [
        {"name": "users", "stages": [{"for": "12s", "rate": "150/s"}], "client": {"timeout": "200ms", "retries": {"attempts": 2, "backoff": "20ms"}}},
        {"name": "closed", "closed": {"concurrency": 4, "think": {"constant": "50ms"}}, "client": {"connections": {"pool": 4}}},
    ],
    "autoscaler": {"policy": {"threshold": {"requests_high": "60/s", "requests_low": "1/s"}}, "interval": "1s", "cooldown": "2s", "dead_after": "4s"},
    "faults": [
        {"name": "dies", "type": "kill", "at": "3s", "target": {"role": "app", "count": 1}},
        {"name": "slow", "type": "slow", "at": "6s", "for": "2s", "target": {"role": "app", "count": "all"}, "attributes": {"factor": 8}},
    ],
}  # fmt: skip


def traces_of_document(document: dict[str, Any], seed: int = 1) -> tuple[Run, Traces]:
    """A rehearsal in memory, and its traces."""
    found = run(document, seed)
    return found, traces_of(found, compile_plan(scenario(document, seed)).fleet)
